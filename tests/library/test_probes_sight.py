"""What a probe sees: of every kind of model all, or a part and a word on the rest, or an error."""

import copy
import warnings
from dataclasses import dataclass

import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from toy_models import Dictionary, Twice, lived_in, mean_square, state

from resnet_lib import probes
from resnet_lib.nets import CifarResNet
from resnet_lib.probes.running import unwrapped

PROBES = {
    "trace_shapes": probes.trace_shapes,
    "activation_statistics": probes.activation_statistics,
    "layer_costs": probes.layer_costs,
    "receptive_fields": probes.receptive_fields,
    "saved_bytes": probes.saved_bytes,
    "layer_gradients": lambda model, x: {
        name: vector.tolist()
        for name, vector in probes.layer_gradients(model, x, *TARGETS_AND_LOSS).items()
    },
    "gradient_norms": lambda model, x: probes.gradient_norms(model, x, *TARGETS_AND_LOSS),
    "gradient_autocorrelation": lambda model, x: probes.gradient_autocorrelation(model, x, 2),
}
TARGETS_AND_LOSS = torch.arange(1.0, 7), mean_square
BY_HOOKS = ["trace_shapes", "activation_statistics", "layer_costs", "receptive_fields"]
OTHERS = [name for name in PROBES if name not in BY_HOOKS]
every_probe = pytest.mark.parametrize("name", list(PROBES))


def cnn():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(inplace=True)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(3 * 4 * 4, 5), nn.Tanh())


def images():
    return torch.randn(6, 2, 6, 6, generator=torch.Generator().manual_seed(1))


