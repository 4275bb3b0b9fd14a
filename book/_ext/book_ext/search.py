"""Search by section: what each says goes into one script, which MiniSearch looks through.

Sphinx's own search finds pages and splits words at signs such as ×, so that "1×1" finds nothing.
MiniSearch finds sections, forgives a slip of the pen and works from a folder, where a page may
load a script but may not fetch a file.
"""

import json
import re
from pathlib import Path

from docutils import nodes
from sphinx import addnodes

from book_ext.assets import copy, node_module

# A formula as one would type it; what is left of its TeX is dropped.
TEX = (
    (r"\\(?:times|cdot)(?![A-Za-z])", "×"),
    (r"\\(?:to|rightarrow)(?![A-Za-z])", "→"),
    (r"\\approx(?![A-Za-z])", "≈"),
    (r"\\[td]?frac\{([^{}]*)\}\{([^{}]*)\}", r"\1/\2"),
    (r"\\(?:mathcal|mathrm|mathbf|text|operatorname|hat|tilde|bar)(?![A-Za-z])", ""),
    (r"\\(?=[A-Za-z])|[{}$]|\\.", ""),
)


def plain_formula(tex):
    for pattern, text in TEX:
        tex = re.sub(pattern, text, tex)
    return tex


class Text(nodes.NodeVisitor):
    """Collects what a section says itself: its prose apart from its code."""

    def __init__(self, document, top):
        super().__init__(document)
        self.top, self.prose, self.code = top, [], []

    def unknown_visit(self, node):
        if node is not self.top and isinstance(node, (nodes.section, addnodes.desc)):
            raise nodes.SkipNode
        if isinstance(node, (nodes.math, nodes.math_block)):
            self.prose.append(plain_formula(node.astext()))
            raise nodes.SkipNode
        if isinstance(node, nodes.literal_block):
            self.code.append(node.astext())
            raise nodes.SkipNode
        if isinstance(node, (nodes.title, nodes.raw, nodes.comment, addnodes.desc_signature)):
            raise nodes.SkipNode
        if isinstance(node, nodes.Text):
            self.prose.append(node.astext())
        elif isinstance(node, (nodes.paragraph, nodes.entry, nodes.term)):
            self.prose.append(" ")

    def unknown_departure(self, node):
        pass


def said(document, top):
    text = Text(document, top)
    top.walkabout(text)
    return {k: " ".join("".join(v).split()) for k, v in (("x", text.prose), ("c", text.code))}


def sections(document):
    """Each section and each documented name: anchor "a", heading "h", prose "x", code "c"."""
    for section in document.findall(nodes.section):
        heading = section.next_node(nodes.title)
        yield {"a": section["ids"][0], "h": heading.astext(), **said(document, section)}
    for described in document.findall(addnodes.desc):
        signature = described.next_node(addnodes.desc_signature)
        if signature is not None and signature["ids"]:
            name = signature["ids"][0]
            yield {"a": name, "h": name, **said(document, described)}


def collect(app, document):
    kept = app.env.__dict__.setdefault("book_sections", {})
    kept[app.env.docname] = list(sections(document))


def forget(app, env, docname):
    env.__dict__.setdefault("book_sections", {}).pop(docname, None)


def leave_out_sphinx_search(app):
    app.builder.search = False


def write(app, exception):
    if exception is not None or app.builder.format != "html":
        return
    found = [
        {"u": app.builder.get_target_uri(page), "t": app.env.titles[page].astext(), **section}
        for page in sorted(app.env.book_sections)
        if page in app.env.titles
        for section in app.env.book_sections[page]
    ]
    data = json.dumps(found, ensure_ascii=False, separators=(",", ":"))
    static = Path(app.outdir) / "_static"
    (static / "search-sections.js").write_text(f"window.BOOK_SECTIONS={data};\n", encoding="utf-8")
    library = node_module(app.srcdir, "minisearch") / "dist" / "umd" / "index.js"
    copy(library, static / "minisearch.js")


def setup(app):
    app.connect("builder-inited", leave_out_sphinx_search)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("build-finished", write, priority=800)
