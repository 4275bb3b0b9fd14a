"""Pictures, damaged: single files, folders, caches, requests to a server."""

import base64
import json
import os
from pathlib import Path
from random import Random
from types import SimpleNamespace

import mutations
import numpy as np
import torch
from fuzzing import Fault, Loader, every, in_one_file, keep_one
from PIL import Image

from resnet_lib import data
from resnet_lib.serving.requests import Refused, images_of


def fill_pictures(folder: Path) -> None:
    dice = np.random.default_rng(0)
    picture = Image.fromarray(dice.integers(0, 256, (13, 17, 3), dtype=np.uint8))
    grey = Image.fromarray(dice.integers(0, 65536, (9, 9), dtype=np.uint16))
    grey.save(folder / "deep.png")
    picture.convert("P").save(folder / "palette.png", transparency=3)
    picture.convert("RGBA").save(folder / "alpha.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(folder / "turned.jpg", exif=turned)
    picture.save(folder / "progressive.jpg", progressive=True)
    for suffix in ("gif", "bmp", "webp", "tiff", "ppm"):
        picture.save(folder / f"one.{suffix}")


def damage_picture(content: bytes, dice: Random) -> bytes:
    is_png = content[:4] == b"\x89PNG" and dice.random() < 0.6
    return (mutations.in_png if is_png else mutations.in_bytes)(content, dice)


def read_pictures(folder: Path) -> None:
    def read(path: Path) -> None:
        found = data.read_picture(path.read_bytes(), 8, most_pixels=10**6)
        if found.shape != (3, 8, 8) or found.dtype != torch.uint8:
            raise Fault(f"a picture {tuple(found.shape)} of {found.dtype}")

    every(folder, read, refusals=[ValueError])


def fill_folder(folder: Path) -> None:
    fill_pictures(folder)
    for number, path in enumerate(sorted(folder.iterdir())):
        target = folder / "root" / "ab"[number % 2] / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)


def damage_folder(folder: Path, dice: Random) -> None:
    root = folder / "root"
    for _ in range(dice.choice((1, 2, 3))):
        files = sorted(path for path in root.rglob("*") if path.is_file())
        path = dice.choice(files)
        dice.choice(FOLDER_DAMAGE)(path, root, dice)
        if not any(one.is_file() for one in root.rglob("*")):
            (root / "x.png").write_bytes(b"")


def _move(path: Path, root: Path, dice: Random) -> None:
    place = dice.choice(("c", "train/a", "test/b", "val", ".hidden", "a/x", "\n", "é", "train"))
    if not (root / place).is_file():
        (root / place).mkdir(parents=True, exist_ok=True)
        path.rename(root / place / dice.choice((path.name, "1", ".x", "Thumbs.db", "a b.JPG")))


def _link(path: Path, root: Path, dice: Random) -> None:
    link = path.with_name(dice.choice(("link", "link.png")))
    if not link.is_symlink():
        link.symlink_to(dice.choice((root, path, path.with_name("gone.png"), link)))


FOLDER_DAMAGE = (
    lambda path, root, dice: path.write_bytes(damage_picture(path.read_bytes(), dice)),
    lambda path, root, dice: path.write_bytes(b""),
    lambda path, root, dice: path.unlink(),
    lambda path, root, dice: (root / path.name).write_bytes(path.read_bytes()),
    _move,
    _link,
)


def read_folder(folder: Path) -> None:
    every_way = {"skip_unreadable": True}, {}
    for options in every_way:
        found = data.image_folder(folder / "root", 8, **options)
        if len(found.train_images) != len(found.train_labels) or not len(found.test_images):
            raise Fault("images and labels are not as many")


def fill_cache(folder: Path) -> None:
    fill_folder(folder)
    for path in (folder / "root").rglob("*"):
        os.utime(path, (1e9, 1e9))
    data.image_folder(folder / "root", 8, cache=folder / "kept.pictures")
    os.utime(folder / "kept.pictures", (1e9, 1e9))


def damage_cache(folder: Path, dice: Random) -> None:
    for path in folder.rglob("*"):
        os.utime(path, (1e9, 1e9))
    about = folder / "kept.pictures.json"
    stored = json.loads(about.read_text())
    stored["state"] = [(folder / "kept.pictures").stat().st_size, 10**18]
    about.write_text(json.dumps(stored))
    path = folder / dice.choice(("kept.pictures.json", "kept.pictures"))
    is_json = path.suffix == ".json" and dice.random() < 0.7
    way = mutations.in_json if is_json else mutations.in_bytes
    path.write_bytes(way(path.read_bytes(), dice))
    if path.suffix != ".json":
        return
    os.utime(folder / "kept.pictures", (1e9, 1e9))


def read_cache(folder: Path) -> None:
    with_cache = data.image_folder(folder / "root", 8, cache=folder / "kept.pictures")
    without = data.image_folder(folder / "root", 8)
    if not torch.equal(with_cache.train_images, without.train_images):
        raise Fault("the cache gives other pictures")


def fill_request(folder: Path) -> None:
    fill_pictures(folder)
    files = [base64.b64encode(path.read_bytes()).decode() for path in sorted(folder.iterdir())]
    for path in list(folder.iterdir()):
        path.unlink()
    pictures = {"name": "pictures", "datatype": "BYTES", "shape": [2], "data": files[:2]}
    images = {"name": "images", "datatype": "UINT8", "shape": [1, 1, 2, 2], "data": [0, 9, 99, 255]}
    for about in (pictures, images):
        (folder / f"{about['name']}.json").write_text(json.dumps([about]))


def read_request(folder: Path) -> None:
    """MLServer sees to the types of name, datatype and shape; so only requests with these."""
    for path in folder.iterdir():
        asked = json.loads(path.read_text())
        if not isinstance(asked, list) or not all(map(is_of_protocol, asked)):
            return
        found = images_of([SimpleNamespace(**one) for one in asked], (1, 2, 2))
        if found.shape[1:] != (1, 2, 2) or found.dtype != np.uint8:
            raise Fault(f"images {found.shape} of {found.dtype}")


def is_of_protocol(one: object) -> bool:
    if not isinstance(one, dict) or not {"name", "datatype", "shape", "data"} <= set(one):
        return False
    shape = one["shape"]
    whole = isinstance(shape, list) and all(type(size) is int for size in shape)
    return whole and all(isinstance(one[name], str) for name in ("name", "datatype"))


LOADERS = {
    "picture": Loader(
        fill_pictures, keep_one(in_one_file(damage_picture)), read_pictures, (ValueError,)
    ),
    "folder": Loader(fill_folder, damage_folder, read_folder, (ValueError, FileNotFoundError)),
    "cache": Loader(fill_cache, damage_cache, read_cache, (ValueError,)),
    "request": Loader(
        fill_request,
        keep_one(in_one_file(mutations.in_json)),
        read_request,
        (Refused, RecursionError),
    ),
}
