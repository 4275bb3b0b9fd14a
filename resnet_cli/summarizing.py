"""The command summary."""

import torch

from resnet_cli import names
from resnet_cli.printing import count, in_columns, say, shape
from resnet_lib.probes import layer_costs

HEAD = ("layer", "kind", "input", "output", "parameters", "multiply-adds")


def summarize(name: str, input_shape: tuple[int, int, int], num_classes: int) -> None:
    """Print a table with a row for each layer of the network, and its sums."""
    net = names.build(name, num_classes, input_shape[0]).to("meta")  # shapes without arithmetic
    image = torch.empty(1, *input_shape, device="meta")
    rows = layer_costs(net, image)
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
    total = ("total", "", shape(input_shape), str(num_classes), f"{parameters:,}")
    say(*in_columns([HEAD, *table, (*total, f"{multiply_adds:,}")], right={4, 5}))
    say(
        "",
        f"{name}: {count(parameters)} parameters ({4 * parameters / 2**20:.1f} MiB in fp32), "
        f"{count(multiply_adds)} multiply-adds per image.",
        "Shapes are channels × height × width. Additions, ReLUs and the mean at the end are",
        "computed between the layers and are in no row.",
    )
