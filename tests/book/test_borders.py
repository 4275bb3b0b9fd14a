"""The author's tool that finds what a notebook says by a hair."""

import pytest
import toy_book
from borders import findings, notes_on
from notebooks import write
from toy_book import code

PLACE = [0, 3, 4]


def runs(kind, *machines):
    """What two machines or more noted at one place."""
    return [[{"where": PLACE, "kind": kind, **note}] for note in machines]


def compared(*pairs):
    return runs("compared", *({"sign": "<", "left": a, "right": b} for a, b in pairs))


def printed(form, *values):
    return runs("printed", *({"value": value, "form": form} for value in values))


def close(*shares):
    return runs("close", *({"used": share} for share in shares))


@pytest.mark.parametrize(
    ("noted", "words"),
    [
        (compared((1.3e-6, 1e-5), (1.1e-5, 1e-5)), "within a factor of 3"),
        (compared((4e-6, 1e-5), (4.01e-6, 1e-5)), "within a factor of 3"),
        (compared((232, 300), (69, 300)), "differs by 1.6e+02"),
        (compared((12.0, 15), (10.9, 15)), "differs by 1.1"),
        (printed(".1f", 3.649, 3.6485), "prints 3.649, 3.6485 as '.1f'"),
        (printed(".1f", -0.01, 0.04), "prints -0.01, 0.04 as '.1f'"),
        (close(0.5, 0.01), "uses 0.5, 0.01 of its tolerance"),
        (close(1.5, 2.0), "of its tolerance"),
        (runs("raised", {"says": "AssertionError"}), "AssertionError"),
        ([*compared((1, 15)), []], "compared 1, 0 times"),
    ],
)
def test_what_another_machine_might_not_say_is_named(noted, words):
    (found,) = findings(noted)
    assert found.startswith("cell 0, line 3: ")
    assert words in found


@pytest.mark.parametrize(
    "noted",
    [
        compared((1e-6, 1e-5), (3e-6, 1e-5)),
        compared((9e-21, 1e-20), (9e-21, 1e-20)),  # no rounding in it
        compared((232, 1000), (69, 1000)),
        compared((14.9, 15), (14.9, 15)),
        printed(".1f", 3.6, 3.601),
        printed(".0f", 1e-6, 1e-5),
        close(0.3, 0.0),
        close(4.0, 1e9),
    ],
)
def test_what_keeps_its_distance_is_not(noted):
    assert not list(findings(noted))


def test_what_is_printed_where_outputs_may_differ_does_not_count():
    assert not list(findings(printed(".1f", 3.6, 4.6), may_differ={0}))
    assert list(findings(compared((14, 15), (16, 15)), may_differ={0}))


def test_a_notebook_is_noted_as_it_runs(tmp_path):
    cells = [
        code('import math\n\nx = 0.5\nassert 0 < x < 1.5\nprint(f"{x:.2f}, {len(cells):3}")'),
        code("cells = 1\nmath.isclose(x, 0.5 + 1e-10, abs_tol=1e-9, rel_tol=0)"),
        code("import torch\n\ntorch.allclose(torch.ones(2), torch.ones(2) + 1e-3, atol=1e-2)"),
        code('1 / 0\n"not reached"'),
        code("1 / 0", tags=("raises-exception",)),
    ]
    cells[0].source = "cells = []\n" + cells[0].source
    write(toy_book.notebook(cells), tmp_path / "01_toy.ipynb")
    noted = notes_on(tmp_path / "01_toy.ipynb", {})
    assert [(n["where"][0], n["kind"]) for n in noted] == [
        *[(0, "compared")] * 2, (0, "printed"), (1, "close"), (2, "close"), (3, "raised")
    ]  # fmt: skip
    assert [noted[0][k] for k in ("left", "sign", "right")] == [0, "<", 0.5]
    assert (noted[2]["value"], noted[2]["form"]) == (0.5, ".2f")
    assert noted[3]["used"] == pytest.approx(0.1, rel=1e-3)
    assert noted[4]["used"] == pytest.approx(0.1, rel=1e-2)
    assert noted[5]["says"] == "ZeroDivisionError: division by zero"
