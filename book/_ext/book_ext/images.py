"""Pictures: their size is known beforehand, so that no text jumps; their captions look like it."""

import re
from pathlib import Path

import imagesize
from docutils import nodes

IMAGE = re.compile(r'<img ([^>]*?)src="([^"]+)"([^>]*?)(/?)>')
CAPTION = re.compile(r"Figure [A-Z]?\d+\.\d+\.$")
CSS_DPI = 96
# resnet_lib.plots draws at this; notebooks keep their figures without the chunk that says so.
FIGURE_DPI = 144


def displayed_size(path):
    """Return (width, height) in CSS pixels: an inch of a figure is an inch of the page."""
    width, height = imagesize.get(path)
    if width <= 0 or height <= 0:
        return None
    scale = 1
    if path.suffix == ".png":
        dpi = imagesize.getDPI(path)[0]
        scale = CSS_DPI / (dpi if dpi > 0 else FIGURE_DPI)
    return round(width * scale), round(height * scale)


def add_sizes(app, pagename, templatename, context, doctree):
    if "body" not in context:
        return
    sources = {Path(name).name: Path(app.srcdir, path) for path, name in app.builder.images.items()}

    def with_size(match):
        before, source, after, close = match.groups()
        path = sources.get(source.rsplit("/", 1)[-1])
        size = displayed_size(path) if path else None
        if size is None or "width=" in before + after:
            return match[0]
        attributes = f'width="{size[0]}" height="{size[1]}" loading="lazy"'
        return f'<img {before}src="{source}"{after.rstrip()} {attributes}{close}>'

    context["body"] = IMAGE.sub(with_size, context["body"])


def mark_captions(app, doctree):
    """In a notebook a caption is a paragraph, so that each reader shows it."""
    for paragraph in doctree.findall(nodes.paragraph):
        first = next((part for part in paragraph if part.astext()), None)
        if isinstance(first, nodes.strong) and CAPTION.match(first.astext()):
            paragraph["classes"].append("numbered-caption")


def setup(app):
    app.connect("doctree-read", mark_captions)
    app.connect("html-page-context", add_sizes)
