"""Tests of the tests: each rule on text is fed broken notebooks, and must say what to do."""

import pytest
import toy_book
from notebooks import read, write
from rules import anatomy, limits, plain_markdown, questions, solutions
from toy_book import code, replaced, text, told, with_cell

RULES = (anatomy, plain_markdown, questions, solutions)


@pytest.fixture
def chapter(tmp_path):
    return toy_book.write_book(tmp_path)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("place", ["01_toy.ipynb", "solutions/01_toy.ipynb"])
def test_good_notebooks_pass(rule, place, chapter):
    path = chapter.parent / place
    assert told(rule, path, read(path)) == ""


# Plain Markdown


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("```{note}\nRead this.\n```", "MyST directive '{note}'. Write plain text"),
        (":::{note}\nRead this.\n:::", "MyST directive"),
        ("See {ref}`x`.", "MyST role"),
        ("(my-label)=\nText.", "MyST label: '(my-label)='. Link to a heading"),
        ("% hidden", "MyST comment"),
        ("+++", "MyST cell break"),
        ("Now {{ version }}.", "substitution"),
        ("Some *text*{#id}.", "attribute"),
        ("$$x$$ (eq)", "label behind a formula"),
        ("A fact.[^1]", "footnote"),
        ("> [!NOTE]\n> Read.", "GitHub alert"),
        ("Term\n: its meaning", "definition list"),
        (r"So \(x\) is.", "opens maths in Colab: 'So"),
        (r"So \[x\] is.", "opens maths in Colab"),
        (r"\begin{align}x\end{align}", "maths without dollars"),
        ("Let $ x $ be.", "spaces inside $ x $. Write $x$."),
        ("It costs $5.", "single dollar"),
        ("<div>Box</div>", "raw HTML, <div"),
        ("A <span>word</span>.", "raw HTML, <span"),
        ("<!-- later -->", "raw HTML, <!--"),
        ("![](../book/notation.md)", "without alt text"),
        ("![A pixel](none.png)", "no file"),
        ("![A pixel](https://example.org/a.png)", "needs a network"),
        ("[here](../book/notation.md)", "the text 'here'. Name what it leads to"),
        ("[](../book/notation.md)", "the text ''"),
        ("[https://example.org](https://example.org)", "bare address"),
        ("<https://example.org>", "Write a link with text that says where"),
        ("See https://example.org for more.", "bare address"),
        ("TODO: say why.", "a mark left from writing"),
        ("Here stands @@ANSWER@@.", "a mark left from writing"),
        ("[The notation](../book/notatoin.md)", "no file. Mend the path"),
        (
            "[The notation](../book/notation.md#symbol)",
            "no such heading. notation.md has: notation",
        ),
        ("[The summary](#sumary)", "no such heading"),
        ("# Another title", "2 top headings (#), in cells [1, 11]. Write one"),
        ("#### Too deep", "skips a level. Give it 3 #."),
    ],
)
def test_what_not_all_readers_show_is_caught(source, message, chapter):
    assert message in told(plain_markdown, chapter, with_cell(chapter, text(source)))


@pytest.mark.parametrize(
    "source",
    [
        "`{ref}` and `$ x $` and `https://example.org`",
        "```python\nf'{x}' # [^1] \\[\n:::\n```",
        "    {{ code }}",
        r"Costs \$5, and $x^{[1]}$, $\{x\}$, $f\,(x)$, $\mathcal{F}_{D}$.",
        "$$\n\\begin{pmatrix}1 & 2\\end{pmatrix}\n$$",
        "<details>\n<summary>Answer</summary>\n\nYes.<br>No.\n\n</details>",
        "| a | b |\n|---|---|\n| 1 | $x$ |",
        "[Symbols](../book/notation.md#symbols), [end](#summary), [it](01_toy.ipynb#the-idea)",
        "*Note*: a word (in brackets) = something; 5 % of it, and *a* [b].",
    ],
)
def test_plain_markdown_passes(source, chapter):
    assert told(plain_markdown, chapter, with_cell(chapter, text(source))) == ""


def test_first_markdown_cell_holds_the_title(chapter):
    notebook = read(chapter)
    notebook.cells.insert(0, text("Before the title."))
    assert "Write one, in the first Markdown cell." in told(plain_markdown, chapter, notebook)


# Anatomy


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("**Needs:**", "Needs:", "Write **Needs:** chapters 01 and 02. under the title."),
        ("**Time:**", "", "Write **Time:**"),
        ("## Predict first", "## A question", 'Write "## Predict first"'),
        ("## Proof: ", "## ", 'no section that begins "## Proof"'),
        ("## Measurement: ", "## ", 'no section that begins "## Measurement"'),
        ("## Summary", "## In short", "End with Summary, Quick questions, Exercises, Sources."),
        (
            "## Sources",
            "## Sources\n\n## Afterword",
            "End with Summary, Quick questions, Exercises, Sources.",
        ),
        ("- Twice $x$ is $x + x$.", "- a\n- b\n- c\n- d\n- e\n- f", "Say it in one to five."),
        ("- Twice $x$ is $x + x$.", "Twice.", "summary of 0 list items"),
        ("### Exercise 3: three", "", "has 2 exercises. Write 3 to 5"),
        ("### Exercise 2: two", "### Exercise 3: two", "Exercise 1: title"),
        ("### Exercise 2: two", "### Exercise 2", "Exercise 1: title"),
        ("(solutions/01_toy.ipynb)", "(solutions/)", "](solutions/01_toy.ipynb)."),
    ],
)
def test_missing_part_of_a_chapter_is_caught(old, new, message, chapter):
    assert message in told(anatomy, chapter, replaced(chapter, old, new))


