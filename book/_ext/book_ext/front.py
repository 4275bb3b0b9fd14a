"""What the front page shows of the book: its main result, and which chapter needs which.

Both are drawn from what lies in the repository, the records and the notebooks, so that they cannot
say something else. They are SVG in the page, in the page's own colours, light or dark.
"""

import json
import re
import sys
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.append(str(Path(__file__).parents[2] / "_tools"))

from notebooks import read
from rules.limits import minutes

RECORDS = "results/degradation"
SHALLOW, DEEP = 20, 56
WIDE, HIGH = 340, 210
LEFT, RIGHT, TOP, BOTTOM = 34, 74, 8, 34
HIGHEST = 80  # percent
NEEDS = re.compile(r"\*\*Needs:\*\*(.*?)(?=\*\*Time|\n\n|$)", re.DOTALL)
CHAPTER = re.compile(r"\((\w+?)_\w+\.ipynb")


def curves(root, kind, depth):
    """The training errors in percent after each epoch, one list for each seed."""
    found = []
    for path in sorted((root / RECORDS).glob(f"degradation-short-{kind}{depth}-?.json")):
        rows = json.loads(path.read_text(encoding="utf-8"))["results"]
        found.append([row["train_error"] for row in rows if row["what"] == "epoch"])
    return found


def gap(root, kind):
    """By how many points the deep networks end above the shallow ones, in the mean over seeds."""
    ends = [[run[-1] for run in curves(root, kind, depth)] for depth in (DEEP, SHALLOW)]
    return sum(ends[0]) / len(ends[0]) - sum(ends[1]) / len(ends[1])


def result(difference):
    points = abs(round(difference))
    return f"{points} points {'worse' if difference > 0 else 'better'}"


def panel(root, kind):
    """One panel: epochs to the right, training error upwards, a line for each network."""
    epochs = len(curves(root, kind, DEEP)[0])

    def x(epoch):
        return LEFT + (WIDE - LEFT - RIGHT) * (epoch - 1) / (epochs - 1)

    def y(error):
        return TOP + (HIGH - TOP - BOTTOM) * (1 - error / HIGHEST)

    parts = []
    for error in range(0, HIGHEST + 1, 20):
        parts.append(f'<path class="grid" d="M{LEFT} {y(error):.1f}H{WIDE - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y(error) + 4:.1f}" class="end">{error}</text>')
    parts.append(f'<text x="{x(1):.1f}" y="{HIGH - 6}">epoch 1</text>')
    parts.append(f'<text x="{x(epochs):.1f}" y="{HIGH - 6}" class="end">{epochs}</text>')
    for depth, style in ((SHALLOW, "thin"), (DEEP, "bold")):
        runs = curves(root, kind, depth)
        for run in runs:
            line = " ".join(f"{x(i):.1f},{y(error):.1f}" for i, error in enumerate(run, start=1))
            parts.append(f'<polyline class="{kind} {style}" points="{line}"/>')
        height = y(sum(run[-1] for run in runs) / len(runs)) + 4
        # Where the ends lie close, each label moves away from the other.
        height += (6 if gap(root, kind) < 0 else -6) * (1 if depth == DEEP else -1)
        label = f"{depth} layers"
        parts.append(f'<text x="{WIDE - RIGHT + 6}" y="{height:.1f}" class="{kind}">{label}</text>')
    return f'<svg viewBox="0 0 {WIDE} {HIGH}" aria-hidden="true">{"".join(parts)}</svg>'


def main_result(root):
    """Two panels, plain and residual, with the result as the title of each."""
    figures = []
    for kind, name in (("plain", "Plain"), ("resnet", "Residual")):
        title = f"{name}: {DEEP - SHALLOW} more layers, {result(gap(root, kind))}"
        figures.append(f'<figure><p class="title">{escape(title)}</p>{panel(root, kind)}</figure>')
    return f'<div class="main-result">{"".join(figures)}</div>'


class MainResult(SphinxDirective):
    def run(self):
        root = Path(self.env.srcdir)
        for path in sorted((root / RECORDS).glob("*.json")):
            self.env.note_dependency(str(path))
        return [nodes.raw("", main_result(root), format="html")]


def needs(path):
    """The chapters that a notebook's opening says it needs, by their numbers."""
    opening = "\n".join(c.source for c in read(path).cells[:3] if c.cell_type == "markdown")
    match = NEEDS.search(opening)
    return sorted(set(CHAPTER.findall(match[1]))) if match else []


def chapter_paths(root):
    return sorted((root / "chapters").glob("[0-9A]*_*.ipynb"))


class ChapterMap(SphinxDirective):
    """The chapters in a row; an arc leads from each to those that it needs."""

    def run(self):
        paths = chapter_paths(Path(self.env.srcdir))
        names = [path.name.partition("_")[0] for path in paths]
        step, base = 50, 120
        place = {name: 24 + step * i for i, name in enumerate(names)}
        parts, words = [], []
        for path, name in zip(paths, names, strict=True):
            self.env.note_dependency(str(path))
            before = [other for other in needs(path) if other in place]
            for other in before:
                start, end = place[other], place[name]
                radius = (end - start) / 2
                rise = min(radius, base - 22)
                parts.append(
                    f'<path d="M{start} {base - 15}A{radius:g} {rise:g} 0 0 1 {end} {base - 15}"/>'
                )
            if before:
                words.append(f"{name} needs {', '.join(before)}")
        for name, x in place.items():
            parts.append(f'<circle cx="{x}" cy="{base}" r="15"/>')
            parts.append(f'<text x="{x}" y="{base + 4}">{name}</text>')
        width = 48 + step * (len(names) - 1)
        label = escape("Which chapter needs which: " + "; ".join(words) + ".")
        html = (
            f'<div class="chapter-map"><svg viewBox="0 0 {width} {base + 22}" role="img" '
            f'aria-label="{label}">{"".join(parts)}</svg></div>'
        )
        return [nodes.raw("", html, format="html")]


def reading(name, rawtext, text, lineno, inliner, options=None, content=None):
    """How long a chapter reads, as its own opening says it."""
    env = inliner.document.settings.env
    path = Path(env.srcdir, "chapters", f"{text}.ipynb")
    env.note_dependency(str(path))
    return [nodes.inline(rawtext, f"{minutes(read(path))} min", classes=["reading"])], []


def setup(app):
    app.add_directive("main-result", MainResult)
    app.add_directive("chapter-map", ChapterMap)
    app.add_role("reading", reading)
