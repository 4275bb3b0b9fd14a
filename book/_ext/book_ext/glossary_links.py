"""The first time that a chapter uses a term of the glossary, the word leads there.

The glossary's source says which words mean a term, in comments above it that no page shows:

    .. also: batches                other forms; the term's own is always one
    .. unlinked: 14, 15             chapters in which the word means something else
    .. unlinked                     a word of everyday use, which leads nowhere
"""

import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

GLOSSARY = "book/glossary"
SOURCE = "book/glossary.md"
ENTRY = re.compile(r"((?:^\.\. .+\n)*)^([^\s`#.].*)\n(?=    )", re.MULTILINE)
# Where a word is no running text, or leads somewhere already.
CLOSED = (
    nodes.title,
    nodes.reference,
    nodes.literal,
    nodes.literal_block,
    nodes.math,
    nodes.raw,
    nodes.table,
    nodes.container,
    addnodes.pending_xref,
    addnodes.download_reference,
)
CLOSED_SECTIONS = ("sources", "quick-questions")


def terms(text):
    """Of each term that may be linked: (the term, its forms, the chapters that pass it over)."""
    found = []
    for comments, term in ENTRY.findall(text):
        said = dict(
            re.fullmatch(r"\.\. (\w+):? *(.*)", line).groups() for line in comments.splitlines()
        )
        words = {key: [word.strip() for word in value.split(",")] for key, value in said.items()}
        if words.get("unlinked") != [""]:
            forms = [term, *words.get("also", ())]
            found.append((term, forms, words.get("unlinked", [])))
    return found


class Finder:
    """Finds terms in one page's text, each of them once."""

    def __init__(self, known, page):
        chapter = page.rpartition("/")[2].partition("_")[0]
        self.term_of = {
            form.lower(): (term, form)
            for term, forms, left_out in known
            for form in forms
            if chapter not in left_out
        }
        # The longest first: "batch norm" is no batch.
        forms = sorted((form for form in self.term_of), key=len, reverse=True)
        pattern = "|".join(re.escape(form).replace("'", "['’]") for form in forms)
        self.pattern = re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])", re.IGNORECASE)
        self.seen = set()

    def split(self, text):
        """The text in pieces, (words, the term that they are the first use of or "")."""
        pieces, start = [], 0
        for match in self.pattern.finditer(text):
            term, form = self.term_of[match[0].lower().replace("’", "'")]
            # A name has its own capitals: Adam, ReLU. Others begin a sentence with one.
            as_written = match[0] == form or match[0][0].lower() + match[0][1:] == form
            if term in self.seen or not as_written:
                continue
            self.seen.add(term)
            pieces += [(text[start : match.start()], ""), (match[0], term)]
            start = match.end()
        return [*pieces, (text[start:], "")] if pieces else []


def is_running_text(node, paragraph):
    parent = node.parent
    while parent is not paragraph:
        if isinstance(parent, CLOSED):
            return False
        parent = parent.parent
    while parent is not None:
        if isinstance(parent, CLOSED):
            return False
        if isinstance(parent, nodes.section) and set(parent["names"]) & NAMES:
            return False
        parent = parent.parent
    return True


NAMES = {name.replace("-", " ") for name in CLOSED_SECTIONS}


def link(term, words):
    """A reference that Sphinx resolves; it warns where the glossary lacks the term."""
    place = addnodes.pending_xref(
        "", refdomain="std", reftype="term", reftarget=term, refexplicit=True, refwarn=True
    )
    place += nodes.inline(words, words, classes=["glossary-term"])
    return place


def link_terms(app, doctree):
    page = app.env.docname
    if not str(app.env.doc2path(page)).endswith(".ipynb"):
        return
    finder = Finder(app.config.book_terms, page)
    for paragraph in list(doctree.findall(nodes.paragraph)):
        if "numbered-caption" in paragraph["classes"]:
            continue
        for node in list(paragraph.findall(nodes.Text)):
            if not is_running_text(node, paragraph):
                continue
            pieces = finder.split(node.astext())
            if pieces:
                made = [link(term, w) if term else nodes.Text(w) for w, term in pieces if w]
                node.parent.replace(node, made)
    for place in doctree.findall(addnodes.pending_xref):
        if place.get("reftype") == "term":
            place["refdoc"] = page


def setup(app):
    text = Path(app.srcdir, SOURCE).read_text(encoding="utf-8")
    # A configuration value, so that with other terms every page is read anew.
    app.add_config_value("book_terms", terms(text), "env")
    # After images.py, which marks captions.
    app.connect("doctree-read", link_terms, priority=600)
