# @title The book's library comes along in this cell: run it first, there is no need to read it
# At its end stands a compressed zip file in base64, with what this notebook needs of the library
# and its records. It is unpacked into a temporary folder, which goes when the kernel stops.
def _check(packages):
    """Say what is missing on this machine."""
    # All imports stand in functions: the notebook shall make its own.
    import sys

    if sys.version_info < (3, 11):
        here = "%d.%d" % sys.version_info[:2]  # an older Python reads this too
        raise RuntimeError("This notebook needs Python 3.11 or later; this is Python " + here + ".")
    from importlib.util import find_spec

    lacking = [name for module, name in packages.items() if not find_spec(module)]
    if lacking:
        cure = f"In a cell above this one:  %pip install {' '.join(lacking)}"
        verb = "is" if len(lacking) == 1 else "are"
        needs = f"{' and '.join(lacking)}, which {verb} not installed"
        raise RuntimeError(f"This notebook needs {needs}. {cure}")
    import torch

    if tuple(int(part) for part in torch.__version__.split(".")[:2]) < (2, 6):
        cure = (
            "In a cell above this one:  %pip install --upgrade torch torchvision  , then restart."
        )
        needs = f"PyTorch 2.6 or later; this is PyTorch {torch.__version__}"
        raise RuntimeError(f"This notebook needs {needs}. {cure}")


def _bring(pressed):
    """Unpack the library and let this notebook import it from there."""
    global _library
    if "_library" in globals():
        return  # the cell has run before
    import base64
    import io
    import lzma
    import os
    import sys
    import tempfile
    import zipfile
    from importlib.util import find_spec

    _library = tempfile.TemporaryDirectory(prefix="resnet_book_", ignore_cleanup_errors=True)
    zipped = io.BytesIO(lzma.decompress(base64.b64decode(pressed)))
    zipfile.ZipFile(zipped).extractall(_library.name)
    spare = os.path.join(_library.name, "stand_ins")
    for file in os.listdir(spare) if os.path.isdir(spare) else []:
        if not find_spec(file.partition(".")[0]):
            os.rename(os.path.join(spare, file), os.path.join(_library.name, file))
    # This copy shall win over one that is installed, also in processes that a cell starts.
    for name in [name for name in sys.modules if name.split(".")[0].startswith("resnet_")]:
        del sys.modules[name]
    sys.path.insert(0, _library.name)
    others = [path for path in [os.environ.get("PYTHONPATH")] if path]
    os.environ["PYTHONPATH"] = os.pathsep.join([_library.name, *others])


_check(PACKAGES)
_bring("""
ZIP
""")
