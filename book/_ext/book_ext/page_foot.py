"""Say at the foot of each page when, and with which versions, its outputs were made."""

import json
from pathlib import Path

KEYS = ("executed", "python", "torch", "torchvision", "device")


def outputs_made(path):
    """Return the sentence for a notebook, from the metadata that executing it wrote."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    made = notebook["metadata"].get("resnet_book")
    if not made or any(key not in made for key in KEYS):
        return None
    return (
        "Outputs made on {executed} with Python {python}, torch {torch}, "
        "torchvision {torchvision}, on {device}.".format(**made)
    )


def add_foot(app, pagename, templatename, context, doctree):
    is_notebook = context.get("page_source_suffix") == ".ipynb"
    path = Path(app.env.doc2path(pagename))
    context["book_outputs_made"] = outputs_made(path) if is_notebook else None


def setup(app):
    app.connect("html-page-context", add_foot)
