"""The trained weights that come with the library, and how their recipe was found.

Each run is one call of the library's command line, `python -m resnet_lib train`, and leaves a
record of its own. A recipe is a list of that command's options; they stand in RECIPES, and in the
model card of what is shipped. To find one for CIFAR-10, ResNet-20 learns for a few epochs and is
judged by a tenth of the training images, held out (--validation 0.1). The command line does judge
the test images too, once, at the end, but no record of a search has it. A network that is shipped
then learns from all training images, for longer.

There were two searches, of 8 and of 15 epochs. The second one, with three recipes, was begun
because the first one's winner, trained to the end, had a test error above 10 %. So the test images
chose no recipe, but they had a part in going on.

The rows of a record, one for each epoch; errors are in percent:

  steps, learning_rate                updates so far, and the rate of the last one
  train_error, train_loss             of the images as augmented, while the network changed
  validation_error, validation_loss   of the images held out; with --validation 0 it is test_error
                                      and test_loss, of the test images
  seconds                             of the epoch's training; wall_seconds is their sum

and with --validation 0 a last one for the network at the end, in single precision:

  test_error, test_loss   of all test images
  by_class                the error for each class
  correct_of_first        correct answers among the first test images: 1,000, or all where there are
                          fewer
  sha256                  checksum of the weights. They lie in --runs, and are to be copied to
                          resnet_lib/weights/NETWORK-DATA.safetensors

A killed run goes on with the same command. What has its record already is left out.
"""

import argparse
import hashlib
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch
from bench import case_by_case, measure, record
from bench.options import at_least
from torch import Tensor

from resnet_cli import datasets
from resnet_cli.main import main as command_line
from resnet_cli.settings import DataSettings
from resnet_lib import data
from resnet_lib.nets import by_name
from resnet_lib.train import World, evaluate
from resnet_lib.weights import load_weights

