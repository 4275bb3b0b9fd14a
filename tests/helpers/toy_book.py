"""A book of one small chapter that keeps every rule; the tests of the rules break it."""

import json
from pathlib import Path

from nbformat import NotebookNode, v4
from notebooks import NUMBERS, normalise, read, write

DOUBLE = "def double(x: float) -> float:\n    return x + x"
LIBRARY = '''"""A library of one function."""


def double(x: float) -> float:
    """Twice the input."""
    return x + x


class Scale:
    """A factor."""

    def apply(self, x: float) -> float:
        """The input times 3."""
        return 3 * x
'''
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7buVgAAAABJRU5ErkJggg=="
)
QUESTIONS = """\
## Quick questions

Unfold an answer to see what we say to it.

**1.** What is twice $x$?

<details><summary>x + x</summary>

Yes. That is what twice means.

</details>
<details><summary>x times x</summary>

No, that is its square.

</details>

**2.** Is twice 0 another number than 0?

<details><summary>It is.</summary>

No. Nothing added to nothing is nothing.

</details>
<details><summary>It is not.</summary>

Yes: 0 + 0 is 0.

</details>

**3.** Is twice a negative number larger than it?

<details><summary>Smaller.</summary>

Yes, it lies further from 0.

</details>
<details><summary>Larger.</summary>

No, only for a positive one.

</details>"""
NUMBERS_SHOWN = json.dumps(
    {
        "panels": [
            {
                "title": "Doubling",
                "x": "number",
                "y": "its double",
                "values": "y",
                "series": [{"name": "", "x": [1, 2], "y": [2, 4]}],
                "across": [],
            }
        ]
    }
)
ALT = "One grey pixel on a white ground, which is all that a toy needs."


def text(source: str) -> NotebookNode:
    return v4.new_markdown_cell(source)


def code(source: str, *outputs: NotebookNode, tags: tuple[str, ...] = (), alt: str = ""):
    metadata = {"tags": list(tags)}
    if alt:
        metadata["mystnb"] = {"image": {"alt": alt}}
    return v4.new_code_cell(source, outputs=list(outputs), metadata=metadata, execution_count=1)


def printed(words: str) -> NotebookNode:
    return v4.new_output("stream", name="stdout", text=words)


def picture(numbers: str | None = NUMBERS_SHOWN) -> NotebookNode:
    output = v4.new_output("display_data", data={"image/png": PIXEL, "text/plain": "<Figure>"})
    output.metadata = NotebookNode({NUMBERS: numbers} if numbers else {})
    return output


def drawn(source: str, alt: str = ALT, tags: tuple[str, ...] = ("hide-input",)) -> NotebookNode:
    """A cell that shows a picture."""
    return code(source, picture(), tags=tags, alt=alt)


def chapter_cells() -> list[NotebookNode]:
    return [
        text(
            "# 01 · Doubling\n\nA toy.\n\n**Needs:** nothing. "
            "**Time:** runs in a second · reads in about 5 minutes."
        ),
        text("## Predict first\n\nWhat is twice $x$?"),
        text("## The idea\n\n$$y = x + x$$\n\nSee [the notation](../book/notation.md#symbols)."),
        code(
            "def double(x: float) -> float:\n    return x + x", tags=("lib:resnet_lib.sums.double",)
        ),
        code("print(double(2))", printed("4\n")),
        text("## Proof: the library agrees\n\n### By numbers"),
        code("from resnet_lib import sums\n\nassert sums.double(2) == double(2)"),
        text("## Measurement: a picture"),
        drawn("with plots.figure() as axes:\n    axes.plot([1, 2])"),
        text("**Figure 1.1.** The double of a number."),
        text("## Summary\n\n- Twice $x$ is $x + x$."),
        text(QUESTIONS),
        text(
            "## Exercises\n\n[Solutions](solutions/01_toy.ipynb) to all.\n\n"
            "### Exercise 1: one\n\n### Exercise 2: two\n\n### Exercise 3: three"
        ),
        text("## Sources\n\n- [He et al., 2015](https://arxiv.org/abs/1512.03385)"),
    ]


def solution_cells() -> list[NotebookNode]:
    return [
        text("# Solutions to chapter 01\n\nThe questions are in [Doubling](../01_toy.ipynb)."),
        text("## Exercise 1: one"),
        code("print(1)", printed("1\n")),
        text("## Exercise 2: two\n\n## Exercise 3: three"),
    ]


def notebook(cells: list[NotebookNode]) -> NotebookNode:
    return normalise(v4.new_notebook(cells=cells))


def write_book(root: Path) -> Path:
    """Write the whole toy book and return the chapter's path."""
    (root / "chapters" / "solutions").mkdir(parents=True)
    (root / "book").mkdir()
    (root / "resnet_lib").mkdir()
    (root / "_config.yml").write_text('repository:\n  url: ""\n')
    (root / "book" / "notation.md").write_text("# Notation\n\n## Symbols\n")
    (root / "resnet_lib" / "sums.py").write_text(LIBRARY)
    chapter = root / "chapters" / "01_toy.ipynb"
    write(notebook(chapter_cells()), chapter)
    write(notebook(solution_cells()), root / "chapters" / "solutions" / "01_toy.ipynb")
    return chapter


def told(rule, path, notebook) -> str:
    """What the rule tells the author."""
    return "\n".join(map(str, rule.faults(path, notebook)))


def with_cell(path, cell):
    """The notebook with one more cell, before the summary."""
    notebook = read(path)
    notebook.cells.insert(10, cell)
    return notebook


def replaced(path, old, new):
    """The notebook with a piece of its cells' sources replaced."""
    notebook = read(path)
    assert any(old in cell.source for cell in notebook.cells), f"{old!r} is not in the toy"
    for cell in notebook.cells:
        cell.source = cell.source.replace(old, new)
    return notebook
