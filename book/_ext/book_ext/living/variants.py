"""Variants: thirteen networks on two axes of the reader's choice.

The numbers are those of results/variants.json, variants_projections.json and variants_time.json,
as in chapter 19. tests/pages/test_living_variants.py compares what is shown with these records.
"""

import json
import math
import statistics
from functools import partial

from book_ext.living.parts import Figure, Menu, Table, fixed

RECORDS = ("results/variants.json", "results/variants_projections.json")
TIMES = "results/variants_time.json"
BASE = "residual"
# Each with the ends of its logarithmic axis and the marks on it.
QUANTITIES = {
    "test": ("test error, %", [2, 65], [2, 5, 10, 20, 50]),
    "training": ("training error, %", [0.6, 80], [1, 2, 5, 10, 20, 50]),
    "parameters": ("parameters", [150_000, 800_000], [200_000, 400_000, 700_000]),
    "work": ("multiply-adds", [1.4e6, 7.2e6], [2_000_000, 4_000_000, 6_000_000]),
    "time": ("time of a step, usual block = 1", [0.45, 3], [0.5, 1, 1.5, 2, 3]),
}


def networks(root):
    """By name, of each quantity the middle and the ends of its range."""
    times = json.loads((root / TIMES).read_text(encoding="utf-8"))["results"][0]["ratios"]
    found = {}
    for path in RECORDS:
        for row in json.loads((root / path).read_text(encoding="utf-8"))["results"]:
            ratio = times[row["network"]]
            found[row["network"]] = {
                "test": spread(row["errors"]),
                "training": spread(row["training"]),
                "parameters": [row["parameters"]] * 3,
                "work": [row["multiply_adds"]] * 3,
                "time": [ratio[key] for key in ("median", "lower_quartile", "upper_quartile")],
                "errors": row["errors"],
            }
    return found


def spread(errors):
    return [statistics.mean(errors), min(errors), max(errors)]


def written(values, places):
    middle, low, high = map(partial(fixed, places), values)
    return f"{middle} ({low} to {high})"


def table(found):
    rows = [
        [
            name,
            *(written(one[error], 1) for error in ("test", "training")),
            *(f"{one[count][0]:,}" for count in ("parameters", "work")),
            written(one["time"], 2),
        ]
        for name, one in found.items()
    ]
    header = ["network", *(words for words, *_ in QUANTITIES.values())]
    caption = "Errors: mean and range of six seeds; time: median and quartiles of sixteen turns"
    return Table(caption, header, rows)


def axis(quantity):
    words, ends, ticks = QUANTITIES[quantity]
    return {"words": words, "ends": [math.log10(end) for end in ends], "ticks": ticks}


def figure(root):
    found = networks(root)
    options = {quantity: words for quantity, (words, *_) in QUANTITIES.items()}
    return Figure(
        title="Choose two axes, and a network by its name or its dot; lines show the range of six "
        "seeds, or the quartiles of time. Joined are the networks that no other beats",
        controls=[
            Menu("up", "upward", options, "test"),
            Menu("across", "across", options, "time"),
            Menu("network", "network", {name: name for name in found}, "resnet-d"),
        ],
        table=table(found),
        high=380,
        data={
            "networks": found,
            "base": BASE,
            "axes": {quantity: axis(quantity) for quantity in QUANTITIES},
        },
        takes_place=False,
    )
