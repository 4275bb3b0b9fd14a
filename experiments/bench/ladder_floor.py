"""The floor under the training ladder: what arithmetic and memory traffic alone would take."""

import torch

from bench import ladder_rungs, roofline
from bench.numbers import significant
from resnet_lib import probes

BATCH = 128
BYTES = 2  # of a bfloat16
SIDES = {"cpu": 1024, "cuda": 8192}  # of the matrices that are multiplied


def machine(device: str) -> dict:
    """What the machine can do at best.

    The copy is as large as the widest activations of ResNet-20, which on a CPU may lie in its
    cache. On a GPU that would time the launch, so it is as large as no cache is.
    """
    formats = {"fp32": torch.float32, "bf16": torch.bfloat16}
    side = SIDES[device]
    speed = {name: roofline.matrix_product(kind, side, device) for name, kind in formats.items()}
    size = BYTES * BATCH * 16 * 32 * 32 if device == "cpu" else 2**28
    found = {
        "operations_per_second": {name: significant(value) for name, value in speed.items()},
        "bytes_per_second": significant(roofline.copy(size, device)),
        "copied_bytes": size,
    }
    launches = roofline.launch(device)
    return found | {"kernel_seconds": {name: significant(v) for name, v in launches.items()}}


def floor(network: str, device: str) -> dict:
    """Images per second that arithmetic and memory traffic would allow, in bfloat16."""
    found, batch = machine(device), BATCH
    speed, bandwidth = found["operations_per_second"]["bf16"], found["bytes_per_second"]
    rung = ladder_rungs.Rung(precision="bf16", channels_last=True, waits=False)
    net = ladder_rungs.make_network(network)
    net.to(device, memory_format=torch.channels_last)
    step, _ = ladder_rungs.make_step(net, rung, device)
    images = torch.randn(batch, 3, 32, 32).to(memory_format=torch.channels_last)
    labels = torch.zeros(batch, dtype=torch.int64)
    images, labels = images.to(device), labels.to(device)
    step(images, labels)  # from now on there are momenta
    with probes.operation_costs() as rows:
        step(images, labels)
    operations = sum(row.flops for row in rows)
    return {
        "operations_per_image": operations // batch,
        "bytes_per_image": sum(row.moved_bytes for row in rows) // batch,
        "arithmetic": significant(batch * speed / operations),
        "eager": significant(batch / probes.least_seconds(rows, speed, bandwidth)),
    }
