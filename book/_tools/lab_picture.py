"""Take the picture that the lab shows where it cannot run: book/lab.png.

python book/_tools/lab_picture.py _build/html     the built pages
"""

from __future__ import annotations

import functools
import sys
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from chromium import find_chromium, options
from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).resolve().parents[1] / "lab.png"
# Only what is to be seen: neither buttons nor words for who draws.
BARE = """#lab :is(button, .lab-row, .lab-examples, #lab-how, #lab-how + p, #lab-lesions, h2,
h2 + p) { display: none } #lab { padding: 4px }"""


def main(words: list[str]) -> int:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=words[0])
    with (
        ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        sync_playwright() as playwright,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=options())
        page = chromium.new_page(viewport={"width": 900, "height": 900})
        page.goto(f"http://127.0.0.1:{server.server_port}/book/lab.html")
        page.click("#lab-load")
        page.get_by_text("It sees a").first.wait_for()
        page.add_style_tag(content=BARE)
        page.locator("#lab-bench").screenshot(path=PICTURE)
        server.shutdown()
        chromium.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
