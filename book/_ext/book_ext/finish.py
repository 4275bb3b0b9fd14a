"""Finish the folder of pages: a front door at its root, and nothing in it that no page uses."""

import shutil
from html import escape
from pathlib import Path

# The theme's icon library: 1.5 MB of script and 1 MB of fonts, for which book.css has a few shapes.
UNUSED = (
    "scripts/fontawesome.js*",
    "scripts/bootstrap.js*",
    "vendor",
    "sphinx_highlight.js",
    "locales",
    "**/*.map",
    "**/*.html",
)
REDIRECT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="_static/favicon.svg">
<meta http-equiv="refresh" content="0; url={page}">
<p><a href="{page}">{title}</a></p>
</html>
"""


def write_front_door(app, exception):
    # The first page lies in a folder; without this, sphinx_external_toc writes a bare tag.
    if exception is None and app.builder.name == "html":
        page = f"{app.config.root_doc}.html"
        text = REDIRECT.format(page=page, title=escape(app.config.html_title))
        Path(app.outdir, "index.html").write_text(text, encoding="utf-8")


def drop_unused(app, exception):
    if exception is None and app.builder.name == "html":
        for pattern in UNUSED:
            for path in sorted(Path(app.outdir, "_static").glob(pattern), reverse=True):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def setup(app):
    # Before sphinx_external_toc, which leaves an index.html alone that it finds.
    app.connect("build-finished", write_front_door, priority=100)
    app.connect("build-finished", drop_unused)
