"""The book's lab in headless Chromium, served from this machine: opened, drawn to, timed."""

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

from bench import record

sys.path.append(str(record.ROOT / "book" / "_tools"))

from chromium import find_chromium
from chromium import options as browser_options

PAGES = record.ROOT / "_build" / "html"
ENTRIES = 'performance.getEntriesByName("from input to answer").map((entry) => entry.duration)'
SETUP = """async ([name, image, int8, layers]) => {
  const network = (window.labNetworks ??= {})[name] ??= await Lab.load(name);
  const ort = await import("../_static/lab/ort.mjs");
  const small = await ort.InferenceSession.create(
    Uint8Array.from(atob(int8), (sign) => sign.charCodeAt(0)), { logSeverityLevel: 3 });
  const on = { skips: network.blocks.map(() => 1), branches: network.blocks.map(() => 1) };
  const given = Float32Array.from(image);
  const shape = name === "digits" ? [1, 1, 8, 8] : [1, 3, 32, 32];
  const typed = ({ weight, bias, stride }) => ({
    weight: Float32Array.from(weight), bias: Float32Array.from(bias), stride });
  const held = layers && { convolutions: layers.convolutions.map(typed), head: typed(layers.head) };
  window.ways = {
    web: async () => (await network.run(given, on)).scores.data,
    "web-scores": async () => (await network.run(given, on, ["scores"])).scores.data,
    "web-int8": async () =>
      (await small.run({ images: new ort.Tensor("float32", given, shape) })).scores.data,
    "by-hand": async () => byHand(given, 8, held, on),
  };
}"""
TIME = """async ([way, repeats]) => {
  let scores = null;
  const start = performance.now();
  for (let i = 0; i < repeats; i++) scores = await ways[way]();
  return [(performance.now() - start) / repeats, Array.from(scores)];
}"""
ZERO = [(0.5, 0.04), (0.3, 0.2), (0.26, 0.5), (0.3, 0.8), (0.5, 0.96), (0.7, 0.8), (0.74, 0.5)]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextlib.contextmanager
def chromium() -> Iterator[tuple]:
    """A browser, and the address of the lab."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=PAGES)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=browser_options()
        )
        yield browser, f"http://127.0.0.1:{server.server_port}/book/lab.html"
        browser.close()
        server.shutdown()


def opened(browser, address: str, name: str):
    """The lab in a window of its own with a network loaded."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.goto(address)
    page.click("#lab-load")
    page.get_by_text("It sees a 3").first.wait_for()
    if name == "pictures":
        page.click("#lab-more-load")
        page.get_by_text("It sees an airplane").first.wait_for()
    return page


def draw(page) -> None:
    """Most of a zero, with the mouse."""
    page.click("#lab-clear")
    page.locator("#lab-pad").scroll_into_view_if_needed()
    box = page.locator("#lab-pad").bounding_box()
    page.mouse.move(box["x"] + ZERO[0][0] * box["width"], box["y"] + ZERO[0][1] * box["height"])
    page.mouse.down()
    for x, y in ZERO[1:]:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
    page.mouse.up()


def choose(page) -> None:
    """Each class's next picture; one waits for an answer, as a reader does."""
    for button in page.locator("#lab-examples-pictures button").all():
        answered = len(page.evaluate(ENTRIES))
        button.click()
        page.wait_for_function(f"{ENTRIES}.length > {answered}")
