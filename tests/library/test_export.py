"""ONNX files: the same outputs, whole files, 8 bits that stay close, and refusals in words."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from resnet_lib import data, export, nets, train, weights


@pytest.fixture(scope="module")
def digits():
    found = data.digits()
    batches = data.Batches(found.test_images, found.test_labels, 120, transform=found.normalize)
    return found, batches


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    model = weights.resnet8("digits").eval()
    path = tmp_path_factory.mktemp("onnx") / "digits.onnx"
    assert export.to_onnx(model, path, torch.zeros(1, 1, 8, 8)) == path
    return model, path


def test_a_file_tells_no_path_of_the_machine(trained):
    content = trained[1].read_bytes()
    assert b"resnet_lib" not in content
    assert b"/" + sys.executable.split("/")[1].encode() + b"/" not in content


@pytest.mark.parametrize("number", [1, 2, 5])
def test_a_file_gives_the_same_scores_for_any_batch(trained, number):
    model, path = trained
    x = torch.randn(number, 1, 8, 8)
    with torch.no_grad():
        torch.testing.assert_close(export.OnnxNetwork(path)(x), model(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nets.ResNet(nets.CONFIGURATIONS[50][0], (1, 1, 1, 1), 10),
        lambda: nets.CifarResNet(8, shortcut="B"),
        lambda: nets.add_dropout(nets.CifarResNet(8, residual=False), 0.5),
    ],
)
def test_other_networks_too(tmp_path, make):
    torch.manual_seed(0)
    model, x = make(), torch.randn(4, 3, 32, 32)
    model(x)  # running statistics
    model.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    path = export.to_onnx(model, tmp_path / "a.onnx", x)
    with torch.no_grad():
        torch.testing.assert_close(export.OnnxNetwork(path)(x), model(x), rtol=1e-5, atol=1e-5)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"], "one file"


def test_evaluate_takes_it_as_any_network(trained, digits):
    model, path = trained
    ours, theirs = train.evaluate(model, digits[1]), train.evaluate(
        export.OnnxNetwork(path, threads=1), digits[1]
    )  # fmt: skip
    assert theirs.accuracy == ours.accuracy
    assert theirs.loss == pytest.approx(ours.loss, abs=1e-5)


@pytest.mark.parametrize(
    "how", [{}, {"per_channel": False}, {"activations": "int8"}, {"batches": None}]
)
def test_eight_bits_stay_close(trained, digits, tmp_path, how):
    model, path = trained
    found, test = digits
    learned = data.Batches(
        found.train_images[:256], found.train_labels[:256], 64, transform=found.normalize
    )
    how = {"batches": learned} | how
    small = export.quantize_onnx(path, tmp_path / "small.onnx", **how)
    assert small.stat().st_size < 0.45 * path.stat().st_size
    images = torch.cat([images for images, _ in test])
    with torch.no_grad():
        scores = model(images)
        apart = (export.OnnxNetwork(small)(images) - scores).abs()
    assert 1e-4 < apart.mean() / scores.abs().mean() < 0.1
    wrong = [1 - train.evaluate(net, test).accuracy for net in (model, export.OnnxNetwork(small))]
    assert wrong[1] <= wrong[0] + 0.015


@pytest.mark.parametrize(("reduce_range", "largest"), [(True, 64), (False, 127)])
def test_seven_bits_never_overflow_a_sum_of_two_products(
    trained, digits, tmp_path, reduce_range, largest
):
    import onnx

    images = [next(iter(digits[1]))[0]]
    small = export.quantize_onnx(trained[1], tmp_path / "a.onnx", images, reduce_range=reduce_range)
    kept = {tensor.name: tensor for tensor in onnx.load(small).graph.initializer}
    weights_ = [
        t for t in kept.values() if t.data_type == onnx.TensorProto.INT8 and len(t.dims) > 1
    ]
    found = max(abs(onnx.numpy_helper.to_array(t).astype(int)).max() for t in weights_)
    assert largest - 1 <= found <= largest
    assert (2 * 255 * found <= 2**15) == reduce_range


def test_a_node_can_be_left_out(trained, digits, tmp_path):
    import onnx

    _, path = trained
    images = [next(iter(digits[1]))[0]]
    names = [node.name for node in onnx.load(path).graph.node if node.op_type in ("Conv", "Gemm")]
    small = [
        export.quantize_onnx(path, tmp_path / f"{number}.onnx", images, leave_out=names[:number])
        for number in (0, 3)
    ]
    assert small[1].stat().st_size > small[0].stat().st_size


def test_an_old_file_stays_when_the_check_fails(trained, tmp_path, monkeypatch):
    import onnx

    path = tmp_path / "a.onnx"
    path.write_bytes(b"old")

    def fail(*_, **__):
        raise ValueError("not well made")

    monkeypatch.setattr(onnx.checker, "check_model", fail)
    with pytest.raises(ValueError, match="not well made"):
        export.to_onnx(trained[0], path, torch.zeros(1, 1, 8, 8))
    assert path.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["a.onnx"]


def test_train_mode_is_refused(tmp_path):
    model = nets.CifarResNet(8).eval()
    model.layer1[0].bn1.train()
    with pytest.raises(ValueError, match=r"eval mode, but layer1\.0\.bn1 is in train mode"):
        export.to_onnx(model, tmp_path / "a.onnx", torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="but the network is in train mode"):
        export.to_onnx(nets.CifarResNet(8), tmp_path / "a.onnx", torch.zeros(1, 3, 8, 8))


def test_bad_input_is_refused(trained, tmp_path):
    model, path = trained
    with pytest.raises(ValueError, match="images must have four dimensions"):
        export.to_onnx(model, tmp_path / "a.onnx", torch.zeros(8, 8))
    with pytest.raises(ValueError, match="batches must have at least one batch of images"):
        export.quantize_onnx(path, tmp_path / "a.onnx", [])
    with pytest.raises(ValueError, match="activations must be one of uint8, int8, got 'int4'"):
        export.quantize_onnx(path, tmp_path / "a.onnx", None, activations="int4")
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=r"broken\.onnx is no network that ONNX Runtime reads"):
        export.OnnxNetwork(broken)
    with pytest.raises(FileNotFoundError):
        export.OnnxNetwork(tmp_path / "none.onnx")
    with pytest.raises(ValueError, match="threads must be"):
        export.OnnxNetwork(path, threads=0)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["broken.onnx"]


@pytest.mark.parametrize(
    ("missing", "call"),
    [
        ("onnx", "export.to_onnx(None, 'a', None)"),
        ("onnxscript", "export.to_onnx(None, 'a', None)"),
        ("onnxruntime", "export.quantize_onnx('a', 'b', None)"),
        ("onnxruntime", "export.OnnxNetwork('a')"),
    ],
)
def test_a_missing_package_is_named(missing, call):
    words = f"import sys; sys.modules[{missing!r}] = None; from resnet_lib import export; {call}"
    found = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True)
    last = found.stderr.strip().splitlines()[-1]
    assert last.startswith(f"ImportError: {missing} is needed and not installed: pip install onnx")


def test_it_has_no_gradient(trained):
    network = export.OnnxNetwork(trained[1])
    assert not list(network.parameters())
    x = torch.randn(1, 1, 8, 8, requires_grad=True)
    assert not network(x).requires_grad
    assert isinstance(network, nn.Module)
