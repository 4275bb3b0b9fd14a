"""Serve one small style sheet instead of twelve large ones, and let scripts wait for the text.

The theme and the extensions bring about 550 kB of style rules, of which a page uses a seventh. What
names a tag, class or id that neither a page nor a script of the finished book mentions is left out.
"""

import subprocess
from pathlib import Path

from sphinx.builders.html._assets import _JavaScript

from book_ext.assets import node_module, node_program

SCRIPT = Path(__file__).with_name("purge.js")
BUNDLE = "book-bundle.css"  # webpack-macros.html links to it
UNUSED = "sphinx_highlight.js"  # it marks the words of Sphinx's own search
# What the theme's own templates load before everything else.
FIRST = ("basic.css", "styles/pydata-sphinx-theme.css")


def purge(out, names):
    """Write the bundle: what the pages in the folder `out` can use of its style sheets."""
    subprocess.run([node_program(), SCRIPT, BUNDLE, *names], cwd=out, check=True)


def write_bundle(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    node_module(app.srcdir, "purgecss")
    sheets = sorted(app.builder._css_files, key=lambda sheet: sheet.priority)
    names = [*FIRST, *(str(sheet.filename).removeprefix("_static/") for sheet in sheets)]
    purge(app.outdir, dict.fromkeys(names))


def deferred(script):
    attributes = script.attributes | {"defer": "defer"}
    return _JavaScript(script.filename, priority=script.priority, **attributes)


def use_bundle(app, pagename, templatename, context, doctree):
    context["css_files"] = []  # the template links to the bundle
    # Inline scripts tell the theme what only its version switcher reads.
    scripts = [script for script in context["script_files"] if script.filename]
    context["script_files"] = [deferred(s) for s in scripts if not s.filename.endswith(UNUSED)]


def setup(app):
    app.connect("html-page-context", use_bundle, priority=900)
    app.connect("build-finished", write_bundle, priority=900)
