"""From a chapter one goes on to the next chapter; its solutions lie beside the way, not on it."""

from html import escape

BESIDE = "solutions/"


def nearest(app, pagename, step):
    """The next page (step 2) or the one before (step 1) that is no page of solutions."""
    page = app.builder.relations.get(pagename, [None] * 3)[step]
    while page and BESIDE in page:
        page = app.builder.relations[page][step]
    return page


def link_chapters(app, pagename, templatename, context, doctree):
    for name, step in (("prev", 1), ("next", 2)):
        page = nearest(app, pagename, step)
        if context.get(name) and page:
            title = escape(app.env.titles[page].astext())
            context[name] = {"link": app.builder.get_relative_uri(pagename, page), "title": title}


def setup(app):
    app.connect("html-page-context", link_chapters)
