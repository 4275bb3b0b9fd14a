"""CIFAR-10, checked file by file before anything of it is opened.

torchvision takes a second to import, in every process; so it is imported where it is used.
"""

import hashlib
import os
import pickle
import tempfile
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from resnet_lib.data.image_data import ImageData, channel_statistics

VARIABLE = "RESNET_LIB_DATA"


def cifar10(root: str | os.PathLike | None = None, *, download: bool = True) -> ImageData:
    """Load the 50,000 training and 10,000 test images of CIFAR-10 (Krizhevsky 2009).

    The images are (3, 32, 32), in ten classes, and come in the order of the files. They take
    184 MB of memory. Nothing is written where the files are all there.

    Args:
        root: folder that holds, or is to hold, the folder `cifar-10-batches-py`; that folder
            itself will do as well. None stands for the environment variable RESNET_LIB_DATA, or
            `resnet_lib` in the user's cache folder where that is not set.
        download: whether to fetch missing files, 170 MB, through torchvision. The archive is
            taken from `root` where it lies there already.

    Raises:
        TypeError: `root` is no path.
        FileNotFoundError: files are missing, and `download` is False.
        ValueError: a file is truncated or altered, by its checksum. It is not opened.
        OSError: files are missing and could not be fetched. The message says what to fetch and
            where to put it.
    """
    from torchvision.datasets import CIFAR10

    folder = _folder(root)
    sums = dict([*CIFAR10.train_list, *CIFAR10.test_list])
    sums[CIFAR10.meta["filename"]] = CIFAR10.meta["md5"]
    missing = [name for name in sums if not (folder / name).is_file()]
    if missing and not download:
        raise FileNotFoundError(_what_is_missing(folder, missing))
    if missing:
        _fetch(folder, missing)
    # Checked and opened are the same bytes, whatever happens to the files in between.
    stored = {name: _checked(folder / name, md5) for name, md5 in sums.items()}
    names = _opened(stored.pop(CIFAR10.meta["filename"]))[CIFAR10.meta["key"].encode()]
    train_images, train_labels = _joined([stored.pop(name) for name, _ in CIFAR10.train_list])
    test_images, test_labels = _joined([stored.pop(name) for name, _ in CIFAR10.test_list])
    return ImageData(
        train_images,
        train_labels,
        test_images,
        test_labels,
        tuple(name.decode() for name in names),
        *channel_statistics(train_images),
    )


def _folder(root: str | os.PathLike | None) -> Path:
    """The folder that holds the files themselves."""
    from torchvision.datasets import CIFAR10

    if root is not None and not isinstance(root, str | os.PathLike):
        raise TypeError(f"root must be a path or None, got {type(root).__name__}")
    if root is None:
        cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        root = os.environ.get(VARIABLE) or Path(cache) / "resnet_lib"
    place = Path(root).expanduser()
    if place.name == CIFAR10.base_folder or (place / CIFAR10.meta["filename"]).is_file():
        return place
    return place / CIFAR10.base_folder


def _what_is_missing(folder: Path, missing: list[str], reason: str = "") -> str:
    from torchvision.datasets import CIFAR10

    return (
        f"CIFAR-10 is not complete in {folder}: {', '.join(missing)} missing{reason}. "
        f"Fetch {CIFAR10.url} where there is a network and put it, packed or unpacked, into "
        f"{folder.parent}; or name the folder that has {CIFAR10.base_folder} as root or in "
        f"{VARIABLE}."
    )


def _fetch(folder: Path, missing: list[str]) -> None:
    """Put the missing files into the folder, each whole or not at all."""
    from torchvision.datasets import CIFAR10, utils

    archive = folder.parent / CIFAR10.filename
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".cifar-10-") as aside:
            if utils.check_integrity(archive, CIFAR10.tgz_md5):
                utils.extract_archive(archive, aside)
            else:
                utils.download_and_extract_archive(
                    CIFAR10.url, aside, filename=CIFAR10.filename, md5=CIFAR10.tgz_md5
                )
            folder.mkdir(exist_ok=True)
            for name in missing:
                os.replace(Path(aside) / CIFAR10.base_folder / name, folder / name)
    except (OSError, HTTPException, RuntimeError) as error:  # torchvision raises the last
        reason = f", and could not be fetched ({getattr(error, 'reason', error)})"
        raise OSError(_what_is_missing(folder, missing, reason)) from None


def _checked(path: Path, md5: str) -> bytes:
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if found != md5:
        raise ValueError(
            f"{path} is truncated or altered: its MD5 sum is {found} and should be {md5}. "
            "It is not opened, because that could run code from it. Delete it and call "
            "cifar10() again, which fetches what is missing."
        )
    return content


def _opened(content: bytes) -> dict:
    # Names as bytes, not strings: otherwise the pixels are decoded as text and encoded again.
    return pickle.loads(content, encoding="bytes")


def _joined(contents: list[bytes]) -> tuple[Tensor, Tensor]:
    batches = [_opened(content) for content in contents]
    images = [torch.from_numpy(batch[b"data"]).view(-1, 3, 32, 32) for batch in batches]
    labels = [torch.tensor(batch[b"labels"], dtype=torch.int64) for batch in batches]
    return torch.cat(images), torch.cat(labels)
