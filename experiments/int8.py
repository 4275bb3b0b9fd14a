"""What do 8 bits bring, on this processor, in size, time and accuracy?

Each method turns a network into something that gives scores:

  eager               as it is
  channels-last       the same with the channels of a pixel side by side
  folded              channels-last, batch norm folded
  bfloat16            folded, the forward pass under autocast
  compiled            channels-last, torch.compile with frozen weights
  onnx                an ONNX file, run by ONNX Runtime
  onnx-int8           static: uint8 activations, int8 weights, a scale for each channel
  onnx-int8-tensor    the same with one scale for each weight
  onnx-int8-signed    static with int8 activations, a scale for each channel
  onnx-int8-dynamic   the range of each activation is found anew in every run
  pt2e-int8           torchao's static quantisation for x86, then torch.compile

and three things are asked:

  latency    seconds of a batch of 1 and of 8, ResNet-18 with random weights at 224 pixels; all
             methods take turns, --turns times, with a pause and an untimed call in between
  size       bytes of that network's weights, or of its file
  accuracy   test error in percent of the library's ResNet-20 on CIFAR-10, by method, and the share
             of test images with another answer than eager. Ranges come from --calibration training
             images as they are

CIFAR-10 is taken from the folder in RESNET_LIB_DATA.
"""

import argparse
import functools
import operator
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from bench import case_by_case, record
from bench.options import at_least, json_file
from torch import Tensor, nn

from resnet_lib import compression, data, export, nets, weights

SEED = 0
PAUSE = 0.2  # seconds; threads of the method before still spin for a while, and take a core each
METHODS = (
    *("eager", "channels-last", "folded", "bfloat16", "compiled", "onnx"),
    *("onnx-int8", "onnx-int8-tensor", "onnx-int8-signed", "onnx-int8-dynamic", "pt2e-int8"),
)
STATIC = {
    "onnx-int8": {},
    "onnx-int8-tensor": {"per_channel": False},
    "onnx-int8-signed": {"activations": "int8"},
    "onnx-int8-dynamic": None,
}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [{"what": "latency", "batch": batch} for batch in options.batches]
    cases += [{"what": "size", "batch": 0}, {"what": "accuracy", "batch": 0}]
    asked = {"latency": latency, "size": size, "accuracy": accuracy}
    return case_by_case.carry_out(
        "int8",
        options,
        SEED,
        [case for case in cases if case["what"] in options.what],
        lambda case: asked[case["what"]](case, options),
        "{what} {batch}",
        lambda row: "",
    )


class Made:
    """A method's network, the bytes that it takes on a disk, and the order that its images have."""

    def __init__(self, run: Callable[[Tensor], Tensor], size: int, order=torch.channels_last):
        self.run, self.size, self.order = run, size, order

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        return self.run(images)


def make(method: str, model: nn.Module, batches: list[Tensor], folder: Path) -> Made:
    """The network by that method; `batches` are images to find ranges with."""
    own = weight_bytes(model)
    ordered = model.to(memory_format=torch.channels_last)
    if method == "eager":
        plain = torch.contiguous_format
        return Made(model.to(memory_format=plain), own, plain)
    if method == "channels-last":
        return Made(ordered, own)
    if method in ("folded", "bfloat16"):
        light = compression.fold_batch_norm(model).to(memory_format=torch.channels_last)
        return Made(in_bfloat16(light) if method == "bfloat16" else light, weight_bytes(light))
    if method == "compiled":
        return Made(compiled(ordered), own)
    if method == "pt2e-int8":
        return pt2e(ordered, batches)
    plain, made = folder / "plain.onnx", folder / "made.onnx"
    export.to_onnx(model.to(memory_format=torch.contiguous_format), plain, batches[0])
    if method != "onnx":
        how = STATIC[method]
        static = {"reduce_range": False} | (how or {})
        export.quantize_onnx(plain, made, batches if how is not None else None, **static)
    path = plain if method == "onnx" else made
    return Made(export.OnnxNetwork(path), path.stat().st_size, torch.contiguous_format)


def in_bfloat16(model: nn.Module) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return model(images).float()

    return run


