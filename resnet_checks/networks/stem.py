"""Is the stem a 7×7 convolution, batch norm, ReLU and a max pool?"""

from typing import Any

import torch.nn.functional as F
from torch import Tensor

from resnet_checks.comparing import activations, equal
from resnet_checks.networks.anatomy import Anatomy
from resnet_checks.report import FaultFound
from resnet_checks.roles import Roles, stride
from resnet_checks.settings import check_bias, check_kernel, check_norm

_POOL = "The max pool has a 3×3 window, stride 2 and padding 1."


def check_stem(roles: Roles) -> None:
    """7×7 convolution with stride 2 and without bias, batch norm, ReLU, max pool."""
    check_stem_settings(roles)
    call = roles.branch[0]
    check_bias(roles, "first")
    check_norm(roles, "norm_first")
    if len(roles.run.norms) > 1:
        raise FaultFound(
            "A second norm stands before the first block's first convolution.",
            "A basic block begins with its convolution; the later pre-activation block does not.",
        )
    if not equal(call.input, roles.run.x):
        raise FaultFound("The convolution does not read the image as it came.")
    read, norm = roles.run.output, roles.branch_output
    if not equal(read, F.max_pool2d(F.relu(norm), 3, 2, 1)):
        raise FaultFound(
            _name_stem(read, norm), f"After the batch norm come ReLU, max pool. {_POOL}"
        )


def check_whole_image(anatomy: Anatomy) -> None:
    """The first convolution reads the image as it came, whatever its size."""
    x, read = anatomy.run.x, anatomy.main[0].input
    if equal(read, x):
        return
    (high, wide), (height, width) = read.shape[2:], x.shape[2:]
    found, came = f"{high}×{wide}", f"of {height}×{width}"
    hint = "Convolutions and the mean over all positions take any size. Look for sizes in forward."
    if _is_part_of(read, x):
        raise FaultFound(f"The image {came} is cropped to {found} before the stem.", hint)
    if _is_part_of(x, read):
        raise FaultFound(f"The image {came} is padded to {found} before the stem.", hint)
    if (high, wide) != (height, width):
        raise FaultFound(f"The image {came} is resized to {found} before the stem.", hint)
    raise FaultFound("The stem does not read the image as it came.", hint)


def _is_part_of(small: Tensor, large: Tensor) -> bool:
    """Whether it is the upper left corner, the lower right one or the middle."""
    rest = [a - b for a, b in zip(large.shape[2:], small.shape[2:], strict=True)]
    if small.shape[:2] != large.shape[:2] or min(rest) < 0:
        return False
    starts = [(0, 0), rest, [r // 2 for r in rest], [(r + 1) // 2 for r in rest]]
    high, wide = small.shape[2:]
    return any(equal(small, large[..., a : a + high, b : b + wide]) for a, b in starts)


def check_stem_settings(roles: Roles) -> None:
    """Kernel, padding, stride and width of the stem's convolution."""
    call = roles.branch[0]
    check_kernel("convolution", call, roles.equations["first"])
    if (found := max(stride(call))) != 2:
        raise FaultFound(f"The convolution has stride {found}. It should have stride 2.")
    if (width := call.weight.shape[0]) != roles.case.out_channels:
        raise FaultFound(f"The convolution puts out {width} channels, not 64.")


def _name_stem(read: Tensor, norm: Tensor) -> str:
    if equal(read, norm):
        return "ReLU and max pool are missing: the first block reads the batch norm's output."
    if equal(read, F.relu(norm)):
        return "The max pool is missing: the first block reads ReLU of the batch norm."
    for name, activation in {"no activation": lambda x: x, **activations()}.items():
        if name != "ReLU" and equal(read, F.max_pool2d(activation(norm), 3, 2, 1)):
            if name == "no activation":
                return "The ReLU between batch norm and max pool is missing."
            return f"The activation after the batch norm is {name}. It should be ReLU."
    return _name_pool(read, F.relu(norm)) or "The first block does not read what the stem puts out."


def _name_pool(read: Tensor, before: Tensor) -> str | None:
    settings = [(k, s, p) for k in range(2, 8) for s in range(1, 5) for p in range(k // 2 + 1)]
    for size, step, edge in settings:
        for ceil in (False, True):
            options: dict[str, Any] = {"stride": step, "padding": edge, "ceil_mode": ceil}
            if equal(read, F.max_pool2d(before, size, **options)):
                return (
                    f"The max pool has a {size}×{size} window, stride {step} and padding {edge}"
                    f"{', with ceil_mode' if ceil else ''}. It should be 3×3, stride 2, padding 1."
                )
            if equal(read, F.avg_pool2d(before, size, **options)):
                return "Average pooling stands in the stem. It should be a max pool."
    return None
