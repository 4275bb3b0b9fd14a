"""The parts of the book's Sphinx extension, without building."""

import json
import subprocess
import sys

import pytest
from building import ROOT

sys.path.insert(0, str(ROOT / "book" / "_ext"))

from book_ext import assets, bundle, images, page_foot, repository

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
