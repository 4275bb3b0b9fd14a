"""The ring: an all-reduce among two to eight processes, one step at a time.

The algorithm is that of appendix A2, here for the table and in ring.js for the figure. Both are
compared with the appendix's own function in tests/pages/test_living_ring.py.
"""

from book_ext.living.parts import Figure, Slider, Table

PROCESSES = list(range(2, 9))
START = 4


def vectors(n):
    """What each process has: 1 to n, times its rank and one."""
    return [[(rank + 1) * (chunk + 1) for chunk in range(n)] for rank in range(n)]


def sent(n, step):
    """The chunk that each process hands on in this step, counted from 1."""
    return [(rank + 1 - step) % n for rank in range(n)]


def states(n):
    """All processes' vectors: before, and after each of the 2(n - 1) steps."""
    has = vectors(n)
    yield has
    for step in range(1, 2 * n - 1):
        places = sent(n, step)
        before = [list(row) for row in has]
        has = [list(row) for row in has]
        for rank, place in enumerate(places):
            right = (rank + 1) % n
            old = before[right][place] if step < n else 0
            has[right][place] = old + before[rank][place]
        yield has


def table():
    rows = []
    for n in PROCESSES:
        for step, has in enumerate(states(n)):
            phase = ("reduce-scatter" if step < n else "all-gather") if step else "start"
            held = ", ".join(map(str, has[0]))
            share = f"{round(step / n, 3):g}"  # as ring.js writes it
            rows.append([f"{n} processes, step {step}", phase, held, share])
    header = ["when", "phase", "process 0 has", "vectors sent by each"]
    return Table("What process 0 has after each step", header, rows)


def figure(root):
    steps = list(range(2 * (PROCESSES[-1] - 1) + 1))
    ranks = list(range(PROCESSES[-1]))
    return Figure(
        title="Choose how many processes, go through the steps, and follow one process",
        controls=[
            Slider("processes", "processes", PROCESSES, START, list(map(str, PROCESSES))),
            Slider("step", "step", steps, 0, list(map(str, steps))),
            Slider("followed", "follow process", ranks, 0, list(map(str, ranks))),
        ],
        table=table(),
        high=360,
        takes_place=False,
    )
