"""The options, in groups, with their help."""

import argparse
import os
import sys
from typing import Any, NoReturn

from resnet_cli.command_words import PROGRAM
from resnet_cli.config_options import GROUPS, add_fields, number, whole
from resnet_cli.errors import EXIT_STATUS, USAGE
from resnet_cli.help_texts import ABOUT, EXAMPLES, USAGES
from resnet_cli.settings import (
    BATCH_SIZE,
    FOLDER_BATCH_SIZE,
    FOLDER_SIZE,
    PARTS,
    PredictSettings,
    TrainSettings,
)
from resnet_lib import __version__
from resnet_lib.console import printable
from resnet_lib.names import NAMES, split_name
from resnet_lib.train.config import PRECISIONS

DATA = "digits, cifar10, or a folder of pictures with one folder per class"


class Parser(argparse.ArgumentParser):
    """Several processes fail alike; the first one says so, in characters that its console has.

    Attributes:
        source: the file from which the words come; None: from the command line.
    """

    source: str | None = None

    def error(self, message: str) -> NoReturn:
        if os.environ.get("RANK", "0") == "0":
            super().error(f"in {self.source}: {message}" if self.source else message)
        sys.exit(USAGE)

    def _print_message(self, message: str, file: Any = None) -> None:
        super()._print_message(message and printable(message, file), file)


