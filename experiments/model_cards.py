"""Write the model cards of the weights that come with the library, each from its record.

A card lies beside its weights, `resnet_lib/weights/NETWORK-DATA.md`. Its record is the one in
`results/trained_weights/` that has the weights' checksum. All numbers come from there; only the
limits are written by hand, below. The tests write the cards again and compare.
"""

import hashlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import trained_weights
from bench import record

from resnet_lib import nets, weights
from resnet_lib.names import split_name

FOLDER = record.ROOT / "resnet_lib" / "weights"
RECORDS = record.ROOT / "results" / "trained_weights"
PAPER = "[He et al., 2015](https://arxiv.org/abs/1512.03385), Table 6"
OF_CIFAR = (
    "The network gives one of ten classes to any picture, also to one that shows none of them. It "
    "has learned from squares of 32 × 32 pixels with one object, large and in the middle; bring "
    "larger pictures to that size. It has been judged on CIFAR-10's test images and on nothing "
    "else. One seed was trained. The recipe was chosen for ResNet-20, on images held out. But the "
    "last search was begun because the test error of an earlier network disappointed."
)
LIMITS = {
    "resnet20-cifar10": f"{OF_CIFAR} He et al. report 8.75 % after 64,000 updates, by another "
    f"recipe ({PAPER}).",
    "resnet56-cifar10": f"{OF_CIFAR} For reasons of time this network learned for fewer epochs "
    "than ResNet-20, so the two errors do not compare depths fairly. He et al. report 6.97 % after "
    f"64,000 updates, by another recipe ({PAPER}).",
    "plain20-cifar10": f"{OF_CIFAR} This is ResNet-20 without the additions, for comparison: the "
    "same start, the same images in the same order, the same recipe.",
    "resnet8-digits": "The network knows scikit-learn's 8 × 8 digits: black ink on white, upright, "
    "filling the square, scaled as that set is. It has seen them shifted by up to one pixel. Other "
    "digits, as those of MNIST brought to this size, have not been tried, and to what is no digit "
    "it gives one all the same. The recipe was not searched for. One seed was trained. The test "
    "images are those of `data.digits()` with its default seed; another split mixes them up with "
    "the training images.",
}
DATA = {"cifar10": "trained on CIFAR-10", "digits": "trained on the digits"}
IMAGES = {"cifar10": 10_000, "digits": 360}
PIXELS = {
    "cifar10": "RGB, 32 × 32 pixels from 0 (black) to 1 (white)",
    "digits": "grey, 8 × 8 pixels from 0 (paper) to 1 (ink)",
}
NORMALISED = {
    "cifar10": "",
    "digits": "; `data.digits()` gives them as bytes, 255 full ink",
}
CARD = """\
# {title}

| Property | These weights |
|---|---|
| Load | `weights.{net}(weights="{of}")` |
| File | `{file}`, {megabytes:.2f} MB, single precision; MIT licence, as the library |
| Network | `{built}`, {parameters:,} parameters |
| Error | {error:.2f} % of all {images:,} test images, in single precision |
| Error by class | lowest {lowest}, highest {highest} |
| Input | {pixels}, less the mean {mean}, divided by the deviation {std}{normalised} |
| Output | scores of the classes {classes}, in this order |
| Training | {epochs} epochs, {updates:,} updates, seed {seed} |
| Record | `{record}` |
| Machine | {cpu}, {threads} thread{s}, {seconds:.0f} seconds of training |

The recipe, as a command of the library:

```bash
{recipe}
```

The run that made these weights, and judged them:

```bash
{command}
```

**Limits.** {limits}
"""


def main() -> int:
    """Write all cards."""
    for file in sorted(FOLDER.glob("*.safetensors")):
        file.with_suffix(".md").write_text(card(file), encoding="utf-8")
        print(f"wrote {file.with_suffix('.md')}")
    return 0


def card(file: Path) -> str:
    """The card of a file of weights.

    Raises:
        LookupError: no record has made these weights.
    """
    path = record_of(file)
    held = record.load(path)
    *epochs, end = held["results"]
    about = weights.read_card(file)
    net, _, of = file.stem.partition("-")
    residual, depth = split_name(net)
    channels = len(about.mean)
    arguments = [str(depth)]
    arguments += [f"in_channels={channels}"] if channels != 3 else []
    arguments += [] if residual else ["residual=False"]
    model = nets.by_name(net, len(about.classes), channels)
    return CARD.format(
        title=f"{f'ResNet-{depth}' if residual else f'Plain network, {depth} layers'}, {DATA[of]}",
        net=net,
        of=of,
        file=file.name,
        megabytes=file.stat().st_size / 1e6,
        built=f"nets.CifarResNet({', '.join(arguments)})",
        parameters=sum(p.numel() for p in model.parameters()),
        error=end["test_error"],
        images=IMAGES[of],
        lowest=extreme(end["by_class"], min),
        highest=extreme(end["by_class"], max),
        pixels=PIXELS[of],
        normalised=NORMALISED[of],
        mean=listed(about.mean),
        std=listed(about.std),
        classes=", ".join(about.classes),
        epochs=len(epochs),
        updates=epochs[-1]["steps"],
        seed=held["seed"],
        record=path.relative_to(record.ROOT).as_posix(),
        cpu=held["hardware"]["cpu"],
        threads=held["hardware"]["threads"],
        s="" if held["hardware"]["threads"] == 1 else "s",
        seconds=held["wall_seconds"],
        recipe=wrapped(recipe(net, of, held["configuration"])),
        command=wrapped(held["command"]),
        limits=LIMITS[file.stem],
    )


def record_of(file: Path) -> Path:
    """The record of the run that made a file of weights."""
    checksum = hashlib.sha256(file.read_bytes()).hexdigest()
    for path in sorted(RECORDS.glob("*.json")):
        if record.load(path)["results"][-1].get("sha256") == checksum:
            return path
    raise LookupError(f"no record in {RECORDS} has made {file}")


def extreme(by_class: dict[str, float], pick: Callable[[Iterable[float]], float]) -> str:
    """The lowest or highest error of a class, and whose it is."""
    error = pick(by_class.values())
    there = [name for name, one in by_class.items() if one == error]
    return f"{error:.1f} % ({there[0] if len(there) == 1 else f'{len(there)} classes'})"


def listed(numbers: list[float]) -> str:
    return ", ".join(f"{number:.4f}" for number in numbers)


def recipe(net: str, of: str, configuration: dict) -> str:
    """The command of the library that trains like this."""
    _, settings = trained_weights.RECIPES[configuration["recipes"][0]]
    words = [f"python -m resnet_lib train --net {net} --data {of}"]
    words.append(f"--epochs {configuration['epochs']}")
    for name, value in settings.items():
        words.append(f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}"))
    return " ".join([*words, f"--out runs/{net}-{of}"])


def wrapped(command: str) -> str:
    """A command over several lines, broken before options only."""
    lines = [""]
    for words in command.replace(" --", "\n--").splitlines():
        if len(lines[-1]) + len(words) > 74:
            lines[-1] += " \\"
            lines.append("   ")
        lines[-1] += f" {words}"
    return "\n".join(lines).removeprefix(" ")


if __name__ == "__main__":
    sys.exit(main())
