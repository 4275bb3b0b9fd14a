"""Build the book, and say which pages it has."""

import os
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
LAB = "book/lab.html"
# Made by Sphinx, in no table of contents. Of the pages of source code one stands for all.
EXTRA = ["404", "genindex", "search", "_modules/resnet_lib/probes/costs"]


def build(root, target, **environment):
    """Build the pages of `root` into target/_build/html; return (exit code, what was printed)."""
    call = "from jupyter_book.cli.main import main; main()"
    command = [sys.executable, "-c", call, "build", root, "--path-output", target]
    others = {key: value for key, value in os.environ.items() if key != "REPOSITORY_URL"}
    log = Path(target, "build.log")
    log.parent.mkdir(parents=True, exist_ok=True)
    # Into a file: a pipe would stay open, and be waited for, as long as any child of the build.
    with log.open("w", encoding="utf-8") as output:
        done = subprocess.run(
            [*command, "-W", "--keep-going", "-n"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env=others | {"NO_COLOR": "1"} | environment,
            timeout=1800,
        )
    return done.returncode, log.read_text(encoding="utf-8")


def pages_in_contents():
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    chapters = [chapter for part in contents["parts"] for chapter in part["chapters"]]
    under = [page["file"] for chapter in chapters for page in chapter.get("sections", ())]
    return [contents["root"], *(chapter["file"] for chapter in chapters), *under]


PAGES = pages_in_contents()
NOTEBOOKS = [page for page in PAGES if (ROOT / f"{page}.ipynb").exists()]
