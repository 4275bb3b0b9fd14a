"""Damage to files: what disks and downloads do, and what no honest writer would write."""

import copy
import json
import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from random import Random
from zipfile import BadZipFile, ZipFile

NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
ODD = (
    *(None, True, False, -1, 0, 1, 2**31, 10**25, -0.5, 1e308, float("nan"), float("inf")),
    *("", "x", "../x", "\0", "é" * 50, "1", [], {}, [None], [[]], {"x": 1}, ["x"] * 9, [0, 0, 0]),
)
DEEP = 100_000


def in_bytes(content: bytes, dice: Random) -> bytes:
    """One to eight changes, each of a few bytes or of a run of them."""
    found = bytearray(content)
    for _ in range(dice.choice((1, 1, 1, 2, 4, 8))):
        dice.choice(CHANGES)(found, dice)
    return bytes(found)


def _place(content: bytearray, dice: Random) -> int:
    """Anywhere, and half of the time near the beginning, where formats keep what they are."""
    near = min(len(content), 256) if dice.random() < 0.5 else len(content)
    return dice.randrange(max(1, near))


def _bit(content: bytearray, dice: Random) -> None:
    if content:
        content[_place(content, dice)] ^= 1 << dice.randrange(8)


def _number(content: bytearray, dice: Random) -> None:
    size, order = dice.choice((1, 2, 4, 8)), dice.choice(("little", "big"))
    place, value = _place(content, dice), dice.choice(NUMBERS) % 256**size
    content[place : place + size] = value.to_bytes(size, order)


def _cut(content: bytearray, dice: Random) -> None:
    del content[_place(content, dice) :]


def _remove(content: bytearray, dice: Random) -> None:
    place = _place(content, dice)
    del content[place : place + dice.choice((1, 2, 8, 64, 512))]


def _repeat(content: bytearray, dice: Random) -> None:
    place, length = _place(content, dice), dice.choice((1, 4, 32, 256))
    other = _place(content, dice)
    content[other:other] = content[place : place + length]


def _noise(content: bytearray, dice: Random) -> None:
    place, length = _place(content, dice), dice.choice((1, 4, 32, 256))
    content[place : place + length] = dice.randbytes(length)


CHANGES: tuple[Callable[[bytearray, Random], None], ...] = (
    *(_bit, _bit, _number, _number, _cut, _remove, _repeat, _noise),
)


def in_json(content: bytes, dice: Random) -> bytes:
    """Another value, name or length somewhere in a JSON text; rarely one that is too deep."""
    if dice.random() < 0.02:
        return b"[" * DEEP + b"]" * DEEP
    root = [json.loads(content)]
    for _ in range(dice.choice((1, 1, 2))):
        place = dice.choice(list(_places(root)))
        _exchange(*place, dice)
    return json.dumps(root[0] if root else None).encode()


def _places(node):
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in list(pairs):
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _exchange(node, key, dice: Random) -> None:
    way = dice.randrange(4)
    if way == 0 and (isinstance(node, dict) or len(node) > 1):
        del node[key]
    elif way == 1 and isinstance(node, dict):
        node[key + dice.choice(("x", "\0", ""))] = node.pop(key)
    elif way == 2 and isinstance(node[key], str | list) and node[key]:
        node[key] = node[key] * dice.choice((2, 100))
    else:
        node[key] = copy.deepcopy(dice.choice(ODD))


def in_safetensors(content: bytes, dice: Random, entry: str = "") -> bytes:
    """The header's JSON, its length adapted; or the JSON of one entry of its metadata."""
    length = struct.unpack("<Q", content[:8])[0]
    header = content[8 : 8 + length]
    if entry:
        whole = json.loads(header)
        about = in_json(whole["__metadata__"][entry].encode(), dice)
        whole["__metadata__"][entry] = about.decode(errors="replace")
        header = json.dumps(whole).encode()
    else:
        header = in_json(header, dice)
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + content[8 + length :]


def in_zip(content: bytes, dice: Random) -> bytes:
    """One file inside an archive, its checksum made to fit."""
    try:
        with ZipFile(BytesIO(content)) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
    except BadZipFile:
        return in_bytes(content, dice)
    pickles = [name for name in files if name.endswith(".pkl")]
    name = dice.choice(pickles if pickles and dice.random() < 0.8 else list(files))
    files[name] = in_bytes(files[name], dice)
    made = BytesIO()
    with ZipFile(made, "w") as archive:
        for one, inner in files.items():
            archive.writestr(one, inner)
    return made.getvalue()


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error:  # damaged by an earlier change
        return b""


def in_png(content: bytes, dice: Random) -> bytes:
    """One chunk of a PNG, its checksum made to fit; or its place, or it comes twice."""
    chunks, place = [], 8
    while place < len(content):
        length = struct.unpack(">I", content[place : place + 4])[0]
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    number = dice.randrange(len(chunks))
    kind, data = chunks[number]
    if dice.random() < 0.2:
        chunks.insert(dice.randrange(len(chunks)), chunks.pop(number))
    elif kind == b"IDAT" and dice.random() < 0.5 and (pixels := _unpacked(data)):
        chunks[number] = kind, zlib.compress(in_bytes(pixels, dice))
    else:
        chunks[number] = kind, in_bytes(data, dice)
    parts = [content[:8]]
    for kind, data in chunks:
        parts += [struct.pack(">I", len(data)), kind, data]
        parts.append(struct.pack(">I", zlib.crc32(kind + data)))
    return b"".join(parts)
