"""Where Chromium is on this machine, and how it is started without a window."""

import os
import shutil
from pathlib import Path

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_CHROME = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def find_chromium() -> str | None:
    named = [os.environ.get("CHROMIUM"), *map(shutil.which, BROWSERS), MAC_CHROME]
    return next((path for path in named if path and Path(path).exists()), None)


def options() -> list[str]:
    """Root has no sandbox."""
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    return [*QUIET, *as_root]