def test_opening_and_prediction_may_share_a_cell(chapter):
    notebook = read(chapter)
    notebook.cells[1].source = f"{notebook.cells[0].source}\n\n{notebook.cells[1].source}"
    del notebook.cells[0]
    assert told(anatomy, chapter, notebook) == ""


def test_prediction_after_the_code_is_caught(chapter):
    notebook = read(chapter)
    notebook.cells.insert(1, code("x = 1"))
    assert 'Write "## Predict first"' in told(anatomy, chapter, notebook)


def test_missing_solutions_are_caught(chapter):
    (chapter.parent / "solutions" / chapter.name).unlink()
    assert "has no notebook solutions/01_toy.ipynb" in told(anatomy, chapter, read(chapter))


# Appendices


@pytest.fixture
def appendix(chapter):
    """The toy chapter as an appendix: no question, no exercises, nothing of its middle."""
    path = chapter.with_name("A1_toy.ipynb")
    cells = toy_book.chapter_cells()
    title, idea, sources = cells[0], cells[2], cells[-1]
    title.source = title.source.replace("# 01 ·", "# A1 ·")
    write(toy_book.notebook([title, idea, cells[4], sources]), path)
    return path


def test_appendix_needs_no_question_and_no_exercises(appendix):
    for rule in RULES:
        assert told(rule, appendix, read(appendix)) == ""


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("**Needs:**", "Needs:", "Write **Needs:** chapters 01 and 02. under the title."),
        ("**Time:**", "", "Write **Time:**"),
        ("# A1 ·", "# A2 ·", "has the title 'A2 · Doubling'. Begin with \"# A1 · title\"."),
        ("## Sources", "## Sources\n\n## Afterword", "section Afterword. End with Sources."),
        ("## Sources", "### Exercise 1: one\n\n## Sources", "Move them to a chapter."),
    ],
)
def test_missing_part_of_an_appendix_is_caught(old, new, message, appendix):
    assert message in told(anatomy, appendix, replaced(appendix, old, new))


@pytest.mark.parametrize("name", ["Anatomy.ipynb", "A_toy.ipynb", "04_A1_toy.ipynb"])
def test_chapter_does_not_become_an_appendix_by_its_first_letter(name, appendix):
    assert "asks the reader nothing" in told(anatomy, appendix.with_name(name), read(appendix))


# Quick questions


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("## Quick questions\n", "## Quick questions\n\nSo.\n", "does not open as the others do"),
        ("## Quick questions", "## Questions", "has 0 cells with quick questions."),
        ("**3.** Is", "Is", "has the questions ['1', '2']. Ask 3 to 5"),
        ("**3.** Is", "**4.** Is", "has the questions ['1', '2', '4']."),
        ("Yes. That is", "That is", "question 1 does not reply Yes to one answer"),
        ("No, that is its square.", "Yes, that too.", "question 1 does not reply Yes to one"),
        ("No. Nothing added to nothing is nothing.", "Yes: 0 + 0 is 0.", "question 2 "),
        ("Yes, it lies further from 0.", "", "question 3 is not a question and folded answers"),
        ("lies further from 0.\n\n</details>", "lies further from 0.\n\n", "question 3 is not a"),
        ("<summary>x + x<", "<summary>$x + x$<", "question 1 has an answer with Markdown in it."),
        ("What is twice $x$?", "What is twice $x$? " + "x " * 600, "words; 600 are the most"),
    ],
)
def test_odd_quick_questions_are_caught(old, new, message, chapter):
    assert message in told(questions, chapter, replaced(chapter, old, new))


def test_same_reply_to_two_answers_is_caught(chapter):
    twice = toy_book.QUESTIONS.replace(
        "**2.**",
        "<details><summary>2 to the x</summary>\n\nNo, that is its square.\n\n</details>\n\n**2.**",
    )
    notebook = replaced(chapter, toy_book.QUESTIONS, twice)
    assert "question 1 says the same twice." in told(questions, chapter, notebook)


def test_quick_questions_are_not_counted_as_reading(chapter):
    more = replaced(chapter, "That is what twice means.", "word " * 3000)
    assert told(limits, chapter, more) == ""


# Solutions


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("../01_toy.ipynb", "https://example.org", "Write a link to ../01_toy.ipynb"),
        ("Exercise 2: two", "Exercise 2: too", "Give each exercise a heading with the chapter's"),
        ("## Exercise 3: three", "", "but the chapter asks"),
    ],
)
def test_solutions_apart_from_their_chapter_are_caught(old, new, message, chapter):
    path = chapter.parent / "solutions" / chapter.name
    assert message in told(solutions, path, replaced(path, old, new))


def test_solutions_without_a_chapter_are_caught(chapter):
    path = chapter.parent / "solutions" / "02_other.ipynb"
    write(toy_book.notebook(toy_book.solution_cells()), path)
    assert "Give it the chapter's name." in told(solutions, path, read(path))
