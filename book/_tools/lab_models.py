"""Make what the lab's page loads: the switched networks as ONNX files, the digits, test values.

    python book/_tools/lab_models.py

The networks are those whose weights come with the library. tests/book/test_lab_models.py makes
everything once more and compares, so that no stale file stays. The pictures for ResNet-20 are made
by lab_pictures.py.
"""

from __future__ import annotations

import base64
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor

from resnet_lib import data, export, weights
from resnet_lib.files import write_whole
from resnet_lib.switches import Switched

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "book" / "_static" / "lab"
EXPECTED = ROOT / "tests" / "pages" / "lab_expected.json"
NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "digits": lambda: weights.resnet8("digits"),
    "pictures": lambda: weights.resnet20("cifar10"),
}
SHAPES = {"digits": (1, 8, 8), "pictures": (3, 32, 32)}
PARTS = ("shortcut", "branch", "output")
DIGIT_SIGNS = "0123456789abcdefg"  # a count of 0 to 16 each


def switched(name: str) -> Switched:
    return Switched(NETWORKS[name]().eval())


def write_model(name: str, folder: Path = LAB) -> Path:
    """The network with its switches as further inputs and each block's signals as outputs."""
    network = switched(name)
    on = torch.ones(len(network.names))
    outputs = [f"{block}.{part}" for block in network.names for part in PARTS]
    images = torch.zeros(1, *SHAPES[name])
    inputs = {"skips": on, "branches": on}
    return export.to_onnx(network, folder / f"{name}.onnx", images, inputs, outputs)


def digits_text() -> str:
    """The test digits as counts, with what the page has to know of their network."""
    found, card = data.digits(), weights.model_card("resnet8", "digits")
    counts = (found.test_images.double() * 16 / 255).round().to(torch.int64)  # (360, 1, 8, 8)
    held = {
        "blocks": switched("digits").names,
        "classes": found.classes,
        "mean": card.mean,
        "std": card.std,
        "labels": "".join(map(str, found.test_labels.tolist())),
        "counts": "".join(DIGIT_SIGNS[count] for count in counts.flatten().tolist()),
    }
    return json.dumps(held) + "\n"


def states(name: str) -> Iterator[tuple[list[float], list[float]]]:
    """Skips and branches: all 64 states of the digits' network; each lesion alone of the other."""
    blocks = len(switched(name).names)
    if name == "digits":
        for state in itertools.product((1.0, 0.0), repeat=2 * blocks):
            yield list(state[:blocks]), list(state[blocks:])
        return
    for off in range(2 * blocks + 1):
        state = [float(number != off) for number in range(2 * blocks)]
        yield state[:blocks], state[blocks:]


def examples(name: str) -> Tensor:
    """Images as the network takes them, normalised as its card says."""
    if name == "digits":
        card = weights.model_card("resnet8", "digits")
        return data.Normalize(card.mean, card.std)(data.digits().test_images)
    held = json.loads((LAB / "pictures.json").read_text(encoding="utf-8"))
    pixels = torch.tensor(list(base64.b64decode(held["pixels"])), dtype=torch.uint8)
    images = pixels.view(-1, 32, 32, 3).permute(0, 3, 1, 2)
    return data.Normalize(held["mean"], held["std"])(images)


@torch.no_grad()
def expected_text() -> str:
    """Scores of the first example in each of the states."""
    found = {}
    for name in NETWORKS:
        network, first = switched(name), examples(name)[:1]
        rows = [network(first, torch.tensor(s), torch.tensor(b))[0][0] for s, b in states(name)]
        found[name] = [[round(score, 5) for score in row.tolist()] for row in rows]
    return json.dumps(found) + "\n"


def main() -> int:
    torch.set_num_threads(1)
    LAB.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        path = write_model(name)
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    for path, text in ((LAB / "digits.json", digits_text()), (EXPECTED, expected_text())):
        write_whole(path, text.encode())
        print(f"{path.relative_to(ROOT)}: {len(text):,} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
