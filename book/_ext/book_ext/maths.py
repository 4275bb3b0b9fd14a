"""Typeset formulas while building, with the Node and KaTeX that come as packages.

One Node process answers line by line. (The extension made for this, sphinxcontrib-katex, talks
to Node through a socket; on a busy machine it gave up or connected too early.)
"""

import json
import subprocess
from html import escape
from pathlib import Path

from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

from book_ext.assets import node_module, node_program

logger = logging.getLogger(__name__)
SCRIPT = Path(__file__).with_name("katex_lines.js")
WORD_JOINER = "\u2060"  # takes no room and forbids a line break
CLOSING, OPENING = tuple(".,;:!?)”’-"), tuple("(“‘")


class Typesetter:
    """A Node process that starts with the first formula and ends with the build."""

    def __init__(self, root):
        self.root, self.process = root, None

    def start(self):
        katex = node_module(self.root, "katex") / "dist" / "katex.min.js"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "encoding": "utf-8"}
        self.process = subprocess.Popen([node_program(), SCRIPT, katex], **pipes)

    def ask(self, latex, display=False):
        """Return Node's answer: the formula's {html}, or the {error} in it."""
        if self.process is None:
            self.start()
        print(json.dumps({"latex": latex, "display": display}), file=self.process.stdin)
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise ExtensionError("Node stopped while it typeset formulas; its message is above.")
        return json.loads(line)

    def typeset(self, node, display=False):
        """Return a formula as HTML; one that does not typeset is a warning that says where."""
        answer = self.ask(node.astext(), display)
        if "error" in answer:
            logger.warning("a formula does not typeset: %s", answer["error"], location=node)
            return f'<span class="katex-error">{escape(node.astext())}</span>'
        return answer["html"]

    def stop(self, *_):
        if self.process is not None:
            self.process.communicate()
            self.process = None


def keep_punctuation(app, doctree, docname):
    """Let no line begin with the full stop after a formula, or end with the bracket before it."""
    for formula in list(doctree.findall(nodes.math)):
        parent = formula.parent
        place = parent.index(formula)
        before = parent[place - 1] if place else None
        after = parent[place + 1] if place + 1 < len(parent) else None
        if isinstance(after, nodes.Text) and after[:1] in CLOSING:
            parent.replace(after, nodes.Text(WORD_JOINER + after))
        if isinstance(before, nodes.Text) and before[-1:] in OPENING:
            parent.replace(before, nodes.Text(before + WORD_JOINER))


def setup(app):
    typesetter = Typesetter(app.srcdir)

    def visit_inline(writer, node):
        html = typesetter.typeset(node)
        writer.body.append(f"{writer.starttag(node, 'span', '', CLASS='math')}{html}</span>")
        raise nodes.SkipNode

    def visit_display(writer, node):
        writer.body.append(writer.starttag(node, "div", CLASS="math"))
        if node["number"]:
            number = get_node_equation_number(writer, node)
            writer.body.append(f'<span class="eqno">({number})</span>')
        writer.body.append(f"{typesetter.typeset(node, display=True)}</div>\n")
        raise nodes.SkipNode

    app.add_html_math_renderer("katex", (visit_inline, None), (visit_display, None))
    app.add_css_file("katex/katex.min.css")
    app.connect("doctree-resolved", keep_punctuation)
    app.connect("build-finished", typesetter.stop)
