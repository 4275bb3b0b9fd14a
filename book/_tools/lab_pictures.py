"""Draw the pictures that the lab shows to ResNet-20: two drawn pictures of each class.

    npm install @iconify-json/fluent-emoji@1.2.7
    python book/_tools/lab_pictures.py node_modules/@iconify-json/fluent-emoji/icons.json

The drawings are Microsoft's Fluent Emoji (MIT licence, copyright Microsoft Corporation). Chromium
draws each at 256 pixels, on a sky or on paper; the mean of each 8 × 8 square makes a pixel.
Photographs from CIFAR-10 itself do not come along, because their authors state no licence.
"""

from __future__ import annotations

import base64
import io
import json
import sys
from pathlib import Path

from chromium import find_chromium, options
from lab_models import LAB, switched
from PIL import Image
from playwright.sync_api import sync_playwright

from resnet_lib import weights
from resnet_lib.files import write_whole

SKY, PAPER = "linear-gradient(#9cc4e8, #dfe9f2)", "#fff"
DRAWINGS = {
    "airplane": ("airplane", "small-airplane"),
    "automobile": ("automobile", "oncoming-automobile"),
    "bird": ("duck", "parrot"),
    "cat": ("cat", "cat-face"),
    "deer": ("deer", "deer"),
    "dog": ("dog", "dog-face"),
    "frog": ("frog", "frog"),
    "horse": ("horse", "horse-face"),
    "ship": ("ship", "sailboat"),
    "truck": ("delivery-truck", "fire-engine"),
}
CREDIT = "Drawings: Fluent Emoji, copyright Microsoft Corporation, MIT licence."
FRAME = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {w} {h}" width="236">{body}</svg>'
PAGE = """<body style="margin: 0"><div style="align-items: center; background: {ground};
display: flex; height: 256px; justify-content: center; width: 256px">{drawing}</div>"""


def picture(page, icons: dict, name: str, ground: str) -> bytes:
    """Red, green and blue of 32 × 32 pixels, row by row."""
    size = icons.get("width", 16), icons.get("height", 16)
    drawing = FRAME.format(w=size[0], h=size[1], body=icons["icons"][name]["body"])
    page.set_content(PAGE.format(ground=ground, drawing=drawing))
    with Image.open(io.BytesIO(page.screenshot())) as shot:
        return shot.convert("RGB").resize((32, 32), Image.Resampling.BOX).tobytes()


def main(words: list[str]) -> int:
    icons = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    card = weights.model_card("resnet20", "cifar10")
    pixels, labels, names = b"", [], []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_chromium(), args=options())
        page = chromium.new_page(viewport={"width": 256, "height": 256})
        for label, kind in enumerate(card.classes):
            for name, ground in zip(DRAWINGS[kind], (SKY, PAPER), strict=True):
                pixels += picture(page, icons, name, ground)
                labels.append(label)
                names.append(name.replace("-", " "))
        chromium.close()
    held = {
        "credit": CREDIT,
        "blocks": switched("pictures").names,
        "classes": card.classes,
        "mean": card.mean,
        "std": card.std,
        "labels": labels,
        "names": names,
        "pixels": base64.b64encode(pixels).decode(),
    }
    write_whole(LAB / "pictures.json", (json.dumps(held) + "\n").encode())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
