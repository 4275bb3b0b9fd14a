"""The paper's experiment: do deeper plain networks train worse, and residual ones not?

After He et al. 2015, section 4.2 and Fig. 6: networks of the CIFAR family, plain and residual with
shortcuts of option A, learn CIFAR-10. Images are padded by 4 pixels, cropped at random and
mirrored with probability 1/2; SGD has momentum 0.9 and weight decay 0.0001, in batches of 128.

  paper   64,000 updates (as many whole epochs as come closest) from a rate of 0.1, with drops to a
          tenth after a half and three quarters. The network of 110 layers is warmed up for an epoch
          (the paper: at 0.01 until the training error is below 80 %)
  short   10 epochs with a one-cycle rate, up to 0.1. It is not the paper's experiment, only the
          same question in a sixteenth of the updates. It ends far from the paper's errors

Departures from the paper: the forward passes run in bfloat16, under autocast, in channels-last;
--precision fp32 is the control. The mean is subtracted and the deviation divided out per channel;
the paper subtracts the mean of each pixel. --rate gives another rate than 0.1, and --epochs another
length of the paper's schedule, with its drops after the same shares.

Each network and seed leaves a record of its own, with a row for each epoch:

  steps, learning_rate      updates so far, and the rate of the last one
  train_error, train_loss   of the images as augmented, while the network changed; errors in percent
  test_error, test_loss     in eval mode, after the epoch; with --held-out it is validation_error
                            and validation_loss, of the images held out
  seconds                   of the epoch's training

and a last row with the trained network on 128 training images, in train mode and without
autocast: the norm of the loss gradient for each layer, and the standard deviation of each batch
norm's output. If the loss stops being finite, the rows end there and the last one says so.

A killed run goes on with the same command: checkpoints lie in --runs, in a folder for each
record, which then also has the trained weights. What has its record already is left out.

Each network is a run of its own. So several may learn side by side: start the script more than
once, each time with other networks.
"""

import argparse
import sys
from pathlib import Path

import torch
from bench import case_by_case, measure, record
from bench.options import at_least, positive
from torch import nn

from resnet_lib import data, nets, probes, train, weights

