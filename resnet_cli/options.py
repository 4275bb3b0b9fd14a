"""The options, in groups, with their help."""

import argparse
import os
import sys
from typing import Any, NoReturn

from resnet_cli.command_words import PROGRAM
from resnet_cli.config_options import GROUPS, add_fields, number, whole
from resnet_cli.errors import EXIT_STATUS, USAGE
from resnet_cli.help_texts import ABOUT, EXAMPLES, USAGES
from resnet_cli.serving_options import add_publish, add_serve
from resnet_cli.settings import (
    BATCH_SIZE,
    FOLDER_BATCH_SIZE,
    PARTS,
    PredictSettings,
    TrainSettings,
)
from resnet_cli.shared_options import (
    add_config,
    add_data,
    add_machine,
    add_normalization,
    add_trained,
    net_name,
)
from resnet_lib import __version__
from resnet_lib.console import printable
from resnet_lib.names import NAMES
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
    for name, add in COMMANDS.items():
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
    add("--net", type=net_name, metavar="NAME", help=NAMES)
    add("--data", metavar="DATA", help=f"{DATA}; it may have parts, as train, val and test")
    add_data(add, "images per step, of all processes together; "
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
    add_normalization(add, "the training images' own")

    _add_augmentation(parser.add_argument_group("augmentation").add_argument)
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    add_fields(groups)
    groups["regularisation and chance"].add_argument(
        "--dropout", type=number, metavar="P",
        help="probability that an input of the classifier is dropped; from 0 to below 1; "
        f"default {TrainSettings.dropout:g}")
    add_machine(parser.add_argument_group("machine").add_argument)
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
    add_config(add)


def _add_evaluate(parser: Parser) -> None:
    add = parser.add_argument_group("what is evaluated").add_argument
    add_trained(add, "its network, data and normalisation")
    add("--data", metavar="DATA", help=f"{DATA}; default: that of the run")
    add("--part", choices=PARTS,
        help="part of the data; default: all of a folder, the test part of the run's own data, "
        "of digits and of cifar10")
    add_data(add, "images that go through the network at once; default: the run's, else 256")
    add_normalization(add, "the run's, else what the file of weights says, else the data's own")
    add("--per-class", action="store_true", help="a table with a row for each class")
    add("--confusion", action="store_true",
        help="a table of how often each class was taken for each")
    add("--precision", choices=("auto", *PRECISIONS),
        help="number format; default: the run's, else fp32")
    add_machine(parser.add_argument_group("machine").add_argument)
    add_config(add)


def _add_predict(parser: Parser) -> None:
    add = parser.add_argument_group("what is predicted").add_argument
    add("pictures", nargs="*", metavar="PICTURE",
        help="a picture, or a folder of which all pictures are taken, at any depth")
    add_trained(add, "its network, classes and normalisation")
    add("--top", type=whole, metavar="K",
        help=f"how many classes to name, the likeliest first; default {PredictSettings.top}")
    add("--json", action="store_true", help="print JSON, for scripts")
    add("--csv", action="store_true",
        help="print a line with commas for each picture and class, for scripts")
    add("--size", type=whole, metavar="PIXELS",
        help="side to which a picture is brought; default: that of the training")
    add_normalization(add, "that of the training")
    add("--batch-size", type=whole, metavar="N",
        help=f"pictures that go through the network at once; default {PredictSettings.batch_size}")
    add_machine(parser.add_argument_group("machine").add_argument)
    add_config(add)


def _add_summary(parser: Parser) -> None:
    add = parser.add_argument
    add("--net", type=net_name, metavar="NAME", help=NAMES)
    add("--run", metavar="DIR", help="the network of this run, for its images and classes")
    add("--input", type=whole, nargs=3, metavar=("C", "H", "W"),
        help="channels, height and width in pixels; default: the run's, else 3 224 224, or "
        "3 32 32 for CIFAR's")
    add("--num-classes", type=whole, metavar="K",
        help="default: the run's, else 1000, or 10 for CIFAR's")

# fmt: on


COMMANDS = {
    "train": _add_train,
    "evaluate": _add_evaluate,
    "predict": _add_predict,
    "publish": add_publish,
    "serve": add_serve,
    "summary": _add_summary,
}
