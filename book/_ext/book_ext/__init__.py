"""The book's own Sphinx extension; each module does one thing and says why."""

import hashlib
from pathlib import Path

from book_ext import api, assets, bundle, finish, folded_cells, images, maths, page_foot, repository

MODULES = (api, assets, bundle, finish, folded_cells, images, maths, page_foot, repository)


def fingerprint():
    files = Path(__file__).parent.iterdir()
    sources = sorted(path for path in files if path.suffix in (".py", ".js"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def setup(app):
    # A configuration value, so that a change to the extension writes every page anew.
    app.add_config_value("book_ext_fingerprint", fingerprint(), "html")
    for module in MODULES:
        module.setup(app)
    # Not parallel: all formulas go through one process.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
