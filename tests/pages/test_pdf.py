"""The book as one PDF: its links lead into it, Chromium prints it, the front page offers it."""

import re
import sys
from types import SimpleNamespace

import chromium
import pdf
import pytest
from building import ROOT
from docutils import nodes

sys.path.append(str(ROOT / "book" / "_ext"))

from book_ext import printed

PAGE = """<html><head><title>A book</title></head><body><h1 id="top">A book</h1>
<span id="document-chapters/01_why"></span><section id="why"><h2>Why</h2></section>
<span id="document-book/glossary"></span><section><h2 id="term-step">Step</h2></section>
<a class="way" href="{address}">there</a></body></html>"""


@pytest.mark.parametrize(
    ("address", "found"),
    [
        ("../chapters/01_why.html", "#document-chapters/01_why"),
        ("../chapters/01_why.html#why", "#why"),
        ("glossary.html#term-step", "#term-step"),
        ("book/index.html#term-step", "#term-step"),
        ("#top", "#top"),
        ("https://arxiv.org/abs/1512.03385", "https://arxiv.org/abs/1512.03385"),
        ("../resnet.py", None),
    ],
)
def test_a_link_leads_into_the_page_or_nowhere(address, found):
    page = printed.printable(PAGE.format(address=address))
    tag = re.search(r"<a [^>]*>", page)[0]
    assert (f'href="{found}"' in tag) if found else ("href" not in tag)


def test_what_is_not_in_the_page_is_on_the_site():
    page = printed.printable(PAGE.format(address="../resnet.py"), "https://someone.github.io/book")
    assert 'href="https://someone.github.io/book/resnet.py"' in page


@pytest.mark.parametrize(("size", "offered"), [(0, False), (24_728_516, True)])
def test_the_front_page_offers_the_pdf_that_is_there(size, offered):
    builder = SimpleNamespace(name="html", config=SimpleNamespace(book_pdf=size))
    writer = SimpleNamespace(builder=builder, body=[])
    with pytest.raises(nodes.SkipNode):
        printed.visit_ways_on(writer, None)
    assert (f'<a href="../{printed.PDF}">PDF, 25 MB</a>' in writer.body[0]) == offered


@pytest.mark.skipif(chromium.find_chromium() is None, reason="Chromium is missing")
def test_a_page_is_printed_with_outline_and_links(tmp_path):
    page, target = tmp_path / "page.html", tmp_path / "book.pdf"
    page.write_text(printed.printable(PAGE.format(address="glossary.html#term-step")), "utf-8")
    assert pdf.main([str(page), str(target)]) == 0
    made = target.read_bytes()
    assert made.startswith(b"%PDF")
    assert b"/Outlines" in made
    assert b"term-step" in made
    assert sorted(tmp_path.iterdir()) == [target, page]


def test_without_chromium_it_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(chromium, "find_chromium", lambda: None)
    page, target = tmp_path / "page.html", tmp_path / "book.pdf"
    page.write_text(PAGE, "utf-8")
    assert pdf.main([str(page), str(target)]) == 2
    assert "Chromium is missing" in capsys.readouterr().err
    assert not target.exists()
