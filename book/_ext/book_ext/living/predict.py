"""Predict, then reveal: the reader draws a curve, then the measured one appears.

One script, three questions. Question 1 of chapter 01 is answered by the kept output of its own
measurement, those of chapters 07 and 13 by records. tests/pages/test_living_predict.py reads them
anew and compares.
"""

import json
import re
import statistics
from functools import partial

from book_ext.living.parts import Choice, Curve, Figure, Switch, Table, fixed, number, span

CHAPTER = "chapters/01_why_depth_fails.ipynb"
PRINTED = re.compile(r"^(\d+) layers +(\d+) % \((\d+) to (\d+)\)$", re.MULTILINE)
REGIMES = "results/gradient_regimes.json"
CURVES = "results/degradation/degradation-short"
PERCENT = {
    "up": "training error in %",
    "lowest": 0,
    "highest": 100,
    "ticks": [0, 20, 40, 60, 80, 100],
    "guessing": 90,
}


def measured(words, kind, runs, **more):
    """A curve: the least, the mean and the most of its runs at each place."""
    sides = {"low": min, "middle": statistics.mean, "high": max}
    columns = list(zip(*runs, strict=True))
    found = {name: [side(column) for column in columns] for name, side in sides.items()}
    return {"words": words, "kind": kind, **found, **more}


def depth(root):
    """Chapter 01, question 1: the training error of three depths, as its measurement printed it."""
    cells = json.loads((root / CHAPTER).read_text(encoding="utf-8"))["cells"]
    printed = [
        "".join(output["text"])
        for cell in cells
        for output in cell.get("outputs", ())
        if "".join(output.get("text", ())).startswith("training error after five epochs")
    ]
    rows = [[int(value) for value in row] for row in PRINTED.findall(printed[0])]
    at, middle, low, high = map(list, zip(*rows, strict=True))
    curve = {"words": "plain", "kind": "plain", "low": low, "middle": middle, "high": high}
    data = PERCENT | {"places": at, "at": at, "across": "layers", "unit": "layers", "digits": 0}
    data |= {"curves": {"plain": curve}, "runs": "three seeds"}
    return data, [f"{place} layers" for place in at]


def gradient(root):
    """Chapter 07, question 3 at 56 layers: each convolution's gradient before training."""
    results = json.loads((root / REGIMES).read_text(encoding="utf-8"))["results"]
    curves = {}
    for kind, words in (("plain", "plain"), ("residual", "with shortcuts")):
        case = {"depth": 56, "kind": kind, "norm": "batch norm", "start": "he"}
        runs = [run["norms"][:-1] for run in results if case.items() <= run.items()]
        ratios = [run[0] / run[-1] for run in runs]
        ends = [min(ratios), max(ratios)]
        curves[kind] = measured(words, kind, runs, ratio=ends)
    at = list(range(1, len(curves["plain"]["low"]) + 1))
    data = {
        "places": at[::9],
        "at": at,
        "across": "convolution, from the input",
        "unit": "convolution",
        "up": "size of the gradient",
        "lowest": -3,
        "highest": 5,
        "ticks": list(range(-2, 5)),
        "isLog": True,
        "curves": curves,
        "runs": "three seeds",
    }
    return data, [f"convolution {place}" for place in at[::9]]


def epochs(root):
    """Chapter 13, question 1: the training error by epoch, with the shallow network given."""

    def courses(network):
        paths = (root / f"{CURVES}-{network}-{seed}.json" for seed in (0, 1))
        records = [json.loads(path.read_text(encoding="utf-8"))["results"] for path in paths]
        return [[row["train_error"] for row in rows if row["what"] == "epoch"] for rows in records]

    curves = {}
    for kind, network, words in (("plain", "plain", "plain"), ("residual", "resnet", "residual")):
        given = measured("20 layers", kind, courses(f"{network}20"))
        name = f"{words}, 56 layers"
        curves[kind] = measured(name, kind, courses(f"{network}56"), given=given)
    at = list(range(1, len(curves["plain"]["low"]) + 1))
    data = PERCENT | {"places": at, "at": at, "across": "epoch", "unit": "epoch", "digits": 1}
    return data | {"curves": curves, "runs": "two seeds"}, [f"epoch {place}" for place in at]


QUESTIONS = {"depth": depth, "gradient": gradient, "epochs": epochs}
TITLES = {
    "depth": "Draw the training error that you expect after five epochs",
    "gradient": "Draw the gradients that you expect in 56 layers, before training",
    "epochs": "Draw the training error that you expect of 56 layers",
}


def curve(data, names):
    """The reader's points; they begin as a level line in the middle of the axis."""
    if "isLog" in data:
        steps = range(10 * data["lowest"], 10 * data["highest"] + 1)
        values = [step / 10 for step in steps]
        texts = [number(10**value) for value in values]
        return Curve("point", "your curve", names, values, 1.0, texts)
    values = list(range(data["highest"] + 1))
    return Curve("point", "your curve", names, values, 50, [f"{value} %" for value in values])


def table(data, names):
    write = number if "isLog" in data else partial(fixed, data["digits"])
    places = [data["at"].index(place) for place in data["places"]]
    shown = {one["words"]: one for one in data["curves"].values()}
    shown |= {
        f"{one['words'].partition(',')[0]}, {one['given']['words']}": one["given"]
        for one in data["curves"].values()
        if "given" in one
    }
    rows = [
        [name, *(span([one["low"][place], one["high"][place]], write) for one in shown.values())]
        for name, place in zip(names, places, strict=True)
    ]
    return Table(f"Measured: {data['up']}, {data['runs']}", [data["unit"], *shown], rows)


def figure(root, which="depth"):
    data, names = QUESTIONS[which](root)
    words = {name: one["words"] for name, one in data["curves"].items()}
    choice = [Choice("network", "network", words, "plain")] if len(words) > 1 else []
    how = "drag in the picture, or go to a point with Tab and move it with the arrow keys"
    return Figure(
        title=f"{TITLES[which]}: {how}",
        controls=[*choice, curve(data, names), Switch("measured", "show what was measured", False)],
        table=table(data, names),
        high=320,
        data=data,
    )
