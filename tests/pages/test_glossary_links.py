"""Terms of the glossary are linked where a chapter first uses them, and nowhere else."""

import re

import pytest
from book_ext import glossary_links
from building import NOTEBOOKS, ROOT

SOURCE = """
```{glossary}
.. also: batches
batch
    Samples that go together.

batch norm
    A layer.

.. also: ReLUs
ReLU
    What cuts off.

.. also: shapes
.. unlinked: 14, 15
shape
    The lengths of the axes.

.. unlinked
spread
    The range.
```
"""
KNOWN = glossary_links.terms(SOURCE)
TERM = re.compile(r'<a class="reference internal" href="[^"]*#(term-[^"]+)"[^>]*>(.*?)</a>')

CLOSED = r'<(h[1-6]|pre|table|code)\b.*?</\1>|<p class="numbered-caption">.*?</p>'
CLOSED += r'|<section id="quick-questions">.*?</section>'


def found(text, page="chapters/03_basic_block"):
    return [piece for piece in glossary_links.Finder(KNOWN, page).split(text) if piece[1]]


def test_forms_are_those_that_the_source_lists():
    assert KNOWN == [
        ("batch", ["batch", "batches"], []),
        ("batch norm", ["batch norm"], []),
        ("ReLU", ["ReLU", "ReLUs"], []),
        ("shape", ["shape", "shapes"], ["14", "15"]),
    ]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Two batches, a batch.", [("batches", "batch")]),
        ("Batch norm in a batch.", [("Batch norm", "batch norm"), ("batch", "batch")]),
        ("ReLUs and a relu", [("ReLUs", "ReLU")]),
        ("A mini-batch of batchnorm", []),
        ("the spread", []),
    ],
)
def test_first_use_is_linked_whole_words_and_the_longest_first(text, pieces):
    assert found(text) == pieces


def test_a_page_may_pass_over_a_word_that_means_something_else():
    assert found("a shape") == [("shape", "shape")]
    assert found("a shape", "chapters/14_your_own_pictures") == []
    assert found("a shape", "chapters/solutions/14_your_own_pictures") == []


def test_nothing_of_the_text_is_lost():
    text = "A batch of shapes, then batch norm."
    pieces = glossary_links.Finder(KNOWN, "chapters/03_x").split(text)
    assert "".join(words for words, _ in pieces) == text


def test_every_term_of_the_glossary_is_known_to_the_linker():
    text = (ROOT / glossary_links.SOURCE).read_text(encoding="utf-8")
    entries = re.findall(r"^([^\s`#.].*)\n(?=    )", text, re.MULTILINE)
    linked = {term for term, _, _ in glossary_links.terms(text)}
    unlinked = len(re.findall(r"^\.\. unlinked$", text, re.MULTILINE))
    assert len(entries) > 100
    assert len(entries) == len(linked) + unlinked


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_page_links_each_term_once_and_only_in_running_text(html, name):
    page = (html / f"{name}.html").read_text(encoding="utf-8")
    links = [link for link in TERM.findall(page) if "glossary-term" in link[1]]
    targets = [target for target, _ in links]
    assert len(targets) == len(set(targets))
    assert len(targets) > 3 or "solutions" in name
    closed = re.finditer(CLOSED, page, re.DOTALL)
    assert not any("glossary-term" in box[0] for box in closed)
    glossary = (html / "book" / "glossary.html").read_text(encoding="utf-8")
    assert all(f'id="{target}"' in glossary for target in targets)
