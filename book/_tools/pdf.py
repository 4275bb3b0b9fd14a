"""Let Chromium print a page, or take a picture of it.

python book/_tools/pdf.py PAGE.html BOOK.pdf
python book/_tools/pdf.py PAGE.html PICTURE.png      1200 by 630 pixels, as previews are
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import chromium

TO_PDF = ("--no-pdf-header-footer", "--generate-pdf-document-outline")
TO_PNG = ("--window-size=1200,630", "--hide-scrollbars")


def make(page: Path, target: Path) -> None:
    """Print or picture the page; the target is there whole or not at all."""
    found = chromium.find_chromium()
    if found is None:
        raise FileNotFoundError("Chromium is missing. Install it, or name one in CHROMIUM.")
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        made = Path(scratch, target.name).resolve()
        command = [found, "--headless", *chromium.options(), f"--user-data-dir={scratch}/user"]
        if target.suffix == ".pdf":
            command += [*TO_PDF, f"--print-to-pdf={made}"]
        else:
            command += [*TO_PNG, f"--screenshot={made}"]
        done = subprocess.run([*command, page.resolve().as_uri()], capture_output=True, text=True)
        if not made.is_file():
            raise RuntimeError(f"{found} made nothing. {done.stderr[-2000:]}")
        os.replace(made, target)


def main(words: list[str]) -> int:
    page, target = map(Path, words)
    try:
        make(page, target)
    except (OSError, RuntimeError) as error:
        print(f"pdf.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