def answer(name, model, x):
    """What the probe says, where it has nothing to warn of."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return PROBES[name](model, x)


# Compiled


def compiled_in_place(model):
    model.compile(backend="eager")
    return model


def compiled_and_called(model):
    """Both modes were compiled, as after `fit` and `evaluate`."""
    model.compile(backend="eager")
    with torch.no_grad():
        model.train()(images())
        model.eval()(images())
    return model.train()


def compiled_part(model):
    model[1].compile(backend="eager")
    return model


def compiled_wrapper_called(model):
    model = torch.compile(model, backend="eager")
    model(images())
    return model


def distributed(model):
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    return DistributedDataParallel(model)


def fx_traced(model):
    return torch.fx.symbolic_trace(model)


def with_hooks(model):
    model[4].register_full_backward_hook(lambda *_: None)
    model[4].register_forward_pre_hook(lambda *_: None)
    return lived_in(model)


FULL = {
    "compiled before its first call": compiled_in_place,
    "compiled and called": compiled_and_called,
    "a compiled part": compiled_part,
    "torch.compile": lambda model: torch.compile(model, backend="eager"),
    "torch.compile, called": compiled_wrapper_called,
    "DataParallel": DataParallel,
    "DistributedDataParallel": distributed,
    "DataParallel of torch.compile": lambda m: DataParallel(torch.compile(m, backend="eager")),
    "torch.fx": fx_traced,
    "hooks of the user": with_hooks,
}


@pytest.fixture(autouse=True)
def _processes_end():
    yield
    torch.compiler.reset()
    if dist.is_initialized():
        dist.destroy_process_group()


@every_probe
@pytest.mark.parametrize("kind", list(FULL))
def test_all_is_seen(kind, name):
    plain = cnn()
    model = FULL[kind](copy.deepcopy(plain))
    modes = [module.training for module in model.modules()]
    norm = unwrapped(model).get_submodule("1")
    plain[1].load_state_dict(norm.state_dict())  # a call moved its statistics
    expected = answer(name, plain, images())
    assert answer(name, model, images()) == expected
    assert [module.training for module in model.modules()] == modes


def test_a_compiled_model_stays_compiled():
    calls = []

    def backend(graph, _):
        calls.append(graph)
        return graph.forward

    model = cnn()
    model.compile(backend=backend)
    probes.trace_shapes(model, images())
    assert not calls
    model(images())
    assert calls


# TorchScript


def scripted():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls it deprecated
        return torch.jit.script(cnn())


def traced():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(cnn(), images())


@pytest.mark.parametrize("make", [scripted, traced])
@pytest.mark.parametrize("name", BY_HOOKS)
def test_torchscript_as_a_whole_is_refused(make, name):
    model = make()
    before = state(model)
    match = r"^model must call its layers .* \(inside TorchScript.*: the model itself\)$"
    with pytest.raises(ValueError, match=match):
        PROBES[name](model, images())
    assert state(model) == before


@pytest.mark.parametrize("name", OTHERS)
def test_torchscript_needs_no_hooks_for_its_gradients(name):
    model, plain, x = scripted(), cnn(), images()
    for _ in range(3):  # TorchScript goes another way after its first calls
        found, expected = PROBES[name](model, x), PROBES[name](plain, x)
        pairs = (
            [(found, expected)]
            if name != "layer_gradients"
            else [(found[layer], expected[layer]) for layer in expected]
        )
        assert all(mine == pytest.approx(theirs, abs=1e-6) for mine, theirs in pairs)


@pytest.mark.parametrize("name", BY_HOOKS)
def test_a_part_in_torchscript_is_named(name):
    plain = nn.Sequential(cnn()[:3], cnn()[3:])
    model = copy.deepcopy(plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model[0] = torch.jit.script(model[0])
    with pytest.warns(UserWarning, match=r"have no row\. inside TorchScript.*: 0$") as said:
        rows = PROBES[name](model, images())
    assert rows == [row for row in answer(name, plain, images()) if row.layer.startswith("1")]
    assert said[0].filename == __file__, "the warning points at who called the probe"


def test_kinds_within_torchscript_are_not_found():
    with pytest.raises(ValueError, match=r"got none; what TorchScript holds has other kinds$"):
        probes.trace_shapes(scripted(), images(), nn.Conv2d)


# Layers that are not called as modules


class Uncalled(nn.Module):
    def __init__(self):
        super().__init__()
        self.used, self.spare, self.weights = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4)
        self.criterion, self.empty = nn.CrossEntropyLoss(), nn.ModuleList()

    def forward(self, x):
        return nn.functional.linear(self.used(x), self.weights.weight)


@pytest.mark.parametrize("name", BY_HOOKS[:3])
def test_layers_that_are_not_called_are_named(name):
    match = r"^these layers have no row\. never called as a module: spare, weights, criterion$"
    with pytest.warns(UserWarning, match=match):
        rows = PROBES[name](Uncalled(), torch.randn(6, 4))
    assert [row.layer for row in rows] == ["used"]


def test_many_names_are_cut_short():
    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.spare = nn.ModuleList(nn.Linear(4, 4) for _ in range(20))
            self.used = nn.Linear(4, 4)

        def forward(self, x):
            return self.used(x)

    with pytest.warns(UserWarning, match=r": spare\.0, .*spare\.7 and 12 more$"):
        probes.trace_shapes(Many(), torch.randn(6, 4))


@pytest.mark.parametrize("name", BY_HOOKS[:3])
def test_a_model_that_calls_no_layer_is_refused(name):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return nn.functional.linear(x, self.layer.weight)

    with pytest.raises(ValueError, match=r"got none seen \(never called as a module: layer\)$"):
        PROBES[name](Functional(), torch.randn(6, 4))


@dataclass
class Scores:
    scores: torch.Tensor


class Last(nn.Module):
    def __init__(self, wrap):
        super().__init__()
        self.wrap = wrap

    def forward(self, x):
        return self.wrap(x)


@pytest.mark.parametrize("name", BY_HOOKS[:3])
def test_layers_without_a_tensor_are_named(name):
    model = nn.Sequential(nn.Linear(4, 4), Last(lambda x: None))
    with pytest.warns(UserWarning, match=r"have no row\. returns no tensor: 1$"):
        rows = PROBES[name](model, torch.randn(6, 4))
    assert [row.layer for row in rows] == ["0"]


@pytest.mark.parametrize("wrap", [Scores, lambda x: {"scores": x}, lambda x: (None, [x])])
@pytest.mark.parametrize("name", BY_HOOKS[:3])
def test_tensors_in_other_outputs_are_found(name, wrap):
    model = nn.Sequential(nn.Linear(4, 4), Last(wrap))
    assert [row.layer for row in answer(name, model, torch.randn(6, 4))] == ["0", "1"]


@pytest.mark.parametrize("name", ["trace_shapes", "activation_statistics", "receptive_fields"])
@pytest.mark.parametrize(
    ("kinds", "names"),
    [(nn.Conv3d, "Conv3d"), ((nn.GELU, nn.LSTM), "GELU, LSTM")],
)
def test_kinds_that_are_not_there_are_refused(name, kinds, names):
    match = rf"^model must hold a module of kinds \({names}\), got none$"
    with pytest.raises(ValueError, match=match):
        PROBES[name](cnn(), images(), kinds)


# Attention


def encoder():
    torch.manual_seed(0)
    return nn.TransformerEncoderLayer(4, 2, 8, dropout=0, batch_first=True)


ENCODER_LAYERS = ["self_attn", "dropout1", "norm1", "linear1", "dropout", "linear2", "dropout2"]
ENCODER_LAYERS += ["norm2"]


@pytest.mark.parametrize("name", BY_HOOKS[:3])
@pytest.mark.parametrize("training", [True, False])
def test_attention_is_one_layer_and_its_fast_path_is_not_taken(name, training):
    model = encoder().train(training)
    rows = answer(name, model, torch.randn(6, 5, 4))
    assert [row.layer for row in rows] == ENCODER_LAYERS
    assert torch.backends.mha.get_fastpath_enabled()


def test_attention_is_counted_whole():
    """Four projections of 5 tokens, 4 by 4 each, and twice 5 by 5 products of 4 channels."""
    rows = probes.layer_costs(encoder(), torch.randn(6, 5, 4))
    assert rows[0].multiply_adds == 6 * (4 * 5 * 4 * 4 + 2 * 5 * 5 * 4)
    assert rows[0].parameters == 4 * 4 * 4 + 4 * 4
    whole = sum(p.numel() for p in encoder().parameters())
    assert sum(row.parameters for row in rows) == whole


def test_the_last_layer_of_attention_is_named_when_asked_for():
    with pytest.warns(UserWarning, match=r"never called as a module: self_attn\.out_proj$"):
        rows = probes.trace_shapes(encoder(), torch.randn(6, 5, 4), nn.Linear)
    assert [row.layer for row in rows] == ["linear1", "linear2"]


@pytest.mark.parametrize("name", OTHERS)
def test_attention_in_the_other_probes(name):
    model = encoder().eval()
    assert answer(name, model, torch.randn(6, 5, 4))


# Costs that the counter does not know


def test_layers_whose_arithmetic_is_not_counted_are_named():
    layer, x = nn.LSTM(4, 3), torch.randn(6, 2, 4)
    with pytest.warns(UserWarning, match=r"multiply-adds .* are not counted: the model itself$"):
        assert probes.layer_costs(layer, x)[0].multiply_adds == 0


@pytest.mark.parametrize(
    ("layer", "x"),
    [
        (nn.Embedding(5, 4), torch.arange(6) % 5),
        (nn.LayerNorm((3, 4)), torch.randn(6, 3, 4)),
        (nn.BatchNorm1d(4), torch.randn(6, 4)),
    ],
)
def test_layers_without_a_product_are_not(layer, x):
    assert answer("layer_costs", layer, x)[0].multiply_adds == 0


# Several inputs


class Several(nn.Module):
    """Images, a mask of the channels, and a number that is no tensor."""

    def __init__(self):
        super().__init__()
        self.body = cnn()

    def forward(self, images, mask, factor=1.0):
        return self.body(images * mask * factor)


SEVERAL = {
    "tuple": lambda x: (x, torch.ones(2, 1, 1), 1.0),
    "dictionary": lambda x: {"images": x, "mask": torch.ones(2, 1, 1)},
}


@every_probe
@pytest.mark.parametrize("form", list(SEVERAL))
def test_several_inputs_are_given_in_their_places(form, name):
    def within(found):
        if name in BY_HOOKS:
            return [row._replace(layer=f"body.{row.layer}") for row in found]
        return {f"body.{key}": v for key, v in found.items()} if isinstance(found, dict) else found

    torch.manual_seed(0)
    x, model = images(), Several()
    inputs = SEVERAL[form](x)
    found = answer(name, model, inputs)
    assert found == within(answer(name, model.body, x))
    assert first_of(inputs) is x
    assert not x.requires_grad


def first_of(inputs):
    return inputs["images"] if isinstance(inputs, dict) else inputs[0]


@every_probe
@pytest.mark.parametrize(
    "inputs",
    [[torch.randn(6, 4)], (), {}, (1, "x"), None],
    ids=["list", "none", "no words", "a word", "None"],
)
def test_inputs_without_a_tensor_are_refused(inputs, name):
    match = r"^inputs must be a tensor, or a tuple or dict .*, got (list|tuple|dict|NoneType)$"
    with pytest.raises(TypeError, match=match):
        PROBES[name](nn.Linear(4, 3), inputs)


# Outputs, models and devices of other kinds


@pytest.mark.parametrize("name", [n for n in PROBES if n != "receptive_fields"])
def test_a_dictionary_is_an_output_unless_it_must_be_summed(name):
    model, x = Dictionary(), torch.randn(6, 4)
    if name == "gradient_autocorrelation":
        with pytest.raises(TypeError, match=r"^model must return a tensor, got dict$"):
            PROBES[name](model, x)
    else:
        assert answer(name, model, x)


SHAPES_ONLY = ["trace_shapes", "layer_costs", "saved_bytes"]


@every_probe
def test_on_the_meta_device_there_are_shapes(name):
    model, x = cnn().to("meta"), images().to("meta")
    if name in SHAPES_ONLY:
        assert answer(name, model, x) == answer(name, cnn(), images())
    else:
        with pytest.raises(ValueError, match=r"^model and inputs must hold values .* meta device"):
            PROBES[name](model, x)


@every_probe
@pytest.mark.parametrize("model", [torch.sin, "resnet18", None], ids=["function", "name", "None"])
def test_a_model_is_a_module(name, model):
    match = r"^model must be a torch\.nn\.Module, got (builtin_function_or_method|str|NoneType)$"
    with pytest.raises(TypeError, match=match):
        PROBES[name](model, images())


@every_probe
def test_a_lazy_layer_is_refused(name):
    model = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    with pytest.raises(ValueError, match=r"^model must have its weights .* got lazy layers"):
        PROBES[name](model, images())
    model(images())
    assert probes.trace_shapes(model, images())


@every_probe
def test_several_copies_are_refused(name):
    parallel = DataParallel(nn.Flatten())
    parallel.device_ids = [0, 1]
    with pytest.raises(ValueError, match=r"got DataParallel over 2 devices at '1'$"):
        PROBES[name](nn.Sequential(nn.Tanh(), parallel, nn.Linear(72, 3)), images())


def test_every_call_is_a_row_in_a_compiled_network():
    model = compiled_in_place(Twice())
    rows = probes.trace_shapes(model, torch.randn(6, 4))
    assert [row.layer for row in rows] == ["layer", "offset", "layer"]


def test_a_compiled_residual_network_has_all_its_rows():
    x = torch.randn(2, 3, 8, 8)
    expected = probes.trace_shapes(CifarResNet(8), x)
    assert len(expected) == 18
    assert probes.trace_shapes(compiled_in_place(CifarResNet(8)), x) == expected
