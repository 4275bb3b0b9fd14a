"""The parts of the book's Sphinx extension, without building."""

import json
import subprocess
import sys

import pytest
from building import ROOT
from docutils import nodes, utils

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from book_ext import assets, bundle, front, head, images, page_foot, repository, search

AS_AUTODOC = """
import importlib, pkgutil, sys
import yaml
from sphinx.ext.autodoc.mock import mock
sys.path[:0] = [".", "book/_ext"]
from book_ext.api import LibraryFinder
sys.meta_path.insert(0, LibraryFinder)
settings = yaml.safe_load(open("_config.yml", encoding="utf-8"))["sphinx"]["config"]
with mock(settings["autodoc_mock_imports"]):
    for package in map(importlib.import_module, ("resnet_lib", "resnet_checks")):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
"""


def test_the_api_can_be_read_where_pytorch_is_not_installed():
    """As `make book` does, which installs neither PyTorch nor what else the library needs."""
    run = [sys.executable, "-c", AS_AUTODOC]
    ended = subprocess.run(run, cwd=ROOT, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("light", "dark"), [("#ffffff", "#000000"), ("#000000", "#ffffff"), ("#808080", "#7f7f7f")]
)
def test_greys_are_turned_round(light, dark):
    assert assets.turned_for_dark(light) == dark


def test_every_colour_of_the_library_is_in_the_style_sheet():
    palette = json.loads((ROOT / "resnet_lib" / "colors.json").read_text(encoding="utf-8"))
    css = assets.colour_css(palette)
    assert all(f"--book-{name}: {value};" in css for name, value in palette.items())


CSS = """@charset "UTF-8"; a{top: 0}
.used,.unused:hover{top: 0}
.unused{top: 0}
@media print{.unused{top: 0}}
.used:not(.unused){content: "}"}
.opened{top: 0}
:focus-visible{top: 0}
@font-face{src: url("gone.woff2")}
@font-face{src: url(here.woff2)}
/* { */ .used:before{content: var(--pst-icon-x)}
html{--pst-size: 1em; --pst-font: var(--fa-font)}
"""


def test_bundle_has_only_what_the_pages_use(tmp_path):
    folder = tmp_path / "_static" / "sheets"
    folder.mkdir(parents=True)
    (tmp_path / "page.html").write_text('<html><a class="used">Text</a></html>')
    (folder / "script.js").write_text("link.classList.add('opened')")
    (folder / "here.woff2").touch()
    (folder / "one.css").write_text(CSS)
    (folder / "two.css").write_text("a{left: 0}")
    bundle.purge(tmp_path, ["sheets/one.css", "sheets/two.css"])
    kept = (tmp_path / "_static" / bundle.BUNDLE).read_text(encoding="utf-8")
    assert [line for line in kept.splitlines() if line] == [
        "a{top: 0}",
        ".used{top: 0}",
        '.used:not(.unused){content: "}"}',
        ".opened{top: 0}",
        ":focus-visible{top: 0}",
        '@font-face{src: url("sheets/here.woff2")}',
        "html{--pst-size: 1em; --pst-font: var(--fa-font)}",
        "a{left: 0}",
    ]


@pytest.mark.parametrize(
    ("url", "link"),
    [
        ("https://github.com/a/b", f"{repository.COLAB}/a/b/blob/published-notebooks/c.ipynb"),
        ("https://gitlab.com/a/b", None),
        ("", None),
    ],
)
def test_colab_link(url, link):
    assert repository.colab_link(url, "c.ipynb") == link


@pytest.mark.parametrize(
    ("url", "pages"),
    [
        ("https://github.com/Someone/book", "https://someone.github.io/book"),
        ("https://github.com/Someone/someone.github.io", "https://someone.github.io"),
        ("https://gitlab.com/a/b", None),
        ("", None),
    ],
)
def test_where_the_pages_are_published(url, pages):
    assert repository.pages_address(url) == pages


def test_workflow_keeps_the_branch_that_colab_opens():
    workflow = (ROOT / ".github" / "workflows" / "pages.yml").read_text(encoding="utf-8")
    assert f"git init -q -b {repository.NOTEBOOKS_BRANCH}\n" in workflow
    assert f" {repository.NOTEBOOKS_BRANCH}\n        env:" in workflow
    assert f"path: _build/html/{repository.NOTEBOOKS}\n" in workflow


