"""What others show of a page: its description, its preview, its place in the sitemap.

An address is written only where one is set; without it the pages work from any folder.
"""

import tomllib
from html import escape
from pathlib import Path

from docutils import nodes

from book_ext.repository import pages_address

LONGEST = 155  # characters that search engines show of a description
SITEMAP = '<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{}">\n{}</urlset>\n'
NAMESPACE = "http://www.sitemaps.org/schemas/sitemap/0.9"


def description(doctree):
    """The first paragraph, cut after a whole word."""
    first = doctree.next_node(nodes.paragraph) if doctree else None
    text = " ".join(first.astext().split()) if first else ""
    if len(text) <= LONGEST:
        return text
    return text[: LONGEST - 1].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def version(root):
    project = tomllib.loads(Path(root, "pyproject.toml").read_text(encoding="utf-8"))
    return project["project"]["version"]


def describe(app, pagename, templatename, context, doctree):
    site = pages_address(app.config.book_repository)
    context["page_description"] = description(doctree)
    context["book_version"] = version(app.srcdir)
    context["book_site"] = site
    context["book_page"] = site and f"{site}/{app.builder.get_target_uri(pagename)}"


def write_sitemap(app, exception):
    site = pages_address(app.config.book_repository)
    if exception is not None or app.builder.name != "html" or not site:
        return
    pages = [f"{site}/{app.builder.get_target_uri(page)}" for page in sorted(app.env.found_docs)]
    lines = "".join(f"  <url><loc>{escape(page)}</loc></url>\n" for page in pages)
    Path(app.outdir, "sitemap.xml").write_text(SITEMAP.format(NAMESPACE, lines), encoding="utf-8")


def setup(app):
    # After jupyter_book, which cuts its description in the middle of a word.
    app.connect("html-page-context", describe, priority=800)
    app.connect("build-finished", write_sitemap)
