"""The options that several commands have."""

import argparse

from resnet_cli.config_options import number, whole
from resnet_cli.settings import FOLDER_SIZE
from resnet_lib.names import NAMES, split_name


# fmt: off
# One option, one paragraph.
def add_trained(add, brings: str) -> None:
    """The options that name a trained network."""
    add("--run", metavar="DIR",
        help="folder of a training: its final weights, or those of its newest checkpoint; "
        f"{brings}")
    add("--net", type=net_name, metavar="NAME",
        help=f"without --run, where the file of weights does not name it: {NAMES}")
    add("--weights", metavar="FILE",
        help="without --run: .safetensors, or what torch.save wrote; or the data of weights that "
        "come along: cifar10 for resnet20, resnet56 and plain20, digits for resnet8")


def add_data(add, batch_size: str) -> None:
    """The options on a data set."""
    add("--size", type=whole, metavar="PIXELS",
        help="side of the images; digits: 8, 16 or 32, default 8; a folder: from 8 on, default "
        f"that of the weights, else {FOLDER_SIZE}")
    add("--data-root", metavar="DIR",
        help="for cifar10: folder that holds it, or is to hold it; default: the environment "
        "variable RESNET_LIB_DATA, else the user's cache")
    add("--skip-unreadable", action=argparse.BooleanOptionalAction,
        help="for a folder: leave out files that cannot be read, and name them; default off")
    add("--cache", metavar="FILE",
        help="for a folder: keep the decoded images in this file, for sets that do not fit into "
        "memory; default: in memory")
    add("--batch-size", type=whole, metavar="N", help=batch_size)


def add_normalization(add, default: str) -> None:
    """The options with which images are normalised."""
    for name, word in (("mean", "mean"), ("std", "standard deviation")):
        add(f"--{name}", type=_level, nargs="+", metavar="X",
            help=f"{word} of each channel, where 0 is black and 1 is white, to normalise with; "
            f"or the word imagenet; default: {default}")


def add_machine(add) -> None:
    """The options on the machine."""
    add("--device", choices=("auto", "cpu", "cuda", "mps"),
        help="where to compute; auto is the GPU if there is one; default auto")
    add("--threads", type=whole, metavar="N",
        help="CPU threads of each process; default: PyTorch's choice")


def add_config(add) -> None:
    """The option that names a file of options."""
    add("--config", metavar="FILE",
        help="TOML file with options, by their names: epochs = 30, or flip = false; what stands "
        "on the command line wins; default none")

# fmt: on


def net_name(text: str) -> str:
    """A network's name from the command line."""
    try:
        split_name(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {NAMES}; got {text!r}") from None
    return text


def _level(text: str) -> float | str:
    return text if text == "imagenet" else number(text)
