"""The options of publish and serve."""

import argparse

from resnet_cli.command_words import option
from resnet_cli.config_options import whole
from resnet_cli.serving_settings import PublishSettings, ServeSettings
from resnet_cli.shared_options import add_config, add_normalization, add_trained


# fmt: off
# One option, one paragraph.
def add_publish(parser: argparse.ArgumentParser) -> None:
    """The options of publish."""
    add = parser.add_argument_group("what is published").add_argument
    add("repository", nargs="?", metavar="REPOSITORY",
        help="folder of all models; made if need be")
    add("--name", metavar="MODEL", help="the model's name: small letters, digits and dashes")
    add_trained(add, "its network, classes and normalisation")
    add("--note", metavar="TEXT", help="a word on what is new; default none")
    add("--size", type=whole, metavar="PIXELS",
        help="side to which a picture is brought; default: that of the training")
    add_normalization(add, "that of the training")
    add("--max-batch-size", type=whole, metavar="N",
        help="up to how many requests may go through the network together; "
        f"default {PublishSettings.max_batch_size}")
    add("--threads", type=whole, metavar="N", help="CPU threads of the network; default 1")
    add_config(add)


def add_serve(parser: argparse.ArgumentParser) -> None:
    """The options of serve."""
    add = parser.add_argument
    add("repository", metavar="REPOSITORY", help="folder of all models, as publish makes it")
    add("--host", metavar="ADDRESS",
        help="address to listen on: whoever can reach it can use the models, load and unload "
        f"them; default {ServeSettings.host}, this machine alone")
    for name, what in (
        ("port", "the Open Inference Protocol in JSON"),
        ("grpc_port", "the same through gRPC"),
        ("metrics_port", "counts and durations, for Prometheus"),
    ):
        add(option(name), type=whole, metavar="N",
            help=f"port of {what}; default {getattr(ServeSettings, name)}")

# fmt: on
