"""Which settings train a folder of a reader's own pictures well?

Three folders of pictures are made, as such folders are laid out in public:

  photos-150     train/ and val/ with three classes of CIFAR-10, 50 training pictures each
  digits-600     a folder for each digit of scikit-learn's set, enlarged to 16 × 16, not split yet
  photos-2000    train/ and test/ with all ten classes of CIFAR-10, 200 training pictures each

`data.image_folder` reads them, and each recipe of RECIPES trains on them for as many passes over
the pictures: "default" has the settings that `python -m resnet_lib train` takes for a folder, and
the ones below it in the list change one of them. "torchvision" has those of its reference script
for ResNets, with the rate brought to the batch size.

  error        test error in percent after the last epoch
  train_loss   of the last epoch, as augmented, while the network changed
  highest      the highest training loss of any epoch; null where it was not finite
  seconds      of training, on a machine that may have had other work to do

The default was chosen with runs like these, by the same test pictures, before the record was made.
With few seeds, differences of a few points say nothing. CIFAR-10 is taken from the folder in
RESNET_LIB_DATA. A killed run goes on with the same command.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch
from bench import case_by_case, record
from bench.options import at_least, json_file
from PIL import Image
from torch import nn

from resnet_cli.settings import FOLDER_BATCH_SIZE, FOLDER_CONFIG, FOLDER_WARMUP
from resnet_lib import data, nets, train

SEED = 0
CPU = train.World(torch.device("cpu"))
CLASSES_OF_150, TEST_PER_CLASS = 3, {"photos-150": 100, "photos-2000": 50}
DEFAULT = {
    "batch": FOLDER_BATCH_SIZE,
    "rate": FOLDER_CONFIG["learning_rate"],
    "warmup": FOLDER_WARMUP,
    "decay": FOLDER_CONFIG["weight_decay"],
    "augment": "shift",
}
RECIPES = {
    "default": DEFAULT,
    "not shifted": DEFAULT | {"augment": ""},
    "mirrored": DEFAULT | {"augment": "shift flip"},
    "rate / 4": DEFAULT | {"rate": DEFAULT["rate"] / 4},
    "rate x 4": DEFAULT | {"rate": DEFAULT["rate"] * 4},
    "no warm-up": DEFAULT | {"warmup": 0.0},
    "torchvision": {
        **{"batch": 32, "rate": 0.1 * 32 / 256, "warmup": 0.0, "decay": 1e-4},
        **{"augment": "wide-crop flip", "schedule": "step", "milestones": (1 / 3, 2 / 3)},
    },
}
CASES = [
    *(("digits-600", "resnet8", recipe) for recipe in RECIPES),
    *(("photos-150", "resnet8", recipe) for recipe in RECIPES),
    *(("photos-150", "resnet18", recipe) for recipe in ("default", "torchvision")),
    *(("photos-2000", "resnet8", recipe) for recipe in ("default", "mirrored", "torchvision")),
]


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [
        {"folder": folder, "network": network, "recipe": recipe, "seed": seed}
        for seed in range(options.seeds)
        for folder, network, recipe in CASES
    ]
    return case_by_case.carry_out(
        "own_pictures",
        options,
        SEED,
        cases,
        lambda case: measure(case, options.epochs),
        "{folder:11} {network:8} {recipe:11} seed {seed}",
        lambda row: f"  error {row['error']:.1f} %  loss {row['train_loss']}  {row['seconds']} s",
    )


def measure(case: dict, epochs: int) -> dict:
    """Make the folder, train, and judge by the test pictures."""
    with tempfile.TemporaryDirectory() as place:
        size = fill(Path(place), case["folder"])
        found = data.image_folder(place, size, test_fraction=0.375)
    recipe = RECIPES[case["recipe"]]
    torch.manual_seed(case["seed"])
    classes = len(found.classes)
    net = nets.CifarResNet(8, classes) if case["network"] == "resnet8" else nets.resnet18(classes)
    batches = data.Batches(
        found.train_images,
        found.train_labels,
        recipe["batch"],
        shuffle=True,
        drop_last=len(found.train_labels) > recipe["batch"],
        transform=nn.Sequential(*augmentation(recipe["augment"], size), found.normalize),
        seed=case["seed"],
    )
    test = data.Batches(found.test_images, found.test_labels, 200, transform=found.normalize)
    began = time.monotonic()
    losses = fitted(net, batches, config(recipe, epochs, case["seed"]))
    seconds = round(time.monotonic() - began, 1)
    chance = 100 * (1 - 1 / classes)
    error = 100 * (1 - train.evaluate(net, test).accuracy) if losses else chance
    last, highest = (round(losses[-1], 4), round(max(losses), 4)) if losses else (None, None)
    return {"error": round(error, 2), "train_loss": last, "highest": highest, "seconds": seconds}


def fitted(net: nn.Module, batches: data.Batches, settings: train.TrainConfig) -> list[float]:
    """The training loss of each epoch; none where it stopped being finite."""
    try:
        return list(
            train.fit(net, batches, config=settings, world=CPU, progress=False)["train_loss"]
        )
    except train.NonFiniteLoss:
        return []


def config(recipe: dict, epochs: int, seed: int) -> train.TrainConfig:
    """Settings of `fit`."""
    return train.TrainConfig(
        epochs=epochs,
        learning_rate=recipe["rate"],
        weight_decay=recipe["decay"],
        schedule=recipe.get("schedule", "cosine"),
        milestones=recipe.get("milestones", (0.5, 0.75)),
        warmup_epochs=recipe["warmup"] * epochs,
        seed=seed,
    )


def augmentation(words: str, size: int) -> list[nn.Module]:
    """The steps that a recipe names."""
    steps = {
        "shift": lambda: data.RandomCrop(max(1, size // 8)),
        "wide-crop": lambda: data.RandomResizedCrop(size),
        "flip": data.RandomFlip,
    }
    return [steps[word]() for word in words.split()]


def fill(place: Path, folder: str) -> int:
    """Save the pictures of a folder; return their size."""
    if folder == "digits-600":
        from sklearn.datasets import load_digits

        stored = load_digits()
        for number in range(960):
            pixels = Image.fromarray((stored.images[number] * 255 / 16).round().astype("uint8"))
            save(place / str(stored.target[number]), number, pixels.resize((16, 16)))
        return 16
    cifar = data.cifar10()
    classes, held = (CLASSES_OF_150 if folder == "photos-150" else 10), TEST_PER_CLASS[folder]
    test = "val" if folder == "photos-150" else "test"
    count = int(folder.split("-")[1]) // classes
    for part, images, labels, most in (
        ("train", cifar.train_images, cifar.train_labels, count),
        (test, cifar.test_images, cifar.test_labels, held),
    ):
        for label in range(classes):
            for number in (labels == label).nonzero()[:most, 0].tolist():
                picture = Image.fromarray(images[number].permute(1, 2, 0).numpy())
                save(place / part / cifar.classes[label], number, picture)
    return 32


def save(folder: Path, number: int, picture: Image.Image) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / f"{number:05}.png")


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options; what does not fit ends the program with status 2 and says so."""
    parser = argparse.ArgumentParser(
        prog="own_pictures.py",
        description=__doc__,
        epilog="The defaults took 71 minutes on one core of a busy machine.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--seeds", type=at_least(1), default=3, metavar="N", help="seeds (3)")
    epochs = FOLDER_CONFIG["epochs"]
    add("--epochs", type=at_least(1), default=epochs, metavar="N", help=f"epochs ({epochs})")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--device", choices=["cpu"], default="cpu", help="cpu: the networks are too small for more")
    add("--out", type=json_file, default=record.ROOT / "results" / "own_pictures.json",
        metavar="FILE.json", help="the record (results/own_pictures.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
