"""The book's own Sphinx extension; each module does one thing and says why."""

import hashlib
import pkgutil
from importlib import import_module
from pathlib import Path

BOOK = Path(__file__).parents[2]
SOURCES = (".css", ".html", ".js", ".json", ".onnx", ".py")
MODULES = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]


def fingerprint(*folders):
    files = sorted(path for folder in folders for path in (BOOK / folder).rglob("*.*"))
    sources = b"".join(path.read_bytes() for path in files if path.suffix in SOURCES)
    return hashlib.sha256(sources).hexdigest()


def setup(app):
    # Configuration values, so that after a change here every page is read anew, and after one of
    # style, script or template written anew: without a page to write, Sphinx copies none of these.
    app.add_config_value("book_code", fingerprint("_ext", "_tools"), "env")
    app.add_config_value("book_look", fingerprint("_static", "_templates"), "html")
    # With another table of contents too: a page that was left out leaves dead links on others.
    contents = Path(app.srcdir, "_toc.yml").read_text(encoding="utf-8")
    app.add_config_value("book_contents", contents, "env")
    for module in MODULES:
        module.setup(app)
    # Not parallel: all formulas go through one process.
    return {"parallel_read_safe": True, "parallel_write_safe": False}
