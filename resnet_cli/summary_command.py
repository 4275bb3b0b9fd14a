"""The command summary."""

from pathlib import Path

import torch

from resnet_cli import run_folder
from resnet_cli.settings import SummarySettings
from resnet_cli.text import count, in_columns, say, shape
from resnet_lib.names import default_shape
from resnet_lib.nets import by_name
from resnet_lib.probes import layer_costs

HEAD = ("layer", "kind", "input", "output", "parameters", "multiply-adds")


def summarize(settings: SummarySettings) -> None:
    """Print a table with a row for each layer of the network, and its sums."""
    name, sizes, classes = _network_of(settings)
    net = by_name(name, classes, sizes[0]).to("meta")  # shapes without arithmetic
    rows = layer_costs(net, torch.empty(1, *sizes, device="meta"))
    parameters = sum(parameter.numel() for parameter in net.parameters())
    multiply_adds = sum(row.multiply_adds for row in rows)
    table = [
        (
            row.layer,
            row.kind,
            shape(row.input[1:]),
            shape(row.output[1:]),
            f"{row.parameters:,}",
            f"{row.multiply_adds:,}",
        )
        for row in rows
    ]
    total = ("total", "", shape(sizes), str(classes), f"{parameters:,}", f"{multiply_adds:,}")
    say(*in_columns([HEAD, *table, total], right={4, 5}))
    say(
        "",
        f"{name}: {count(parameters)} parameters ({4 * parameters / 2**20:.1f} MiB in fp32), "
        f"{count(multiply_adds)} multiply-adds per image.",
        "Shapes are channels × height × width. Additions, ReLUs and the mean at the end are",
        "computed between the layers and are in no row.",
    )


def _network_of(settings: SummarySettings) -> tuple[str, tuple[int, ...], int]:
    """Name, shape of the input and number of classes."""
    if settings.run is None:
        name = str(settings.net)
        sizes, classes = default_shape(name)
    else:
        run = run_folder.read(Path(settings.run))
        name, sizes, classes = str(run.settings.net), run.data.image, len(run.data.classes)
    return name, settings.input or sizes, settings.num_classes or classes
