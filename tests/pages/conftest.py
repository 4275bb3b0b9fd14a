"""What the page tests share: the built book, a server for it, and a browser."""

import functools
import os
import sys
import threading
import warnings
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from building import LAB, ROOT, build
from chromium import find_chromium, options
from filelock import FileLock
from page_checks import Watch
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(ROOT / "book" / "_ext"))

MISSING = (
    "CHROMIUM IS MISSING: NO PAGE WAS LOOKED AT IN A BROWSER. "
    "Install chromium (apt-get install chromium), or name one in the variable CHROMIUM."
)


@pytest.fixture(scope="session")
def html(tmp_path_factory):
    """The folder of the book's pages, built once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with FileLock(shared / "book.lock"):
        done = shared / "book" / "built"
        if not done.exists():
            code, printed = build(ROOT, shared / "book")
            assert code == 0, f"the book does not build:\n{printed}"
            done.touch()
    return shared / "book" / "_build" / "html"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture(scope="session")
def served(html):
    """The address under which the pages are served on this machine."""
    handler = functools.partial(Quiet, directory=html)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


# Not for the whole session: its event loop must be gone before notebooks run in this process.
@pytest.fixture(scope="module")
def browser():
    path = find_chromium()
    if path is None:
        if os.environ.get("CI") == "true":
            pytest.fail(MISSING)
        warnings.warn(MISSING, stacklevel=1)
        pytest.skip(MISSING)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=options())
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser):
    """Return a function that opens an address and returns the page with what it did."""
    contexts = []

    def open_page(address, theme="light", width=1280):
        viewport = {"width": width, "height": 900}
        contexts.append(browser.new_context(color_scheme=theme, viewport=viewport))
        page = contexts[-1].new_page()
        page.watch = Watch(page, address)
        page.goto(address)
        page.evaluate("document.fonts.ready.then(() => true)")
        return page

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture
def lab(served, open_page):
    """Return a function that opens the lab and loads the digits' network."""

    def lab(theme="light", width=1280):
        page = open_page(f"{served}/{LAB}", theme, width)
        page.locator("#lab-load").click()
        page.get_by_text("It sees a 3").first.wait_for()
        return page

    return lab