def pt2e(model: nn.Module, batches: list[Tensor]) -> Made:
    """torchao's quantisation of an exported network, for the compiler's x86 backend."""
    import torchao.quantization.pt2e.quantizer.x86_inductor_quantizer as x86
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    shape = ({0: torch.export.Dim("batch")},)
    exported = torch.export.export(model, (batches[0],), dynamic_shapes=shape).module()
    quantizer = x86.X86InductorQuantizer()
    quantizer.set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(exported, quantizer)
    with torch.no_grad():
        for images in batches:
            prepared(images)
    converted = convert_pt2e(prepared)
    # The unquantised weights stay in its state dict; these are the ones that its graph reads.
    used = {node.target for node in converted.graph.nodes if node.op == "get_attr"}
    size = sum(operator.attrgetter(name)(converted).nbytes for name in used)
    return Made(compiled(converted), size)


def weight_bytes(model: nn.Module) -> int:
    return sum(value.nbytes for value in model.state_dict().values())


def compiled(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """The network compiled, with its weights taken for constants."""
    import torch._inductor.config as inductor

    inductor.freezing = True  # as an option of torch.compile it does not reach the packed weights
    return torch.compile(model, dynamic=False)


def each_method(
    model: Callable[[], nn.Module], batches: list[Tensor], options: argparse.Namespace
) -> Iterator[tuple[str, Made]]:
    """The methods one after the other, each with a network of its own."""
    for method in options.methods:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield method, make(method, model().eval(), batches, Path(folder))


def large() -> nn.Module:
    """ResNet-18 with random weights."""
    torch.manual_seed(SEED)
    return nets.resnet18()


@functools.cache
def noise(number: int) -> Tensor:
    """Images of 224 pixels, of noise."""
    dice = torch.Generator().manual_seed(SEED)
    return torch.randn(number, 3, 224, 224, generator=dice)


def latency(case: dict, options: argparse.Namespace) -> dict:
    """Seconds of a batch, turn by turn."""
    images = noise(case["batch"])
    versions = dict(each_method(large, [noise(8)], options))
    given = {name: images.to(memory_format=version.order) for name, version in versions.items()}
    for name, version in versions.items():
        for _ in range(3):  # the first calls compile
            version(given[name])
    spent: dict[str, list[float]] = {name: [] for name in versions}
    for _ in range(options.turns):
        for name, version in versions.items():
            time.sleep(PAUSE)
            version(given[name])
            start = time.perf_counter()
            version(given[name])
            spent[name].append(round(time.perf_counter() - start, 5))
    return {"seconds": spent}


def size(case: dict, options: argparse.Namespace) -> dict:
    """Bytes of the large network."""
    return {"bytes": {name: made.size for name, made in each_method(large, [noise(8)], options)}}


def accuracy(case: dict, options: argparse.Namespace) -> dict:
    """Test errors of the small network, and how many answers are others than eager's."""
    found = data.cifar10()
    drawn = torch.randperm(len(found.train_images), generator=torch.Generator().manual_seed(SEED))
    chosen = found.train_images[drawn[: options.calibration]]
    batches = list(found.normalize(chosen).split(64))
    test = found.normalize(found.test_images).split(500)
    labels, errors, changed = found.test_labels, {}, {}
    eager = None
    for name, made in each_method(functools.partial(weights.resnet20, "cifar10"), batches, options):
        answers = torch.cat([made(images).argmax(dim=1) for images in test])
        eager = answers if eager is None else eager
        errors[name] = round(100 * (answers != labels).float().mean().item(), 2)
        changed[name] = round(100 * (answers != eager).float().mean().item(), 2)
        torch.compiler.reset()
    return {"errors": errors, "changed": changed}


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="int8.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--what", nargs="+", choices=("latency", "size", "accuracy"),
        default=["latency", "size", "accuracy"], help="what is asked (all three)")  # fmt: skip
    add("--methods", nargs="+", choices=METHODS, default=list(METHODS), help="methods (all)")
    add("--batches", nargs="+", type=at_least(1), default=[1, 8], metavar="N",
        help="batches that are timed (1 8)")  # fmt: skip
    add("--turns", type=at_least(1), default=25, metavar="N", help="turns of the timing (25)")
    add("--calibration", type=at_least(1), default=512, metavar="N",
        help="images to find ranges with (512)")  # fmt: skip
    add("--threads", type=at_least(1), default=record.usable_cores(), metavar="N",
        help="CPU threads (one per usable core)")  # fmt: skip
    add("--out", type=json_file, default=record.ROOT / "results" / "int8.json",
        metavar="FILE.json", help="the record (results/int8.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