NETWORKS = [f"{kind}{depth}" for depth in (20, 32, 44, 56) for kind in ("plain", "resnet")]
NETWORKS += ["resnet110"]  # its plain twin is not shown in the paper: more than 60 % of errors
BATCH = 128
RATE = 0.1
PRECISION = "bf16"
UPDATES = 64_000
SHORT_EPOCHS = 10
PROBED = 128


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    torch.set_num_threads(options.threads)
    try:
        images = data.cifar10(download=False)
        # All of them now: the code that runs is that of this moment's commit.
        headers = {
            (network, seed): describe(network, seed, options)
            for seed in options.seeds
            for network in options.networks
        }
        for (network, seed), header in headers.items():
            carry_out(network, seed, header, images, options)
    except (record.RecordError, train.CheckpointError, OSError, ValueError) as error:
        print(f"degradation.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt as stopped:
        print(f"\nStopped. {stopped}")
        return 130
    return 0


def describe(network: str, seed: int, options: argparse.Namespace) -> dict:
    """The header of one network's record."""
    configuration = {
        "schedule": options.schedule, "networks": [network], "seeds": [seed],
        "held_out": options.held_out, "device": options.device, "threads": options.threads,
    }  # fmt: skip
    # There were records before there were these options.
    usual = {"rate": RATE, "precision": PRECISION, "epochs": None}
    configuration |= {k: vars(options)[k] for k in usual if vars(options)[k] != usual[k]}
    return record.describe("degradation", configuration, seed)


def carry_out(
    network: str, seed: int, header: dict, images: data.ImageData, options: argparse.Namespace
) -> None:
    """Train one network with one seed, unless its record is there; leave the record."""
    name = f"degradation-{options.schedule}-{network}-{seed}{variant(options)}"
    path = options.out / f"{name}.json"
    if record.is_there(path, header):
        print(f"{path} is there already.")
        return
    folder = options.runs / name
    record.begin(folder, header)
    run = record.Run(path, header)
    model = build(network, seed)
    batches, test = loaders(images, seed, options)
    judge = "validation" if options.held_out else "test"

    def kept(epoch: dict) -> None:
        # A run that goes on from an older checkpoint comes to an epoch a second time.
        run.results = [one for one in run.results if one["epoch"] < epoch["epoch"]]
        run.keep(row(epoch, judge))
        print(f"{name}  {summary(run.results[-1])}", flush=True)

    config = settings(network, seed, len(batches), options)
    checkpoints = train.Checkpoints(folder, every=1000)
    world = train.World(torch.device(options.device))
    try:
        history = train.fit(
            model, batches, test, config, checkpoints=checkpoints, world=world, on_epoch=kept
        )
        run.results = [row(epoch, judge) for epoch in history.epochs]
        run.results.append(probe(model, images, options.device))
        card = {name: getattr(images, name) for name in ("classes", "mean", "std")}
        card["image"] = tuple(images.train_images.shape[1:])
        weights.save_weights(folder / "model.safetensors", model, net=network, **card)
    except train.NonFiniteLoss:
        run.results.append({"what": "not finite"})
    except KeyboardInterrupt:
        run.pause()
        raise
    run.finish()
    print(f"The record is {path}.")


def variant(options: argparse.Namespace) -> str:
    """What the names of record and folder say of a run that is not the usual one."""
    parts = ["held-out"] if options.held_out else []
    parts += [f"rate-{options.rate:g}"] if options.rate != RATE else []
    parts += [options.precision] if options.precision != PRECISION else []
    parts += [f"{options.epochs}-epochs"] if options.epochs else []
    return "".join(f"-{part}" for part in parts)


def settings(
    network: str, seed: int, batches: int, options: argparse.Namespace
) -> train.TrainConfig:
    """The recipe."""
    shared = {"learning_rate": options.rate, "precision": options.precision, "seed": seed}
    shared["channels_last"] = True
    if options.schedule == "short":
        return train.TrainConfig(epochs=SHORT_EPOCHS, schedule="onecycle", **shared)
    warmup = 1.0 if network.endswith("110") else 0.0
    epochs = options.epochs or round(UPDATES / batches)
    return train.TrainConfig(epochs=epochs, schedule="step", warmup_epochs=warmup, **shared)


def build(network: str, seed: int) -> nn.Module:
    """The network at its start; a plain one and its twin have the same weights."""
    torch.manual_seed(seed)
    return nets.CifarResNet(depth_of(network), residual=network.startswith("resnet"))


def depth_of(network: str) -> int:
    return int(network.lstrip("abcdefghijklmnopqrstuvwxyz"))


def loaders(
    images: data.ImageData, seed: int, options: argparse.Namespace
) -> tuple[data.Batches, data.Batches]:
    """Batches to train with, and those that are judged: the last images held out, or the test."""
    normalize = data.Normalize(images.mean, images.std)
    augment = nn.Sequential(data.RandomCrop(4), data.RandomFlip(), normalize)
    kept = len(images.train_images) - options.held_out
    held_out = images.train_images[kept:], images.train_labels[kept:]
    judged = held_out if options.held_out else (images.test_images, images.test_labels)
    shared = {"transform": augment, "seed": seed, "device": options.device}
    return (
        data.Batches(
            images.train_images[:kept], images.train_labels[:kept], BATCH, shuffle=True, **shared
        ),
        data.Batches(*judged, 500, **shared),
    )


def row(epoch: dict, judge: str) -> dict:
    """What the record keeps of an epoch; `judge` names the images it was evaluated on."""
    found = {"what": "epoch"} | {name: epoch[name] for name in ("epoch", "steps", "learning_rate")}
    for part, name in (("train", "train"), ("validation", judge)):
        found[f"{name}_error"] = round(100 * (1 - epoch[f"{part}_accuracy"]), 3)
        found[f"{name}_loss"] = round(epoch[f"{part}_loss"], 5)
    return found | {"seconds": round(epoch["seconds"], 1)}


def summary(found: dict) -> str:
    judge = "test" if "test_error" in found else "validation"
    return (
        f"epoch {found['epoch']:3}  training error {found['train_error']:5.2f} %"
        f"  {judge} error {found[f'{judge}_error']:5.2f} %  {found['seconds']:.0f} s"
    )


def probe(model: nn.Module, images: data.ImageData, device: str) -> dict:
    """The trained network on some training images, in train mode and without autocast."""
    normalize = data.Normalize(images.mean, images.std)
    inputs = normalize(images.train_images[:PROBED]).to(device)
    targets = images.train_labels[:PROBED].to(device)
    norms = probes.gradient_norms(model.train(), inputs, targets)
    responses = probes.activation_statistics(model, inputs, nn.BatchNorm2d)
    return {
        "what": "end",
        "gradient_norms": {name: float(f"{norm:.4g}") for name, norm in norms.items()},
        "responses": [round(found.std, 4) for found in responses],
    }


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="degradation.py",
        description=__doc__,
        epilog="On one CPU core with bfloat16 instructions an epoch of 20 layers takes about a "
        "minute, one of 56 layers about three. CIFAR-10 is looked for in RESNET_LIB_DATA.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--schedule", choices=["paper", "short"], default="short", help="see above (short)")
    add("--networks", nargs="+", choices=NETWORKS, default=NETWORKS, metavar="NAME",
        help=f"of {', '.join(NETWORKS)} (all)")  # fmt: skip
    add("--seeds", nargs="+", type=at_least(0), default=[0], metavar="N", help="seeds (0)")
    add("--held-out", type=int, choices=[0, 5000], default=0,
        help="training images held out to choose by; 0: train with all (0)")  # fmt: skip
    add("--rate", type=positive, default=RATE, metavar="R", help=f"highest learning rate ({RATE})")
    add("--epochs", type=at_least(1), metavar="N",
        help="length of --schedule paper (as many as come closest to 64,000 updates)")  # fmt: skip
    add("--precision", choices=["bf16", "fp32"], default=PRECISION, help=f"({PRECISION})")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: the GPU, if any")
    add("--threads", type=at_least(1), help="CPU threads (default: one per usable core)")
    add("--runs", type=Path, default=record.ROOT / "runs" / "degradation", metavar="FOLDER",
        help="checkpoints and weights (runs/degradation)")  # fmt: skip
    add("--out", type=Path, default=record.ROOT / "results" / "degradation", metavar="FOLDER",
        help="the records (results/degradation)")  # fmt: skip
    options = parser.parse_args(words)
    if options.epochs and options.schedule != "paper":
        parser.error("argument --epochs: is for --schedule paper; the short one has 10")
    case_by_case.settle_machine(options, parser)
    return options


if __name__ == "__main__":
    measure.keep_freed_memory()
    sys.exit(main())
