"""No link inside the book leads nowhere; and the check for it works."""

import re

import nbformat
import pytest
from building import EXTRA, NOTEBOOKS, PAGES
from link_checks import dangling_links

PAGE = '<h1 id="top">Title</h1><a href="{link}">there</a>'


def test_no_link_of_the_book_dangles(html):
    assert dangling_links(html) == []


def test_every_built_page_is_tested(html):
    built = {path.relative_to(html).with_suffix("").as_posix() for path in html.rglob("*.html")}
    sources = {page for page in built if page.startswith("_modules/")}
    assert built - sources - {"index"} == {*PAGES, *EXTRA} - sources


def test_every_function_and_class_of_the_api_shows_its_source(html):
    for page in sorted((html / "book/api").glob("*.html")):
        text = page.read_text(encoding="utf-8")
        kinds = r'<dl class="py (?:function|class|exception)">'
        documented, shown = re.findall(kinds, text), re.findall(r'class="viewcode-link"', text)
        assert len(shown) >= len(documented), page.name
        assert "Alias for field number" not in text, page.name


def test_without_an_address_nothing_points_at_one(html):
    for name in PAGES:
        page = (html / f"{name}.html").read_text(encoding="utf-8")
        assert "colab.research.google.com/github" not in page
        assert ">repository</a>" not in page


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_can_be_downloaded(html, name):
    address = f"notebooks/{name.removeprefix('chapters/')}.ipynb"
    page = (html / f"{name}.html").read_text(encoding="utf-8")
    assert re.search(rf'href="[./]*/{re.escape(address)}"[^>]* download>Notebook</a>', page)
    notebook = nbformat.read(html / address, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert "base64" in code[0].source
    assert code[0].metadata["jupyter"] == {"source_hidden": True}


@pytest.mark.parametrize("link", ["other.html", "#top", "b/c.html#top", "https://example.org/x"])
def test_good_link_passes(tmp_path, link):
    write_site(tmp_path, link)
    assert dangling_links(tmp_path) == []


@pytest.mark.parametrize("link", ["othr.html", "#tip", "b/c.html#tip", "/other.html", "b"])
def test_dangling_link_is_found(tmp_path, link):
    write_site(tmp_path, link)
    faults = dangling_links(tmp_path)
    assert len(faults) == 1
    assert link in faults[0]


def write_site(folder, link):
    (folder / "b").mkdir()
    (folder / "index.html").write_text(PAGE.format(link=link))
    (folder / "other.html").write_text(PAGE.format(link="index.html"))
    (folder / "b" / "c.html").write_text(PAGE.format(link="../index.html"))