def test_environment_overrides_the_address(monkeypatch, tmp_path):
    (tmp_path / "_config.yml").write_text("repository: {url: 'https://github.com/a/b'}")
    monkeypatch.delenv("REPOSITORY_URL", raising=False)
    assert repository.repository_address(tmp_path) == "https://github.com/a/b"
    monkeypatch.setenv("REPOSITORY_URL", "https://github.com/c/d.git")
    assert repository.repository_address(tmp_path) == "https://github.com/c/d"


def test_foot_needs_all_versions(tmp_path):
    made = dict.fromkeys(page_foot.KEYS, "3") | {"executed": "2026-01-02"}
    notebook = tmp_path / "chapter.ipynb"
    notebook.write_text(json.dumps({"metadata": {"resnet_book": made}}))
    assert page_foot.outputs_made(notebook).startswith("Outputs made on 2026-01-02 with Python 3")
    del made["torch"]
    notebook.write_text(json.dumps({"metadata": {"resnet_book": made}}))
    assert page_foot.outputs_made(notebook) is None


def test_an_inch_of_a_figure_is_an_inch_of_the_page(tmp_path):
    image = pytest.importorskip("PIL.Image").new("RGB", (300, 150))
    image.save(tmp_path / "figure.png")
    assert images.displayed_size(tmp_path / "figure.png") == (200, 100)
    image.save(tmp_path / "figure.png", dpi=(288, 288))
    assert images.displayed_size(tmp_path / "figure.png") == (100, 50)


# The front page


def write_run(folder, name, errors):
    rows = [{"what": "epoch", "train_error": error} for error in errors]
    text = json.dumps({"results": [*rows, {"what": "probe"}]})
    (folder / f"degradation-short-{name}.json").write_text(text, encoding="utf-8")


@pytest.fixture
def records(tmp_path):
    folder = tmp_path / front.RECORDS
    folder.mkdir(parents=True)
    write_run(folder, "plain20-0", [60, 20])
    write_run(folder, "plain56-0", [80, 40])
    write_run(folder, "plain56-1", [80, 50])
    write_run(folder, "plain56-0-fp32", [80, 0])
    write_run(folder, "resnet20-0", [60, 14])
    write_run(folder, "resnet56-0", [60, 12.4])
    return tmp_path


def test_main_result_is_that_of_the_records(records):
    assert front.result(front.gap(records, "plain")) == "25 points worse"
    assert front.result(front.gap(records, "resnet")) == "2 points better"
    drawn = front.panel(records, "plain")
    assert drawn.count('class="plain bold"') == 2, "a line for each seed, and no other record"
    assert drawn.count('class="plain thin"') == 1


def test_needs_of_a_chapter_are_those_of_its_opening():
    needed = {path.name[:2]: front.needs(path) for path in front.chapter_paths(ROOT)}
    assert needed["01"] == []
    assert needed["05"] == ["03", "04"]
    assert all(needed[name] for name in needed if name != "01")


# Search


@pytest.mark.parametrize(
    ("tex", "text"),
    [
        (r"3 \times 3", "3 × 3"),
        (r"\mathcal{F}(x) + x", "F(x) + x"),
        (r"\frac{a}{b} \approx 2", "a/b ≈ 2"),
        (r"\gamma_1", "gamma_1"),
    ],
)
def test_formula_is_searched_as_one_would_type_it(tex, text):
    assert search.plain_formula(tex) == text


def test_section_is_searched_by_what_it_says_itself():
    document = utils.new_document("page")
    outer, inner = nodes.section(ids=["top"]), nodes.section(ids=["sub"])
    outer += [nodes.title("", "A title"), nodes.paragraph("", "One word."), inner]
    inner += [nodes.title("", "Sub"), nodes.paragraph("", "", nodes.math("", r"1\times1"))]
    inner += nodes.literal_block("", "net = f(x)")
    document += outer
    assert list(search.sections(document)) == [
        {"a": "top", "h": "A title", "x": "One word.", "c": ""},
        {"a": "sub", "h": "Sub", "x": "1×1", "c": "net = f(x)"},
    ]


# The head of a page


def test_description_ends_with_a_whole_word():
    document = utils.new_document("page")
    document += nodes.paragraph("", "Residual networks, " * 30)
    told = head.description(document)
    assert told.endswith(" networks …") or told.endswith(" Residual …")
    assert len(told) <= head.LONGEST
    assert head.description(None) == ""


def test_citation_names_the_version_of_the_package():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {head.version(ROOT)}\n" in citation