def make_parser() -> tuple[Parser, dict[str, Parser]]:
    """The whole command line, and the parser of each command.

    What was not given is not in the namespace, so that --resume can tell.
    """
    style = {
        "formatter_class": argparse.RawDescriptionHelpFormatter,
        "argument_default": argparse.SUPPRESS,
        "allow_abbrev": False,
    }
    whole = Parser(
        prog=PROGRAM,
        description="Train and evaluate the residual networks of resnet_lib.",
        epilog=f"{EXAMPLES['']}\n\n{EXIT_STATUS}",
        **style,
    )
    whole.add_argument("--version", action="version", version=f"resnet_lib {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    parsers = {}
    for name, add in (
        ("train", _add_train),
        ("evaluate", _add_evaluate),
        ("predict", _add_predict),
        ("summary", _add_summary),
    ):
        parsers[name] = commands.add_parser(
            name,
            help=ABOUT[name],
            description=ABOUT[name],
            epilog=f"{EXAMPLES[name]}\n\n{EXIT_STATUS}",
            usage="\n       ".join(f"{PROGRAM} {name} {words}" for words in USAGES[name]),
            **style,
        )
        add(parsers[name])
    return whole, parsers


# fmt: off
# One option, one paragraph.
def _add_train(parser: Parser) -> None:
    add = parser.add_argument_group("what is trained, on what").add_argument
    add("--net", type=_net, metavar="NAME", help=NAMES)
    add("--data", metavar="DATA", help=f"{DATA}; it may have parts, as train, val and test")
    _add_data(add, "images per step, of all processes together; "
        f"default {BATCH_SIZE}, for a folder {FOLDER_BATCH_SIZE}")
    add("--drop-last", action=argparse.BooleanOptionalAction,
        help="leave out a last batch that is not full, others in each epoch; default on for a "
        "folder with more pictures than a batch, else off")
    add("--validation", type=number, metavar="SHARE",
        help="share of the training images, of each class alike, that is held out and evaluated "
        "after each epoch, while the test images are evaluated once, at the end. With 0 these are "
        "the images of the folder's validation part; without one the test images are evaluated "
        f"after each epoch: choose no settings by them then; default {TrainSettings.validation:g}")
    add("--weights", metavar="FILE",
        help="start from these weights, or from the library's own of this name, as cifar10; "
        "default: random ones")
    add("--leave-out", nargs="+", metavar="PART",
        help="parts of the network that --weights leaves random, as fc for another head")
    _add_normalization(add, "the training images' own")

    _add_augmentation(parser.add_argument_group("augmentation").add_argument)
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    add_fields(groups)
    groups["regularisation and chance"].add_argument(
        "--dropout", type=number, metavar="P",
        help="probability that an input of the classifier is dropped; from 0 to below 1; "
        f"default {TrainSettings.dropout:g}")
    _add_machine(parser.add_argument_group("machine").add_argument)
    _add_folder(parser.add_argument_group("the run's folder").add_argument)


def _add_augmentation(add) -> None:
    add("--augment", action=argparse.BooleanOptionalAction,
        help="what --crop and --flip do, as far as they are not given; default on")
    add("--crop", action=argparse.BooleanOptionalAction,
        help="shift by up to an eighth of the side, at random; default as --augment")
    add("--flip", action=argparse.BooleanOptionalAction,
        help="mirror every second image, by chance: for photographs, not for what has a left and a "
        "right, as letters; default as --augment for cifar10, else off")
    add("--color-jitter", type=number, nargs=4, metavar=("B", "C", "S", "H"),
        help="change brightness, contrast and saturation by up to these shares of 1, and the hue "
        "by up to H turns of the colour circle, 0 to 0.5; default none")


def _add_folder(add) -> None:
    add("--out", metavar="DIR", help="where the run is kept; made if need be, and not yet a run")
    add("--resume", metavar="DIR",
        help="go on with the run in DIR, with its settings; of other options only --epochs, for "
        "more of them, --data, for a folder that was moved, --data-root, --cache, --device, "
        "--threads and --save-every may be given")
    add("--save-every", type=whole, metavar="STEPS",
        help="steps between two checkpoints within an epoch; default: at ends of epochs only")
    add("--tensorboard", action=argparse.BooleanOptionalAction,
        help="write DIR/tensorboard too (needs that package); default off")
    _add_config(add)


def _add_evaluate(parser: Parser) -> None:
    add = parser.add_argument_group("what is evaluated").add_argument
    _add_trained(add, "its network, data and normalisation")
    add("--data", metavar="DATA", help=f"{DATA}; default: that of the run")
    add("--part", choices=PARTS,
        help="part of the data; default: all of a folder, the test part of the run's own data, "
        "of digits and of cifar10")
    _add_data(add, "images that go through the network at once; default: the run's, else 256")
    _add_normalization(add, "the run's, else what the file of weights says, else the data's own")
    add("--per-class", action="store_true", help="a table with a row for each class")
    add("--confusion", action="store_true",
        help="a table of how often each class was taken for each")
    add("--precision", choices=("auto", *PRECISIONS),
        help="number format; default: the run's, else fp32")
    _add_machine(parser.add_argument_group("machine").add_argument)
    _add_config(add)


def _add_predict(parser: Parser) -> None:
    add = parser.add_argument_group("what is predicted").add_argument
    add("pictures", nargs="*", metavar="PICTURE",
        help="a picture, or a folder of which all pictures are taken, at any depth")
    _add_trained(add, "its network, classes and normalisation")
    add("--top", type=whole, metavar="K",
        help=f"how many classes to name, the likeliest first; default {PredictSettings.top}")
    add("--json", action="store_true", help="print JSON, for scripts")
    add("--csv", action="store_true",
        help="print a line with commas for each picture and class, for scripts")
    add("--size", type=whole, metavar="PIXELS",
        help="side to which a picture is brought; default: that of the training")
    _add_normalization(add, "that of the training")
    add("--batch-size", type=whole, metavar="N",
        help=f"pictures that go through the network at once; default {PredictSettings.batch_size}")
    _add_machine(parser.add_argument_group("machine").add_argument)
    _add_config(add)


def _add_summary(parser: Parser) -> None:
    add = parser.add_argument
    add("--net", type=_net, metavar="NAME", help=NAMES)
    add("--run", metavar="DIR", help="the network of this run, for its images and classes")
    add("--input", type=whole, nargs=3, metavar=("C", "H", "W"),
        help="channels, height and width in pixels; default: the run's, else 3 224 224, or "
        "3 32 32 for CIFAR's")
    add("--num-classes", type=whole, metavar="K",
        help="default: the run's, else 1000, or 10 for CIFAR's")


def _add_trained(add, brings: str) -> None:
    add("--run", metavar="DIR",
        help="folder of a training: its final weights, or those of its newest checkpoint; "
        f"{brings}")
    add("--net", type=_net, metavar="NAME",
        help=f"without --run, where the file of weights does not name it: {NAMES}")
    add("--weights", metavar="FILE",
        help="without --run: .safetensors, or what torch.save wrote; or the data of weights that "
        "come along: cifar10 for resnet20, resnet56 and plain20, digits for resnet8")


def _add_data(add, batch_size: str) -> None:
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


def _add_normalization(add, default: str) -> None:
    for name, word in (("mean", "mean"), ("std", "standard deviation")):
        add(f"--{name}", type=_level, nargs="+", metavar="X",
            help=f"{word} of each channel, where 0 is black and 1 is white, to normalise with; "
            f"or the word imagenet; default: {default}")


def _add_machine(add) -> None:
    add("--device", choices=("auto", "cpu", "cuda", "mps"),
        help="where to compute; auto is the GPU if there is one; default auto")
    add("--threads", type=whole, metavar="N",
        help="CPU threads of each process; default: PyTorch's choice")


def _add_config(add) -> None:
    add("--config", metavar="FILE",
        help="TOML file with options, by their names: epochs = 30, or flip = false; what stands "
        "on the command line wins; default none")

# fmt: on


def _net(text: str) -> str:
    try:
        split_name(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be {NAMES}; got {text!r}") from None
    return text


def _level(text: str) -> float | str:
    return text if text == "imagenet" else number(text)