SEED = 0
FIRST = 1000
INTERRUPTED = 130
ONE_CYCLE = {"schedule": "onecycle", "learning_rate": 0.1, "weight_decay": 1e-4}
CIFAR = ONE_CYCLE | {"precision": "bf16", "channels_last": True}
HIGH, DECAY, SMALL = {"learning_rate": 0.3}, {"weight_decay": 5e-4}, {"batch_size": 64}
COSINE = {"schedule": "cosine", "warmup_epochs": 1.0}
RECIPES = {
    "digits": ("digits", ONE_CYCLE | {"weight_decay": 5e-3}),
    "base": ("cifar10", CIFAR),
    "high": ("cifar10", CIFAR | HIGH),
    "decay": ("cifar10", CIFAR | DECAY),
    "high-decay": ("cifar10", CIFAR | HIGH | DECAY),
    "higher-decay": ("cifar10", CIFAR | DECAY | {"learning_rate": 0.6}),
    "nesterov": ("cifar10", CIFAR | HIGH | DECAY | {"nesterov": True}),
    "cosine": ("cifar10", CIFAR | DECAY | {"learning_rate": 0.2, "nesterov": True} | COSINE),
    "cosine-small": ("cifar10", CIFAR | DECAY | SMALL | {"nesterov": True} | COSINE),
    "smoothing": ("cifar10", CIFAR | HIGH | DECAY | {"label_smoothing": 0.1}),
    "small-batch": ("cifar10", CIFAR | DECAY | SMALL),
}


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    torch.set_num_threads(options.threads)
    worst = 0
    try:
        # All of them now: the code that runs is that of this moment's commit.
        headers = {
            (network, recipe): describe(network, recipe, options)
            for recipe in options.recipes
            for network in options.networks
        }
        for (network, recipe), header in headers.items():
            # One that failed, with a loss that ran away, does not stop the others.
            worst = max(worst, carry_out(network, recipe, header, options))
            if worst >= INTERRUPTED:
                break
    except (record.RecordError, OSError) as error:
        print(f"trained_weights.py: error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    return worst


def describe(network: str, recipe: str, options: argparse.Namespace) -> dict:
    """The header of one run's record."""
    configuration = {
        "networks": [network], "recipes": [recipe], "epochs": options.epochs,
        "validation": options.validation, "threads": options.threads, "device": options.device,
    }  # fmt: skip
    return record.describe("trained_weights", configuration, SEED)


def carry_out(network: str, recipe: str, header: dict, options: argparse.Namespace) -> int:
    """Train one network with one recipe, unless its record is there; return the exit status."""
    search = f"-search-{options.epochs}" if options.validation else ""
    name = f"trained_weights-{network}-{recipe}{search}"
    path = options.out / f"{name}.json"
    if record.is_there(path, header):
        print(f"{path} is there already.")
        return 0
    folder = options.runs / name
    record.begin(folder, header | {"recipe": RECIPES[recipe]})
    began = (folder / "run.json").exists()
    words = ["--resume", str(folder)] if began else training_words(network, recipe, folder, options)
    if status := command_line(["train", *words]):
        return status
    history = json.loads((folder / "history.json").read_text(encoding="utf-8"))
    results = [row(epoch) for epoch in history["epochs"]]
    seconds = round(sum(epoch["seconds"] for epoch in results), 1)
    if not options.validation:
        results.append(judged(network, RECIPES[recipe][0], folder / "model.safetensors"))
    day = datetime.now(UTC).date().isoformat()
    record.write(path, header | {"date": day, "wall_seconds": seconds, "results": results})
    print(f"The record is {path}.")
    return 0


def training_words(
    network: str, recipe: str, folder: Path, options: argparse.Namespace
) -> list[str]:
    """The options of the library's command line."""
    of_data, settings = RECIPES[recipe]
    settings = settings | {
        "epochs": options.epochs, "validation": options.validation, "seed": SEED,
        "device": options.device, "threads": options.threads, "save_every": 1000,
    }  # fmt: skip
    words = ["--net", network, "--data", of_data, "--out", str(folder)]
    for name, value in settings.items():
        words.append(f"--{name.replace('_', '-')}")
        words += [] if value is True else [str(value)]
    return words


def row(epoch: dict) -> dict:
    """What the record keeps of an epoch."""
    found = {name: epoch[name] for name in ("epoch", "steps", "learning_rate")}
    for part in ("train", "validation", "test"):
        if f"{part}_loss" in epoch:
            found[f"{part}_error"] = round(100 * (1 - epoch[f"{part}_accuracy"]), 3)
            found[f"{part}_loss"] = round(epoch[f"{part}_loss"], 5)
    return {"what": "epoch"} | found | {"seconds": round(epoch["seconds"], 1)}


def judged(network: str, of_data: str, path: Path) -> dict:
    """The weights on all test images, on the CPU in single precision."""
    images = datasets.load(DataSettings(data=of_data), World(torch.device("cpu")))
    net = by_name(network, len(images.classes), images.train_images.shape[1])
    load_weights(net, path)
    transform = data.Normalize(images.mean, images.std)
    batches = data.Batches(images.test_images, images.test_labels, 500, transform=transform)
    guesses: list[Tensor] = []
    hook = net.register_forward_hook(lambda *call: guesses.append(call[2].argmax(dim=1)))
    result = evaluate(net, batches)
    hook.remove()
    wrong = torch.cat(guesses) != images.test_labels
    return {
        "what": "end",
        "test_error": round(100 * (1 - result.accuracy), 3),
        "test_loss": round(result.loss, 5),
        "by_class": {
            name: round(100 * wrong[images.test_labels == number].float().mean().item(), 3)
            for number, name in enumerate(images.classes)
        },
        "correct_of_first": (~wrong[:FIRST]).sum().item(),
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="trained_weights.py",
        description=__doc__,
        epilog="On one CPU core with bfloat16 instructions an epoch of CIFAR-10 takes about a "
        "minute with 20 layers. It is looked for in RESNET_LIB_DATA, and fetched if it is not "
        "there. Then copy the weights, and write their cards: python experiments/model_cards.py.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--networks", nargs="+", required=True, metavar="NAME",
        help="as the command line names them: resnet20, plain20, ...")  # fmt: skip
    add("--recipes", nargs="+", choices=RECIPES, required=True, metavar="NAME",
        help=f"of {', '.join(RECIPES)}")  # fmt: skip
    add("--epochs", type=at_least(1), required=True, metavar="N", help="passes over the images")
    add("--validation", type=float, choices=[0, 0.1], default=0,
        help="share of the training images, held out to choose by; 0: none (0)")  # fmt: skip
    add("--threads", type=at_least(1), help="CPU threads (default: one per usable core)")
    add("--device", choices=["auto", "cpu", "cuda"], default="auto", help="auto: the GPU, if any")
    add("--runs", type=Path, default=record.ROOT / "runs" / "trained_weights", metavar="FOLDER",
        help="the command line's folders, with the weights (runs/trained_weights)")  # fmt: skip
    add("--out", type=Path, default=record.ROOT / "results" / "trained_weights", metavar="FOLDER",
        help="the records (results/trained_weights)")  # fmt: skip
    options = parser.parse_args(words)
    case_by_case.settle_machine(options, parser)
    return options


if __name__ == "__main__":
    measure.keep_freed_memory()
    sys.exit(main())
