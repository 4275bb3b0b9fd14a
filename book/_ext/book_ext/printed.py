"""What Chromium makes of the book with `make pdf`: one PDF, and the picture that previews show."""

import re
import shutil
from pathlib import Path
from urllib.parse import unquote

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from book_ext.front import main_result
from book_ext.repository import pages_address

PDF, PREVIEW = "residual-networks.pdf", "preview.png"
WAYS = {
    "Read chapter 01": "../chapters/01_why_depth_fails.html",
    "Run it": "how-to-read.html#run-one-chapter",
}
LINK = re.compile(r'(<a\b[^>]*?)\shref="([^"]*)"')
# Chapters begin on a new page. Code that is folded on the screen is left out.
STYLE = """<style>
@page { size: A4; margin: 18mm 16mm; }
@media print {
  html { --measure: 100%; font-size: 13px; }
  [id^="document-chapters"] + section, [id^="document-book"] + section { break-before: page; }
  h1, h2, h3, h4 { break-after: avoid; break-inside: avoid; }
  img, svg { break-inside: avoid; }
  table { break-inside: auto; }
  details.hide, .headerlink { display: none !important; }
}
</style></head>"""


PREVIEW_PAGE = """<!doctype html><html lang="en" data-theme="light" data-mode="light"><head>
<meta charset="utf-8"><link href="_static/book-bundle.css" rel="stylesheet"></head>
<body class="preview"><div class="bd-article"><h1>{title}</h1>{result}</div></body></html>"""


class ways_on(nodes.General, nodes.Element):
    """The buttons of the front page, put in when the page is written."""


class WaysOn(SphinxDirective):
    def run(self):
        return [ways_on()]


def visit_ways_on(writer, node):
    links = dict(WAYS)
    size = writer.builder.config.book_pdf
    if size and writer.builder.name == "html":
        links[f"PDF, {size / 1e6:.0f} MB"] = f"../{PDF}"
    buttons = "".join(f'<a href="{address}">{name}</a>' for name, address in links.items())
    writer.body.append(f'<div class="ways-on">{buttons}</div>')
    raise nodes.SkipNode


def printable(page, site=None):
    """One page whose links lead into itself, else to the site where there is one, else nowhere."""
    ids = set(re.findall(r'\sid="([^"]+)"', page))

    def anchor_of(address):
        path, _, anchor = unquote(address).partition("#")
        place = path.removesuffix(".html").removeprefix("../")
        names = (anchor, f"document-{place}", f"document-book/{place}")
        return next((name for name in names if name in ids), None)

    def lead(match):
        tag, address = match.groups()
        if re.match(r"\w+:", address):
            return match[0]
        if anchor := anchor_of(address):
            return f'{tag} href="#{anchor}"'
        return f'{tag} href="{site}/{address.removeprefix("../")}"' if site else tag

    page = LINK.sub(lead, page).replace(' loading="lazy"', "")
    return page.replace("</head>", STYLE, 1)


def finish(app, exception):
    """Beside the one page of the book write the one to print; beside the pages put the PDF."""
    if exception is not None:
        return
    if app.builder.name == "singlehtml":
        page = Path(app.outdir, f"{app.config.root_doc}.html").read_text(encoding="utf-8")
        text = printable(page, pages_address(app.config.book_repository))
        Path(app.outdir, "print.html").write_text(text, encoding="utf-8")
        text = PREVIEW_PAGE.format(title=app.config.html_title, result=main_result(app.srcdir))
        Path(app.outdir, "preview.html").write_text(text, encoding="utf-8")
    elif app.builder.name == "html":
        for made in made_before(app):
            shutil.copyfile(made, Path(app.outdir, made.name))


def made_before(app):
    """What an earlier `make pdf` has left."""
    paths = (Path(app.srcdir, "_build", name) for name in (PDF, PREVIEW))
    return [path for path in paths if path.is_file()]


def add_preview(app, pagename, templatename, context, doctree):
    site = pages_address(app.config.book_repository)
    there = any(path.name == PREVIEW for path in made_before(app))
    context["book_preview"] = f"{site}/{PREVIEW}" if site and there else None


def setup(app):
    # A configuration value, so that a new PDF has the front page written anew.
    sizes = [path.stat().st_size for path in made_before(app) if path.name == PDF]
    app.add_config_value("book_pdf", sum(sizes), "html")
    app.connect("html-page-context", add_preview)
    app.add_node(ways_on, html=(visit_ways_on, None))
    app.add_directive("ways-on", WaysOn)
    app.connect("build-finished", finish)
