"""The options, in groups, with their help."""

import argparse
import os
import sys
from typing import NoReturn

from resnet_cli import fields
from resnet_cli.faults import EXIT_STATUS, USAGE
from resnet_cli.names import KNOWN, split_name
from resnet_lib import __version__

PROGRAM = "python -m resnet_lib"
DATA = "digits, cifar10, or a folder of pictures with one folder per class"

ABOUT = {
    "train": "Train a network and keep the run in a folder.",
    "evaluate": "Loss and accuracy of trained weights on the test part of a data set.",
    "summary": "Layers, shapes, parameters and multiply-adds of a network.",
}
USAGES = {
    "train": ("--net NAME --data DATA --out DIR [option ...]", "--resume DIR"),
    "evaluate": ("--run DIR [option ...]", "--net NAME --weights FILE --data DATA [option ...]"),
    "summary": ("--net NAME [--input C H W] [--num-classes K]",),
}
EXAMPLES = {
    "": """\
examples:
  python -m resnet_lib train --net resnet8 --data digits --epochs 5 --out runs/digits
  python -m resnet_lib evaluate --run runs/digits --per-class
  python -m resnet_lib summary --net resnet50
  Each command has its own help: python -m resnet_lib train --help""",
    "train": """\
examples:
  python -m resnet_lib train --net resnet8 --data digits --epochs 5 --out runs/digits
  python -m resnet_lib train --net resnet20 --data cifar10 --epochs 30 --schedule onecycle \\
      --learning-rate 0.4 --weight-decay 5e-4 --precision bf16 --channels-last --out runs/r20
  python -m resnet_lib train --resume runs/r20
  torchrun --nproc-per-node=2 -m resnet_lib train --net resnet20 --data cifar10 --out runs/two

in the folder of a run:
  run.json           every setting, versions, the command
  checkpoints/       the newest two states, with which a stopped or killed run goes on
  history.json       losses, accuracies and seconds, epoch by epoch; the test result
  model.safetensors  the final weights, with the network's name and the normalisation""",
    "evaluate": """\
examples:
  python -m resnet_lib evaluate --run runs/digits --per-class
  python -m resnet_lib evaluate --run runs/pets --data more_pets
  python -m resnet_lib evaluate --net resnet20 --weights r20.safetensors --data cifar10""",
    "summary": """\
examples:
  python -m resnet_lib summary --net resnet50
  python -m resnet_lib summary --net resnet20 --input 1 8 8 --num-classes 10""",
}


class Parser(argparse.ArgumentParser):
    """Several processes fail alike; the first one says so."""

    def error(self, message: str) -> NoReturn:
        if os.environ.get("RANK", "0") == "0":
            super().error(message)
        sys.exit(USAGE)


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
    add("--net", type=_net, metavar="NAME", help=KNOWN)
    add("--data", metavar="DATA", help=DATA)
    _add_data(add, "images per step, of all processes together; default 128")
    add("--validation", type=fields.number, metavar="SHARE",
        help="share of the training images, of each class alike, that is held out and evaluated "
        "after each epoch, while the test images are evaluated once, at the end. With 0 the test "
        "images are evaluated after each epoch: choose no settings by them then; default 0")
    add("--weights", metavar="FILE", help="start from these weights; default: random ones")
    add("--leave-out", nargs="+", metavar="PART",
        help="parts of the network that --weights leaves random, as fc for another head")

    _add_augmentation(parser.add_argument_group("augmentation").add_argument)
    groups = {title: parser.add_argument_group(title) for title in fields.GROUPS}
    fields.add_fields(groups)
    groups["regularisation and chance"].add_argument(
        "--dropout", type=fields.number, metavar="P",
        help="probability that an input of the classifier is dropped; from 0 to below 1; default 0")
    _add_machine(parser.add_argument_group("machine").add_argument)
    _add_folder(parser.add_argument_group("the run's folder").add_argument)


def _add_augmentation(add) -> None:
    add("--augment", action=argparse.BooleanOptionalAction,
        help="digits: shift by up to 1 pixel; cifar10: shift by up to 4 pixels and mirror; "
        "a folder: a random box of 25 to 100 %% of the area, and mirror; default on")
    add("--color-jitter", type=fields.number, nargs=4, metavar=("B", "C", "S", "H"),
        help="change brightness, contrast and saturation by up to these shares of 1, and the hue "
        "by up to H turns of the colour circle, 0 to 0.5; default none")


def _add_folder(add) -> None:
    add("--out", metavar="DIR", help="where the run is kept; made if need be, and not yet a run")
    add("--resume", metavar="DIR",
        help="go on with the run in DIR, with its settings; of other options only --device, "
        "--threads, --data-root and --save-every may be given")
    add("--save-every", type=fields.whole, metavar="STEPS",
        help="steps between two checkpoints within an epoch; default: at ends of epochs only")
    add("--tensorboard", action=argparse.BooleanOptionalAction,
        help="write DIR/tensorboard too (needs that package); default off")


def _add_evaluate(parser: Parser) -> None:
    add = parser.add_argument_group("what is evaluated").add_argument
    add("--run", metavar="DIR",
        help="folder of a training: its final weights, or those of its newest checkpoint; its "
        "network, data and normalisation")
    add("--net", type=_net, metavar="NAME", help=f"without --run: {KNOWN}")
    add("--weights", metavar="FILE", help="without --run: .safetensors, or what torch.save wrote")
    add("--data", metavar="DATA", help=f"{DATA}; default: that of the run")
    _add_data(add, "images that go through the network at once; default: the run's, else 256")
    for name, word in (("mean", "mean"), ("std", "standard deviation")):
        add(f"--{name}", type=fields.number, nargs="+", metavar="X",
            help=f"{word} of each channel, where 0 is black and 1 is white, to normalise with; "
            "default: the run's, else what the file of weights says, else the data's own")
    add("--per-class", action="store_true", help="a table with a row for each class")
    add("--precision", choices=fields.config_module().PRECISIONS,
        help="number format; default: the run's, else fp32")
    _add_machine(parser.add_argument_group("machine").add_argument)


def _add_summary(parser: Parser) -> None:
    add = parser.add_argument
    add("--net", type=_net, metavar="NAME", required=True, help=KNOWN)
    add("--input", type=fields.whole, nargs=3, metavar=("C", "H", "W"),
        help="channels, height and width in pixels; default 3 224 224, or 3 32 32 for CIFAR's")
    add("--num-classes", type=fields.whole, metavar="K", help="default 1000, or 10 for CIFAR's")


def _add_data(add, batch_size: str) -> None:
    add("--size", type=fields.whole, metavar="PIXELS",
        help="side of the images; digits: 8, 16 or 32, default 8; a folder: from 8 on, default 64")
    add("--data-root", metavar="DIR",
        help="for cifar10: folder that holds it, or is to hold it; default: the environment "
        "variable RESNET_LIB_DATA, else the user's cache")
    add("--skip-unreadable", action=argparse.BooleanOptionalAction,
        help="for a folder: leave out files that cannot be read, and name them; default off")
    add("--batch-size", type=fields.whole, metavar="N", help=batch_size)


def _add_machine(add) -> None:
    add("--device", choices=("auto", "cpu", "cuda"),
        help="where to compute; auto is the GPU if there is one; default auto")
    add("--threads", type=fields.whole, metavar="N",
        help="CPU threads of each process; default: PyTorch's choice")

# fmt: on


def _net(text: str) -> str:
    try:
        split_name(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
