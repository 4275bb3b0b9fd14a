"""What must hold for a page in a browser. Each check returns the faults it finds, in words."""

from pathlib import Path

AXE = Path(__file__).parents[2] / "book" / "node_modules" / "axe-core" / "axe.min.js"
# Rules of axe that may be broken, each with its reason. Nothing is on the list.
ALLOWED: dict[str, str] = {}
COLOUR_RULES = ["color-contrast", "link-in-text-block"]
# Thousands of coloured words of code on a page take axe most of its time, and they have a few dozen
# colours; `code_faults` looks at each colour once.
CODE = ".highlight pre"
UNCOLOUR = "code => document.querySelectorAll(code).forEach(box => box.textContent += '')"

RAW_MATHS = r"""() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    if (node.parentElement.closest("pre, code, script, style, .katex, textarea")) continue;
    const raw = node.data.match(/\$[^$\n]+\$|\$\$|\\\(|\\\[|\\begin\{/);
    if (raw) found.push(node.data.trim().slice(0, 80));
  }
  return found;
}"""
KATEX_ERRORS = '() => [...document.querySelectorAll(".katex-error")].map(e => e.textContent)'
IMAGES = """() => [...document.images]
  .filter(image => !image.closest("[aria-hidden=true]"))
  .map(image => [image.getAttribute("src"), image.getAttribute("alt")])"""
FETCH_IMAGES = """() => Promise.allSettled([...document.images].map(image => {
  image.loading = "eager";
  return image.decode();
}))"""
HEADINGS = """() => [...document.querySelectorAll("h1, h2, h3, h4, h5, h6")]
  .filter(heading => heading.checkVisibility())
  .map(heading => [Number(heading.tagName[1]), heading.textContent.trim()])"""
# A fault only where the page itself scrolls; then the elements that stick out help to find it.
TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  const boxes = "pre, .pst-scrollable-table-container, div.math, .output";
  const wide = [...document.body.querySelectorAll("*")].filter(
    e => e.getBoundingClientRect().right > width + 1 && !e.parentElement.closest(boxes));
  return wide.slice(0, 5).map(e => `<${e.tagName.toLowerCase()} class="${e.className}">`
    + ` ${e.textContent.trim().slice(0, 40)}`).concat([""]).slice(0, 5);
}"""


# Each box of code on the page is a kind of its own: a cell, its output, an example in the text.
ADD_WORDS = """([code, classes]) => document.querySelectorAll(code).forEach(box => {
  for (const name of classes) {
    const word = document.createElement("span");
    word.className = name;
    word.textContent = "word ";
    box.append(word);
  }
})"""


class Watch:
    """Notes what a page writes to the console and which addresses it asks for."""

    def __init__(self, page, address):
        self.faults = []
        self.home = address.split("/", 3)[:3] if address.startswith("http") else ["file:"]
        page.on("console", self.note_message)
        page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        page.on("request", self.note_request)
        page.on("requestfailed", lambda request: self.faults.append(f"not found: {request.url}"))
        page.on("response", self.note_response)

    def note_message(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(f"console {message.type}: {message.text}")

    def note_request(self, request):
        inside = "/".join(self.home) + "/"
        if not request.url.startswith((inside, "data:", "blob:", "about:")):
            self.faults.append(f"request to another place: {request.url}")

    def note_response(self, response):
        if response.status >= 400:
            self.faults.append(f"answer {response.status}: {response.url}")


def maths_faults(page):
    raw = [f"formula not typeset: {text!r}" for text in page.evaluate(RAW_MATHS)]
    return raw + [f"KaTeX cannot typeset: {text}" for text in page.evaluate(KATEX_ERRORS)]


def image_faults(page):
    faults = []
    for source, alt in page.evaluate(IMAGES):
        # Without an alt text Sphinx writes the file's name in its place.
        if not alt or alt.endswith((".png", ".svg", ".jpg")):
            faults.append(
                f"image without alt text: {source}. In a notebook, set the cell's metadata "
                '"mystnb": {"image": {"alt": "what the figure shows"}}.'
            )
    return faults


def heading_faults(page):
    headings, faults = page.evaluate(HEADINGS), []
    levels = [level for level, _ in headings]
    if levels.count(1) != 1:
        faults.append(f"{levels.count(1)} headings of level 1 instead of one")
    before = 0
    for level, text in headings:
        if level > before + 1:
            faults.append(f"heading {text!r} has level {level} after level {before}")
        before = level
    return faults


def width_faults(page):
    """Faults of a page as wide as its window is now."""
    return [f"sticks out sideways: {what}" for what in page.evaluate(TOO_WIDE)]


def turn_dark(page):
    """Switch a light page to the dark theme as a reader does, and without fading over."""
    page.add_style_tag(content="* { transition: none !important }")
    page.locator(".theme-switch-button").first.click()
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")


def accessibility_faults(page, only_colours=False, within=None):
    """Run axe; `only_colours` is enough for a page whose structure has been looked at.

    within: a selector, where all the rest of the page has been looked at.
    """
    options = {"rules": {"label-content-name-mismatch": {"enabled": True}}}
    if only_colours:
        options = {"runOnly": {"type": "rule", "values": COLOUR_RULES}}
    page.evaluate(UNCOLOUR, CODE)
    where = {"exclude": [[CODE]]} | ({"include": [[within]]} if within else {})
    return _axe_faults(page, where, options)


def code_faults(page, classes):
    """Let axe judge the colours of code, with a word of each class put into every box of it."""
    page.evaluate(ADD_WORDS, [CODE, sorted(classes)])
    only = {"runOnly": {"type": "rule", "values": COLOUR_RULES}}
    return _axe_faults(page, {"include": [[CODE]]}, only)


def _axe_faults(page, where, options):
    if not AXE.exists():
        raise FileNotFoundError(f"{AXE} is missing: run `npm ci` in book/")
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # Preloading would fetch the style sheets again, which a browser refuses for a folder.
    # Describing every element that keeps the rules would take half of the time.
    options = options | {"preload": False, "resultTypes": ["violations"]}
    result = page.evaluate("([where, options]) => axe.run(where, options)", [where, options])
    return [
        f"axe {violation['id']}: {violation['help']}: {node['html'][:120]} "
        f"({node['failureSummary'].splitlines()[-1].strip()})"
        for violation in result["violations"]
        if violation["id"] not in ALLOWED
        for node in violation["nodes"][:3]
    ]
