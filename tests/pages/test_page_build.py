"""The build stops for an author's slips, and puts links in once there is an address."""

import json
import shutil

import page_checks
import pytest
from building import NOTEBOOKS, ROOT, build
from link_checks import Page
from notebooks import read
from rules.reading import links

COPIED = ("_config.yml", "_toc.yml", "pyproject.toml", "book", "chapters")
COPIED += ("resnet_lib", "resnet_checks", "resnet_cli", "results")
ADDRESS = "https://github.com/someone/a-fork"
PUBLISHED = "https://someone.github.io/a-fork/"


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A copy of the book with slips in it, built with an address: (output, folder of pages)."""
    root = tmp_path_factory.mktemp("broken")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("node_modules"))
        else:
            shutil.copy(ROOT / name, root / name)
    (root / "book" / "node_modules").symlink_to(ROOT / "book" / "node_modules")
    with (root / "book" / "glossary.md").open("a", encoding="utf-8") as page:
        page.write("\nA [link](no-such-page.md), a formula $\\frac{1$ and ![](no-such.png).\n")
    chapter = root / f"{NOTEBOOKS[0]}.ipynb"
    notebook = json.loads(chapter.read_text(encoding="utf-8"))
    text = "A [link](#no-such-heading)."
    slip = {"cell_type": "markdown", "id": "slip", "metadata": {}, "source": text}
    notebook["cells"].append(slip)
    chapter.write_text(json.dumps(notebook), encoding="utf-8")
    code, printed = build(root, root / "out", REPOSITORY_URL=f"{ADDRESS}.git")
    assert code != 0, printed
    return printed, root / "out" / "_build" / "html"


@pytest.mark.parametrize(
    "message",
    ["no-such-page", "no-such.png", "no-such-heading", "a formula does not typeset", "glossary"],
)
def test_slip_stops_the_build_and_is_named(broken, message):
    assert message in broken[0]


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_address_brings_a_colab_link(broken, name):
    page = (broken[1] / f"{name}.html").read_text(encoding="utf-8")
    path = ADDRESS.removeprefix("https://github.com/")
    place = f"{path}/blob/published-notebooks/{name.removeprefix('chapters/')}.ipynb"
    assert f"https://colab.research.google.com/github/{place}" in page
    assert f'href="{ADDRESS}"' in page


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_downloaded_notebook_links_to_the_published_pages(broken, name):
    path = broken[1] / "notebooks" / f"{name.removeprefix('chapters/')}.ipynb"
    addresses = [link.address for link in links(read(path))]
    assert all(address.startswith("https://") for address in addresses)
    ours = [address.removeprefix(PUBLISHED) for address in addresses if PUBLISHED in address]
    assert ours, "each notebook leads at least to its chapter or its solutions"
    for link in ours:
        place, _, anchor = link.partition("#")
        page = Page((broken[1] / place).read_text(encoding="utf-8"))
        assert anchor in page.ids or not anchor or anchor == "no-such-heading"


def test_links_fit_on_a_narrow_screen(broken, open_page):
    page = open_page((broken[1] / f"{NOTEBOOKS[0]}.html").as_uri(), width=360)
    assert page.get_by_role("link", name="Colab").is_visible()
    assert page_checks.width_faults(page) == []
