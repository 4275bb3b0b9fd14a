"""The ring against the appendix's own function, for every number of processes and every step."""

import itertools
import re
from decimal import ROUND_HALF_UP, Decimal
from itertools import chain

import nbformat
import pytest
import torch
from book_ext import living
from book_ext.living.ring import PROCESSES, vectors
from building import ROOT
from living_pages import figure_on, painted

PAGE = "chapters/A2_cost_of_many_gpus"


@pytest.fixture(scope="module")
def all_reduce():
    """`ring_all_reduce` as the appendix defines it."""
    notebook = nbformat.read(ROOT / f"{PAGE}.ipynb", 4)
    (source,) = (c.source for c in notebook.cells if "def ring_all_reduce" in c.source)
    function = source[source.index("def ring_all_reduce") : source.index("\n\n\nvectors")]
    names = {"torch": torch}
    exec(function, names)
    return names["ring_all_reduce"]


@pytest.fixture(scope="module")
def courses(all_reduce):
    """For each number of processes, all their numbers, and how many processes are in each."""
    found = {}
    for n in PROCESSES:
        start = [torch.arange(1, n + 1) * (rank + 1) for rank in range(n)]
        # The function goes on with the same lists, so each state is copied as it comes.
        sums = [torch.stack([torch.cat(c) for c in has]) for has in all_reduce(start)]
        ones = [torch.ones(n, dtype=torch.int64)] * n
        counts = [torch.stack([torch.cat(c) for c in has]) for has in all_reduce(ones)]
        found[n] = [(a.tolist(), b.tolist()) for a, b in zip(sums, counts, strict=True)]
        assert found[n][-1][0] == [torch.stack(start).sum(dim=0).tolist()] * n
    return found


def test_every_number_of_every_step_is_the_appendixs(html, open_page, courses):
    page = open_page((html / f"{PAGE}.html").as_uri())
    states = [
        {"processes": n, "step": step, "followed": rank}
        for n in PROCESSES
        for step in range(len(courses[n]))
        for rank in range(n)
    ]
    found = painted(page, "ring", states, paths=True)
    for state, shown in zip(states, found, strict=True):
        n, step, rank = state.values()
        sums, counts = courses[n][step]
        cells = [(kind, int(text)) for kind, text in shown["texts"] if "held" in kind.split()]
        assert [value for _, value in cells] == list(chain(*sums)), state
        # A finished sum is set in bold and ticked off.
        whole = [count == n for count in chain(*counts)]
        assert ["strong" in kind.split() for kind, _ in cells] == whole, state
        assert [kind for kind, _ in shown["paths"]].count("tick") == sum(whole)
        assert f"Finished in each: {sum(whole) // n} of {n}." in shown["alt"]
        assert ["strong", f"process {rank}"] in shown["texts"]
        for place, row in enumerate(sums):
            assert f"process {place}: {', '.join(map(str, row))}" in shown["alt"]
        says(shown["said"], n, step, rank, courses[n])


def says(said, n, step, rank, course):
    holds = ", ".join(map(str, course[step][0][rank]))
    if not step:
        assert said.startswith(f"Process 0 has the vector 1 to {n}, process 1 twice that")
        assert said.endswith(f"Process {rank} holds {holds}.")
        assert vectors(n) == course[0][0]
        return
    left, right = (rank - 1) % n, (rank + 1) % n
    pattern = (
        rf"Step (\d+) of (\d+), (\S+): process {rank} sends chunk (\d+), "
        rf"the number (\d+), to process {right}\. From process {left} it receives chunk (\d+), "
        rf"the number (\d+), (.*) and now holds {holds}\."
    )
    told = re.match(pattern + r" Each has sent ([\d.]+) times its vector\.", said)
    assert (int(told[1]), int(told[2])) == (step, 2 * (n - 1))
    assert told[3] == ("reduce-scatter" if step < n else "all-gather")
    before, after = (course[place][0] for place in (step - 1, step))
    gone, come = (
        next(c for c in range(n) if before[process][c] != after[process][c])
        for process in (right, rank)
    )
    assert (int(told[4]), int(told[5])) == (gone, before[rank][gone])
    assert (int(told[6]), int(told[7])) == (come, before[left][come])
    assert told[8] == (f"adds it to {before[rank][come]}" if step < n else "keeps it")
    assert told[9] == share(n, step)
    assert said.endswith("has every sum.") == (step == 2 * (n - 1))


def test_table_is_the_appendixs(courses):
    rows = {name: cells for name, *cells in living.figure("ring", ROOT).table.rows}
    assert len(rows) == sum(map(len, courses.values()))
    for n, course in courses.items():
        for step, (sums, _) in enumerate(course):
            _, held, sent = rows[f"{n} processes, step {step}"]
            assert held == ", ".join(map(str, sums[0]))
            assert sent == share(n, step)


def share(n, step):
    """What figure and table both show: exact where three decimals are enough, as for 8 processes.

    Their own rounding is that of floats, this one that of decimals.
    """
    exact = Decimal(step) / n
    return format(exact.quantize(Decimal("0.001"), ROUND_HALF_UP).normalize(), "f")


def test_text_and_figure_count_the_steps_alike(all_reduce):
    """The appendix says that in step s = 1, 2, ... process r sends chunk r + 1 - s."""
    text = (ROOT / f"{PAGE}.ipynb").read_text(encoding="utf-8")
    assert "in step $s = 1, 2, …$ process $r$ sends chunk $r + 1 - s$" in text
    for n in PROCESSES:
        states = [torch.stack([torch.cat(c) for c in has]) for has in all_reduce(vectors_of(n))]
        for step, (before, after) in enumerate(itertools.pairwise(states), start=1):
            changed = (before != after).nonzero().tolist()
            # The receiver is the next process. Nothing else changes.
            assert changed == sorted([(r + 1) % n, (r + 1 - step) % n] for r in range(n))


def vectors_of(n):
    return [torch.tensor(vector) for vector in vectors(n)]


def test_by_keys_and_at_360_pixels(html, open_page):
    page = open_page((html / "chapters/12_many_processes.html").as_uri(), width=360)
    box = figure_on(page, "ring")
    processes, step = (box.get_by_label(name, exact=True) for name in ("processes", "step"))
    processes.focus()
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    assert step.get_attribute("aria-valuetext") == "14"
    assert box.locator(".living-said").inner_text().startswith("Step 14 of 14, all-gather")
    processes.focus()
    page.keyboard.press("Home")  # two processes have two steps
    assert step.get_attribute("aria-valuetext") == "2"
    heads = box.locator(".living-drawing text.head")
    assert heads.all_text_contents() == ["chunk 0", "chunk 1"]
    box.get_by_label("follow process").focus()
    page.keyboard.press("End")  # of two processes the last one
    assert "process 1 sends" in box.locator(".living-said").inner_text()
    processes.focus()
    page.keyboard.press("End")
    assert heads.all_text_contents() == ["chunk", *map(str, range(8))]
    wide = "texts => texts.map(text => text.getBBox().width)"
    rooms = "rects => rects.map(rect => rect.width.baseVal.value)"
    numbers = box.locator(".living-drawing text.held").evaluate_all(wide)
    assert max(numbers) <= min(box.locator(".living-drawing rect.chunk").evaluate_all(rooms))
    assert not page.watch.faults
