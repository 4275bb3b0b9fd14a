"""The book's own Sphinx extension; each module does one thing and says why."""

import hashlib
import pkgutil
from importlib import import_module
from pathlib import Path

MODULES = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]


def fingerprint():
    files = Path(__file__).parent.iterdir()
    sources = sorted(path for path in files if path.suffix in (".py", ".js"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def setup(app):
    # A configuration value, so that after a change to the extension every page is read anew.
    app.add_config_value("book_ext_fingerprint", fingerprint(), "env")
    for module in MODULES:
        module.setup(app)
    # Not parallel: all formulas go through one process.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
