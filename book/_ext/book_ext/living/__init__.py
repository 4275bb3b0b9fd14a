"""Living figures: a picture that stands still on paper, and answers where a script may run.

A figure NAME is two files: `book/_static/living/NAME.js`, which draws, and the module `NAME` here
(with _ for -), whose function `figure(root)` gives a `parts.Figure`: its controls, what its script
knows, and the same numbers as a table. A notebook places it by tagging the cell of the still
picture `living:NAME`; a page in Markdown by the directive `{living} NAME`. GitHub and Colab show
the still picture, and so do paper and a browser without scripts. `living:NAME?CONTROL=VALUE&…`
lets controls start elsewhere on this page. `living:NAME/PART` asks `figure(root, PART)`: one script
that serves several sets of data.
"""

import re
import subprocess
from importlib import import_module
from pathlib import Path
from urllib.parse import parse_qsl

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from book_ext.assets import node_module, node_program

TAG = "living:"
STATIC = Path(__file__).parents[3] / "_static" / "living"
CORE = "living"  # living.js, which all of them share
MODULES = ("d3-scale", "d3-shape", "esbuild")
SCRIPT = Path(__file__).with_name("d3.js")
logger = logging.getLogger(__name__)


def known():
    """The names of the living figures."""
    return sorted({path.stem for path in STATIC.glob("*.js")} - {CORE})


def figure(asked, root):
    """What the figure's Python function gives, for NAME, NAME/PART or NAME?CONTROL=VALUE&…

    Raises:
        KeyError: there is no script of this name, no such part, or no control with this value.
    """
    path, _, starts = asked.partition("?")
    name, *part = path.split("/")
    if name not in known():
        raise KeyError(f"there is no living figure {name!r}; there are: {', '.join(known())}")
    made = import_module(f"{__name__}.{name.replace('-', '_')}").figure(Path(root), *part)
    return made.starting(dict(parse_qsl(starts, strict_parsing=bool(starts))))


class living(nodes.General, nodes.Element):
    """The place of a living figure; its children are the still picture."""


def visit(writer, node):
    writer.body.append(_around(writer, node)[0])


def depart(writer, node):
    writer.body.append(_around(writer, node)[1])


def _around(writer, node):
    """What stands before and after the still picture; for print, just its frame."""
    if writer.builder.name != "html":
        return '<div class="living">', "</div>"
    made = figure(node["asked"], writer.builder.srcdir)
    return made.begin(node["name"], node["small"]), made.end(node["name"], node["small"])


class Living(SphinxDirective):
    """`{living} NAME` with the option `small`: the figure with the still picture that it draws."""

    required_arguments = 1
    option_spec = {"small": directives.flag}  # noqa: RUF012

    def run(self):
        name = self.arguments[0]
        if name not in known():
            return [self.state.document.reporter.error(_unknown(name), line=self.lineno)]
        place = living(name=name, asked=name, small="small" in self.options)
        place += nodes.raw("", figure(name, self.env.srcdir).still, format="html")
        return [place]


def place_in_notebook(app, doctree):
    """Put what a tagged cell shows into the figure, as its still picture."""
    for cell in list(doctree.findall(nodes.container)):
        if cell.get("nb_element") != "cell_code":
            continue
        for tag in cell["cell_metadata"].get("tags", ()):
            if tag.startswith(TAG):
                _wrap(cell, tag.removeprefix(TAG))


def _wrap(cell, asked):
    name = re.split("[/?]", asked)[0]
    shown = cell.children[-1] if cell.children else None
    if name not in known():
        logger.warning(_unknown(name), location=cell)
    elif shown is None or shown.get("nb_element") != "cell_code_output":
        logger.warning("a cell with the tag %s%s shows nothing", TAG, asked, location=cell)
    else:
        place = living(name=name, asked=asked, small=False)
        place += shown.children
        shown.children = []
        shown += place


def _unknown(name):
    return f"there is no living figure {name!r}; there are: {', '.join(known())}"


def add_scripts(app, pagename, templatename, context, doctree):
    """Only a page with a living figure fetches scripts, and only those of its figures."""
    names = sorted({node["name"] for node in doctree.findall(living)}) if doctree else []
    for script in ("d3", CORE, *names) if names else ():
        app.add_js_file(f"living/{script}.js")


def put_d3(app, config):
    """Of D3 only what the figures use, as one classic script: it also runs from a folder."""
    for name in MODULES:
        node_module(app.srcdir, name)
    made = Path(app.outdir).parent / "generated_static" / "living" / "d3.js"
    subprocess.run([node_program(), SCRIPT, made], check=True)


def setup(app):
    app.add_node(living, html=(visit, depart))
    app.add_directive("living", Living)
    app.add_css_file("living/living.css")
    app.connect("config-inited", put_d3)
    app.connect("doctree-read", place_in_notebook)
    app.connect("html-page-context", add_scripts)
