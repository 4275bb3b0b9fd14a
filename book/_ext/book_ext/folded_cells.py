"""Let the name of a folded cell be what stands on it."""

# myst_nb gives the element that unfolds a cell a name of its own, beside the text that it shows.
OWN_NAME = ' aria-label="Toggle hidden content"'


def name_by_text(app, pagename, templatename, context, doctree):
    if "body" in context:
        context["body"] = context["body"].replace(OWN_NAME, "")


def setup(app):
    app.connect("html-page-context", name_by_text)
