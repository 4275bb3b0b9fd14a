"""The networks in one file, shown on a page and laid beside the pages to be fetched."""

import sys
from pathlib import Path

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

sys.path.append(str(Path(__file__).parents[2] / "_tools"))

from one_file import LIBRARY, MODULES, one_file

NAME = "resnet.py"


class OneFile(SphinxDirective):
    """The file's text, highlighted."""

    def run(self):
        root = Path(self.env.srcdir)
        for module in MODULES:
            self.env.note_dependency(str(root / LIBRARY / f"{module}.py"))
        text = one_file(root)
        return [nodes.literal_block(text, text, language="python")]


def write(app, exception):
    if exception is None and app.builder.format == "html":
        Path(app.outdir, NAME).write_text(one_file(Path(app.srcdir)), encoding="utf-8")


def setup(app):
    app.add_directive("one-file", OneFile)
    app.connect("build-finished", write)
