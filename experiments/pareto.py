"""Smaller, faster, or more often right: where is ResNet-20 once it is pruned and has 8 bits?

The library's ResNet-20 on CIFAR-10 loses a share of every block's inner channels (l1, see
resnet_lib.compression.prune_channels) and is trained on, with rates that fall along a cosine. The
whole network is trained on alike, as the control. Then each is exported to ONNX, and quantised
(static, a scale per channel, ranges from --calibration training images). Per network:

  errors     test error in percent by seed of the training on, in single precision and in INT8
  bytes      of the file
  seconds    of one picture in ONNX Runtime; all networks, not trained on, which changes no time,
             take turns, with a pause and untimed calls in between

CIFAR-10 is taken from the folder in RESNET_LIB_DATA.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from bench import case_by_case, record
from bench.options import at_least, json_file, positive
from torch import nn

from resnet_lib import compression, data, export, train, weights

SEED = 0
CPU = train.World(torch.device("cpu"))
BATCH, TEST_BATCH = 128, 500
PAUSE = 0.2
FORMATS = ("fp32", "int8")


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [{"what": "network", "share": share} for share in (0.0, *options.shares)]
    asked = {"network": network, "time": latency}
    return case_by_case.carry_out(
        "pareto",
        options,
        SEED,
        [*cases, {"what": "time", "share": 0.0}],
        lambda case: asked[case["what"]](case, options),
        "{what} {share:4g}",
        lambda row: f"  test errors {row.get('errors')}",
    )


def network(case: dict, options: argparse.Namespace) -> dict:
    """Cut, train on, export, quantise, judge."""
    errors: dict[str, list[float]] = {name: [] for name in FORMATS}
    sizes, found = {}, data.cifar10()
    for seed in range(options.seeds):
        model = cut(case["share"])
        fit(model, options, seed)
        with tempfile.TemporaryDirectory() as folder:
            for name, path in written(model, found, options, Path(folder)).items():
                errors[name].append(error(export.OnnxNetwork(path), found))
                sizes[name] = path.stat().st_size
    count = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": count, "errors": errors, "bytes": sizes}


def cut(share: float) -> nn.Module:
    """The trained network without a share of its inner channels."""
    return compression.prune_channels(weights.resnet20("cifar10"), share)


def fit(model: nn.Module, options: argparse.Namespace, seed: int) -> None:
    """Train the model on, on all training images."""
    found = data.cifar10()
    transform = nn.Sequential(data.RandomCrop(4), data.RandomFlip(), found.normalize)
    batches = data.Batches(
        found.train_images,
        found.train_labels,
        BATCH,
        shuffle=True,
        transform=transform,
        seed=seed,
    )
    config = train.TrainConfig(
        epochs=options.epochs,
        learning_rate=options.rate,
        schedule="cosine",
        weight_decay=5e-4,
        precision=options.precision,
        channels_last=True,
        seed=seed,
    )
    train.fit(model, batches, config=config, world=CPU, progress=False)
    model.to(memory_format=torch.contiguous_format)


def written(
    model: nn.Module, found: data.ImageData, options: argparse.Namespace, folder: Path
) -> dict[str, Path]:
    """The network as two ONNX files."""
    dice = torch.Generator().manual_seed(SEED)
    rows = torch.randperm(len(found.train_images), generator=dice)[: options.calibration]
    known = list(found.normalize(found.train_images[rows]).split(64))
    files = {kind: folder / f"{kind}.onnx" for kind in FORMATS}
    export.to_onnx(model.eval(), files["fp32"], known[0])
    export.quantize_onnx(files["fp32"], files["int8"], known, reduce_range=False)
    return files


def error(model: nn.Module, found: data.ImageData) -> float:
    """Errors on the test images, in percent."""
    batches = data.Batches(
        found.test_images, found.test_labels, TEST_BATCH, transform=found.normalize
    )
    return round(100 * (1 - train.evaluate(model, batches).accuracy), 2)


def latency(case: dict, options: argparse.Namespace) -> dict:
    """Seconds of one picture, turn by turn."""
    image, ready = torch.zeros(1, 3, 32, 32), {}
    for share in (0.0, *options.shares):
        with tempfile.TemporaryDirectory() as folder:
            files = written(cut(share), data.cifar10(), options, Path(folder))
            ready |= {f"{share:g} {kind}": export.OnnxNetwork(path) for kind, path in files.items()}
    spent: dict[str, list[float]] = {name: [] for name in ready}
    for _ in range(options.turns):
        for name, model in ready.items():
            time.sleep(PAUSE)
            for _ in range(3):
                model(image)
            begun = time.perf_counter()
            model(image)
            spent[name].append(round(time.perf_counter() - begun, 6))
    return {"seconds": spent}


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="pareto.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--shares", nargs="+", type=positive, default=[0.25, 0.5, 0.75],
        metavar="S", help="shares removed, below 1 (0.25 0.5 0.75)")  # fmt: skip
    add("--precision", choices=("fp32", "bf16"), default="bf16", help="of training on (bf16)")
    add("--epochs", type=at_least(1), default=4, metavar="N", help="of training on (4)")
    add("--rate", type=positive, default=0.05, metavar="R", help="highest, of that (0.05)")
    add("--seeds", type=at_least(1), default=2, metavar="N", help="seeds (2)")
    add("--calibration", type=at_least(1), default=512, metavar="N",
        help="images to find ranges with (512)")  # fmt: skip
    add("--turns", type=at_least(1), default=25, metavar="N", help="turns of the timing (25)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "pareto.json",
        metavar="FILE.json", help="the record (results/pareto.json)")  # fmt: skip
    options = parser.parse_args(words)
    if max(options.shares) >= 1:
        parser.error("--shares wants numbers below 1")
    return options


if __name__ == "__main__":
    sys.exit(main())
