"""Bad input to data, and to what writes and reads files: what each answers."""

import bad_input
import numpy as np
import pytest
import torch
from bad_input import CHOICE, FROM_ONE, NUMBER, PATH, SHARE, WHOLE, Bad, Entry, Odd
from PIL import Image

from resnet_lib import arguments, data

IMAGES, LABELS = torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.arange(4)
PAIR = {"images": IMAGES, "labels": LABELS, "batch_size": 2}
BATCH_LABELS = [Bad(value, TypeError) for value in (None, [0, 1, 2, 3], Odd())]
BATCH_LABELS += [Bad(LABELS[:3], ValueError, "equally many"), Bad(LABELS[:, None], ValueError)]
FLAG = [Bad(value, ValueError) for value in ("yes", 1, Odd())]
COLOR = [*NUMBER, Bad(-0.1, ValueError)]
BOUNDS = [Bad(value, ValueError) for value in (None, 0.5, (0.5,), (0.9, 0.1), (0, 1), "ab")]
CHANNELS = [Bad(value, ValueError) for value in (None, 0.5, (), "ab")]
CHANNELS += [Bad((None,), TypeError), Bad(("x",), TypeError), Bad((float("nan"),), ValueError)]
NOT_THERE = [Bad("nowhere", FileNotFoundError), Bad("", FileNotFoundError, "")]
SEED = [*WHOLE, Bad(2**32, ValueError)]
PICTURE = Image.new("RGB", (9, 9))


def batch(transform):
    """A transform, called with a batch."""

    def call(images):
        return transform.train()(images)

    call.__qualname__ = f"{type(transform).__name__}.forward"
    return Entry(call, {}, {"images": bad_input.IMAGES})


TABLE = [
    Entry(
        data.Batches,
        PAIR,
        {
            "images": bad_input.IMAGES[:-1],
            "labels": BATCH_LABELS,
            "batch_size": FROM_ONE,
            "shuffle": FLAG,
            "drop_last": [*FLAG, Bad(None, ValueError)],
            "augment": FLAG,
            "seed": SEED,
            "transform": [Bad(3, TypeError), Bad("flip", TypeError)],
            "device": [
                Bad(place, ValueError, "cannot be used") for place in ("nonsense", "cuda:99")
            ],
        },
    ),
    Entry(
        data.ColorJitter,
        {"hue": 0.1},
        {
            **dict.fromkeys(("brightness", "contrast", "saturation"), COLOR),
            "hue": [*SHARE, Bad(0.6, ValueError), Bad(0, ValueError, "must be above 0")],
        },
    ),
    Entry(data.Normalize, {"mean": (0.5,), "std": (0.2,)}, {"mean": CHANNELS}),
    Entry(
        data.Normalize,
        {"mean": (0.5,), "std": (0.2,)},
        {"std": [*CHANNELS, Bad((0,), ValueError), Bad((0.1, 0.1), ValueError)]},
    ),
    Entry(data.RandomCrop, {}, {"padding": FROM_ONE}),
    Entry(data.RandomFlip, {}, {"p": [*SHARE, Bad(0, ValueError)]}),
    Entry(
        data.RandomResizedCrop, {"size": 8}, {"size": FROM_ONE, "scale": BOUNDS, "ratio": BOUNDS}
    ),
    batch(data.RandomCrop()),
    batch(data.RandomFlip()),
    batch(data.RandomResizedCrop(4)),
    batch(data.ColorJitter(0.1)),
    batch(data.Normalize((0.5,) * 3, (0.2,) * 3)),
    Entry(
        data.digits,
        {},
        {"size": CHOICE, "test_fraction": [*NUMBER, Bad(0, ValueError)], "seed": SEED},
    ),
    Entry(
        data.draw_shape,
        {"kind": "circle", "size": 8, "dice": np.random.default_rng(0)},
        {
            "kind": CHOICE,
            "size": [*WHOLE, Bad(7, ValueError)],
            "dice": [Bad(value, TypeError) for value in (None, 0, np.random, Odd())],
        },
    ),
    Entry(
        data.image_folder,
        {"root": "nowhere"},
        {"root": [Bad(None, TypeError), Bad(3, TypeError), Bad("nowhere", FileNotFoundError)]},
    ),
    Entry(
        data.image_folder,
        {"root": "."},
        {
            "root": [Bad(".", ValueError, "must hold|class")],
            "size": [*WHOLE, Bad(7, ValueError)],
            "test_fraction": [*NUMBER, Bad(0, ValueError), Bad(1, ValueError)],
            "seed": SEED,
            "cache": [Bad(3, TypeError), Bad("nowhere/x", ValueError), Bad("inside", ValueError)],
        },
    ),
    Entry(
        data.read_picture,
        {"source": PICTURE, "size": 8},
        {
            "source": [
                *(Bad(value, TypeError) for value in (None, 3, IMAGES[0])),
                *(Bad(value, ValueError, "cannot be read") for value in (b"", b"x" * 99, ".")),
                Bad("nowhere.png", FileNotFoundError),
            ],
            "size": FROM_ONE,
            "channels": [Bad(value, ValueError) for value in (None, "3", 2, 3.0)],
        },
    ),
    Entry(
        data.read_record,
        {},
        {"path": [*PATH, Bad("results/nothing.json", FileNotFoundError, "There are:")]},
    ),
    Entry(
        arguments.check_module,
        {"name": "model"},
        {"value": [Bad(3, TypeError, "^model must be a")]},
    ),
    Entry(
        arguments.check_path,
        {"name": "place"},
        {"value": [Bad(b"x", TypeError, "^place must be a")]},
    ),
    Entry(
        arguments.check_text, {"name": "note"}, {"value": [Bad(3, TypeError, "^note must be a")]}
    ),
]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_input.assert_refused(entry, tmp_path)
