# @title The book's library comes along in this cell: run it first, there is no need to read it
# At its end stands a compressed zip file in base64, with what this notebook needs of the library
# and its records. It is unpacked into a temporary folder, which goes when the kernel stops.
import base64
import importlib.util
import io
import lzma
import os
import sys
import tempfile
import zipfile


def _require(good, needs, cure):
    if not good:
        raise RuntimeError("This notebook needs " + needs + " " + cure)


def _check(packages):
    here = "%d.%d" % sys.version_info[:2]  # noqa: UP031  an older Python must understand it
    _require(sys.version_info >= (3, 11), "Python 3.11 or later; this is Python " + here + ".", "")
    lacking = [name for module, name in packages.items() if not importlib.util.find_spec(module)]
    cure = "In a cell above this one:  %pip install " + " ".join(lacking)
    _require(not lacking, " and ".join(lacking) + ", which is not installed.", cure)
    import torch

    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    found = "PyTorch 2.6 or later; this is PyTorch " + torch.__version__ + "."
    cure = "In a cell above this one:  %pip install --upgrade torch torchvision  , then restart."
    _require(version >= (2, 6), found, cure)


def _bring(zipped):
    global _library
    if "_library" in globals():
        return  # the cell has run before
    _library = tempfile.TemporaryDirectory(prefix="resnet_book_", ignore_cleanup_errors=True)
    archive = io.BytesIO(lzma.decompress(base64.b64decode(zipped)))
    zipfile.ZipFile(archive).extractall(_library.name)
    spare = os.path.join(_library.name, "stand_ins")
    for file in os.listdir(spare) if os.path.isdir(spare) else []:
        if not importlib.util.find_spec(file.partition(".")[0]):
            os.rename(os.path.join(spare, file), os.path.join(_library.name, file))
    # This copy shall win over one that is installed, also in processes that a cell starts.
    for name in [name for name in sys.modules if name.split(".")[0].startswith("resnet_")]:
        del sys.modules[name]
    sys.path.insert(0, _library.name)
    others = [path for path in [os.environ.get("PYTHONPATH")] if path]
    os.environ["PYTHONPATH"] = os.pathsep.join([_library.name, *others])


_check(PACKAGES)  # noqa: F821
_bring("""
ZIP
""")
