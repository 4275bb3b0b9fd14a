"""The repository's address, read in one place; the notebooks that the pages offer."""

import os
import re
import sys
from pathlib import Path

import yaml

sys.path.append(str(Path(__file__).parents[2] / "_tools"))

from alone import write_alone

COLAB = "https://colab.research.google.com/github"
# Colab opens notebooks from branches; .github/workflows/pages.yml keeps this one.
NOTEBOOKS, NOTEBOOKS_BRANCH = "notebooks", "published-notebooks"


def repository_address(root):
    """Return the address, empty when nobody has set one."""
    settings = yaml.safe_load((Path(root) / "_config.yml").read_text(encoding="utf-8"))
    repository = settings.get("repository") or {}
    url = os.environ.get("REPOSITORY_URL") or repository.get("url") or ""
    return url.rstrip("/").removesuffix(".git")


def on_github(url):
    """Return ("owner", "repository"), or None if the address is not one of GitHub's."""
    match = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+)", url)
    return match and match.groups()


def colab_link(url, name):
    """Return the address that opens a notebook in Colab, or None if it is not on GitHub."""
    place = on_github(url)
    return place and f"{COLAB}/{'/'.join(place)}/blob/{NOTEBOOKS_BRANCH}/{name}"


def pages_address(url):
    """Return where GitHub publishes the pages of a repository, or None if it is not on GitHub."""
    if not (place := on_github(url)):
        return None
    host = f"{place[0].lower()}.github.io"
    return f"https://{host}" if place[1].lower() == host else f"https://{host}/{place[1]}"


def add_links(app, pagename, templatename, context, doctree):
    url = app.config.book_repository
    context["book_repository_url"] = url
    # Those of chapters and solutions are made to run alone, not a notebook that is a page of book/.
    is_notebook = context.get("page_source_suffix") == ".ipynb" and pagename.startswith("chapters/")
    name = f"{pagename.removeprefix('chapters/')}.ipynb" if is_notebook else None
    context["book_colab_url"] = colab_link(url, name) if name else None
    context["book_notebook"] = f"{NOTEBOOKS}/{name}" if name else None


def write_notebooks(app, exception):
    """Put the notebooks that run alone beside the pages."""
    if exception is None and app.builder.name == "html":
        pages = pages_address(app.config.book_repository)
        for _ in write_alone(Path(app.outdir, NOTEBOOKS), Path(app.srcdir), pages):
            pass


def setup(app):
    # A configuration value, so that a changed address rebuilds every page.
    app.add_config_value("book_repository", repository_address(app.srcdir), "html")
    app.connect("html-page-context", add_links)
    app.connect("build-finished", write_notebooks)
