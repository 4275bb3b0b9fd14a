"""Where the living figures stand, and how a test asks them for many states at once."""

import json

from book_ext.living.parts import Choice, Curve, Slider

FRONT = "book/index"
# Where each figure lives.
PLACES = {
    "one-number": [FRONT, "chapters/02_residual_formula"],
    "block-calculator": ["chapters/04_downsample_shortcuts", "chapters/06_bottleneck_depths"],
    "gradient-flow": ["chapters/07_gradient_flow"],
    "architecture": ["chapters/05_resnet18", "chapters/06_bottleneck_depths"],
    "predict": [
        "chapters/01_why_depth_fails",
        "chapters/07_gradient_flow",
        "chapters/13_degradation",
    ],
    "ring": ["chapters/12_many_processes", "chapters/A2_cost_of_many_gpus"],
    "variants": ["chapters/19_variants"],
}
PARTS = zip(PLACES["predict"], ("depth", "gradient", "epochs"), strict=True)
ASKED = {(page, "predict"): f"predict/{part}" for page, part in PARTS}
ON_PAGES = [(page, name) for name, pages in PLACES.items() for page in pages]

# What a figure says and draws in each of the states, without going by its controls and the page's
# layout; test_living.py holds the controls against the same function.
PAINT = """([name, states, width, height, withPaths]) => {
  const figure = document.querySelector(`[data-living="${name}"]`).living;
  const sheet = Living.made("svg");
  const found = states.map((state) => {
    const painted = figure.paint({ state, now: figure.aims(state), width, height });
    const { shapes, ...told } = painted;
    sheet.replaceChildren(...shapes);
    const texts = [...sheet.querySelectorAll("text")];
    told.texts = texts.map((text) => [text.getAttribute("class") ?? "", text.textContent]);
    [told.readAlt, told.readSaid] = [told.alt, told.said].map(Living.spoken);
    if (withPaths) {
      const paths = [...sheet.querySelectorAll("path")];
      told.paths = paths.map((path) => [path.getAttribute("class"), path.getAttribute("d")]);
    }
    return told;
  });
  return JSON.stringify(found); // a text crosses over far faster than objects do
}"""


def figure_on(page, name):
    """The figure, once it has come alive: it draws for the first time when its size is known."""
    figure = page.locator(f'[data-living="{name}"]')
    figure.and_(page.locator(".is-alive")).wait_for(state="attached")
    return figure


def painted(page, name, states, width=640, height=420, paths=False):
    """For each state `alt`, `said`, `slots`, and `texts`: of each its class and itself.

    `readAlt` and `readSaid` are the first two as they are read out.

    paths: give the drawing's `paths` too, of each its class and its course.
    """
    return json.loads(page.evaluate(PAINT, [name, states, width, height, paths]))


def values(controls):
    """Of each control each value: the script's name for it, its text, the value."""
    for control in controls:
        if isinstance(control, Slider | Curve):
            points = range(len(control.places)) if isinstance(control, Curve) else [None]
            for point in points:
                name = control.name if point is None else f"{control.name} {point}"
                for text, value in zip(control.texts, control.values, strict=True):
                    yield name, text, value
        elif isinstance(control, Choice):
            yield from ((control.name, option, option) for option in control.options)
        else:
            yield from ((control.name, "on", True), (control.name, "off", False))
