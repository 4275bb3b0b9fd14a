"""Find links inside the built pages that lead nowhere."""

import posixpath
import re
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

LINKS = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
CSS_URL = re.compile(r"""url\((["']?)(?!data:)([^"')]+)\1\)""")


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.doubles = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if attributes.get("id"):
            if attributes["id"] in self.ids:
                self.doubles.append(attributes["id"])
            self.ids.add(attributes["id"])
        link = attributes.get(LINKS.get(tag, ""))
        if link and link != "#":
            self.links.append(link)


def dangling_links(root):
    """Return a sentence for each link, anchor or style address below `root` without a target."""
    pages = {
        path.relative_to(root).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in root.rglob("*.html")
    }
    faults = []
    for name, page in pages.items():
        faults += [f"{name}: the id {double!r} stands twice" for double in page.doubles]
        for link in page.links:
            faults += [f"{name}: {fault}" for fault in link_faults(root, pages, name, link)]
    for sheet in root.rglob("book-bundle.css"):
        for _, url in CSS_URL.findall(sheet.read_text(encoding="utf-8")):
            if not (sheet.parent / urlsplit(url).path).exists():
                faults.append(f"{sheet.name}: no file {url}")
    return faults


def link_faults(root, pages, name, link):
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return []
    if link.startswith("/"):
        return [f"{link} starts at the server's root, which a folder does not have"]
    path = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path)))
    target = path if parts.path else name
    if not (root / target).is_file():
        return [f"{link} leads to no file"]
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return [f"{link} leads to a page without that heading or id"]
    return []
