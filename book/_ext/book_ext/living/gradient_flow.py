"""Gradient flow: the gradient of each convolution before training, and what training made of it.

All numbers are those of results/gradient_regimes.json: three seeds of each network, 128 digits.
tests/pages/test_living_gradient.py compares what is shown with the record.
"""

import json
from functools import partial
from itertools import product

from book_ext.living.parts import Choice, Figure, Switch, Table, fixed, span

RECORD = "results/gradient_regimes.json"
DEPTHS = {"8": "8", "20": "20", "56": "56"}
STARTS = {"he": "He weights", "default": "PyTorch’s default", "zero gamma": "zero γ"}
KINDS = {"plain": "plain", "residual": "with shortcuts"}
QUANTITIES = {
    "first": "gradient, first convolution",
    "last": "gradient, last convolution",
    "ratio": "first over last",
    "cosine": "cosine of two batches",
    "SGD": "training error in %, SGD",
    "Adam": "training error in %, Adam",
}
# The axis, in powers of ten: the smallest gradient is above 10^-27, the largest below 10^3.
LOWEST, HIGHEST, TICKS = -28, 4, (-25, -20, -15, -10, -5, 0)


def runs(root):
    """The record's runs by network: depth, kind, norm and start, joined."""
    record = json.loads((root / RECORD).read_text(encoding="utf-8"))
    found = {}
    for run in record["results"]:
        found.setdefault(name_of(run), []).append(run)
    return found


def name_of(run):
    return "/".join(str(run[key]) for key in ("depth", "kind", "norm", "start"))


def error(run, optimizer):
    """The error after the last epoch, at the better of the two rates."""
    ways = [way for way in run["training"] if way["optimizer"] == optimizer]
    return min(way["errors"][-1] for way in ways)


def kept(run):
    """What the script needs of a run; the classifier's gradient, the last, is not shown."""
    errors = {optimizer: error(run, optimizer) for optimizer in ("SGD", "Adam")}
    return {"norms": run["norms"][:-1], "cosine": run["cosine"], **errors}


def table(found):
    rows = []
    for (kind, words), norm, (start, weights), depth in product(
        KINDS.items(), ("batch norm", "none"), STARTS.items(), DEPTHS
    ):
        if seeds := found.get(f"{depth}/{kind}/{norm}/{start}"):
            name = f"{depth} layers, {words}, {norm.replace('none', 'no norm')}, {weights}"
            rows.append([name, *cells([kept(run) for run in seeds])])
    return Table("Gradients before training, three seeds", ["network", *QUANTITIES.values()], rows)


def cells(seeds):
    first, last = ([run["norms"][place] for run in seeds] for place in (0, -1))
    ratios = [one / other for one, other in zip(first, last, strict=True) if other]
    cosines = span([run["cosine"] for run in seeds], partial(fixed, 2))
    errors = [span([run[way] for run in seeds], partial(fixed, 1)) for way in ("SGD", "Adam")]
    return [span(first), span(last), span(ratios) if ratios else "–", cosines, *errors]


def panel():
    head = "".join(f'<th scope="col">{words}</th>' for words in KINDS.values())
    rows = ""
    for name, words in QUANTITIES.items():
        slots = "".join(f'<td data-slot="{name} {kind}"></td>' for kind in KINDS)
        rows += f'<tr><th scope="row">{words}</th>{slots}</tr>'
    return (
        '<table class="table spans"><caption>Before training, and after six epochs</caption>'
        f"<thead><tr><td></td>{head}</tr></thead><tbody>{rows}</tbody></table>"
        "<p>From the lowest to the highest of three seeds. The error is that of each run’s better "
        "rate; guessing is at 90.</p>"
    )


def figure(root):
    found = runs(root)
    return Figure(
        title="Choose a network, and see the gradient in each of its convolutions",
        controls=[
            Choice("depth", "layers", DEPTHS, "56"),
            Choice("start", "start", STARTS, "he"),
            Switch("norm", "batch norm", True),
            Switch("skip", "shortcuts", False),
        ],
        table=table(found),
        high=430,
        data={
            "networks": {name: list(map(kept, seeds)) for name, seeds in found.items()},
            "starts": STARTS,
            "lowest": LOWEST,
            "highest": HIGHEST,
            "ticks": TICKS,
        },
        panel=panel(),
        takes_place=False,
    )
