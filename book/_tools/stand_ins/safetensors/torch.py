"""Reading and writing of whole files; see the package."""

from safetensors import pack, unpack


def save(tensors, metadata=None):
    return bytes(pack(tensors, metadata))


def save_file(tensors, filename, metadata=None):
    with open(filename, "wb") as file:
        file.write(pack(tensors, metadata))


def load(data):
    return unpack(data)[0]


def load_file(filename, device="cpu"):
    with open(filename, "rb") as file:
        return load(file.read())
