"""The repository's address: read in one place, shown only where it is set."""

import os
import re
from pathlib import Path

import yaml

COLAB = "https://colab.research.google.com/github"


def repository_address(root):
    """Return (url, branch); url is empty when nobody has set an address."""
    settings = yaml.safe_load((Path(root) / "_config.yml").read_text(encoding="utf-8"))
    repository = settings.get("repository") or {}
    url = os.environ.get("REPOSITORY_URL") or repository.get("url") or ""
    return url.rstrip("/").removesuffix(".git"), repository.get("branch") or "main"


def colab_link(url, branch, path):
    """Return the address that opens a notebook in Colab, or None if it is not on GitHub."""
    on_github = re.fullmatch(r"https://github\.com/([^/]+/[^/]+)", url)
    return f"{COLAB}/{on_github[1]}/blob/{branch}/{path}" if on_github else None


def add_links(app, pagename, templatename, context, doctree):
    source = f"{pagename}{context.get('page_source_suffix') or ''}"
    is_notebook = source.endswith(".ipynb")
    url, branch = app.config.book_repository
    context["book_repository_url"] = url
    context["book_colab_url"] = colab_link(url, branch, source) if is_notebook else None
    context["book_notebook"] = f"_sources/{source}" if is_notebook else None


def setup(app):
    # A configuration value, so that a changed address rebuilds every page.
    app.add_config_value("book_repository", repository_address(app.srcdir), "html")
    app.connect("html-page-context", add_links)
