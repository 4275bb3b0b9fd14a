"""A small stand-in for safetensors, for a notebook on a machine that lacks it.

It reads and writes the same files: eight bytes with the length of a header, the header in JSON, the
numbers (https://github.com/huggingface/safetensors#format). It has what the book's library uses.
"""

import json
import math
import sys

# By another name: the module safetensors.torch takes this one within the package.
import torch as pytorch

DTYPES = {
    "F64": pytorch.float64,
    "F32": pytorch.float32,
    "F16": pytorch.float16,
    "BF16": pytorch.bfloat16,
    "I64": pytorch.int64,
    "I32": pytorch.int32,
    "I16": pytorch.int16,
    "I8": pytorch.int8,
    "U8": pytorch.uint8,
    "BOOL": pytorch.bool,
}
NAMES = {dtype: name for name, dtype in DTYPES.items()}
if sys.byteorder != "little":
    raise ImportError("The files hold little-endian numbers; this machine needs safetensors itself")


class SafetensorError(Exception):
    """The bytes are no such file, or only a part of one."""


def pack(tensors, metadata=None):
    """The file's bytes. Wider numbers first, so that all begin at multiples of their size."""
    header = {"__metadata__": metadata} if metadata is not None else {}
    body = bytearray()
    for name in sorted(tensors, key=lambda name: (-tensors[name].element_size(), name)):
        tensor = tensors[name]
        raw = tensor.detach().cpu().contiguous().reshape(-1).view(pytorch.uint8)
        place = [len(body), len(body) + raw.numel()]
        shape = list(tensor.shape)
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": shape, "data_offsets": place}
        body += raw.numpy().tobytes()
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + body


def unpack(content):
    """The tensors and the metadata of a file's bytes."""
    try:
        start = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:start])
        metadata = header.pop("__metadata__", None)
        end = max((entry["data_offsets"][1] for entry in header.values()), default=0)
        whole = len(content) == start + end
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SafetensorError("Error while deserializing header: no safetensors file") from error
    if not whole:
        raise SafetensorError("Error while deserializing header: incomplete or too long")
    body = bytearray(content[start:])  # a copy, which the tensors may change
    return {name: _tensor(body, entry) for name, entry in header.items()}, metadata


def _tensor(body, entry):
    dtype, shape, (begin, _) = DTYPES[entry["dtype"]], entry["shape"], entry["data_offsets"]
    count = math.prod(shape)
    if count == 0:
        return pytorch.empty(shape, dtype=dtype)
    return pytorch.frombuffer(body, dtype=dtype, count=count, offset=begin).reshape(shape).clone()


class safe_open:
    """A file's tensors and metadata: ``with safe_open(path, "pt") as file``."""

    def __init__(self, filename, framework, device="cpu"):
        with open(filename, "rb") as file:
            self._tensors, self._metadata = unpack(file.read())

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def metadata(self):
        return self._metadata

    def keys(self):
        return list(self._tensors)

    def get_tensor(self, name):
        return self._tensors[name]
