"""Are a block's layers the right ones: kernels, strides, widths, batch norms?"""

from itertools import pairwise

import torch.nn.functional as F

from resnet_checks.blueprints import Layer
from resnet_checks.comparing import equal, name_activation
from resnet_checks.observing import BATCH_NORM, CONVOLUTION, LINEAR, Call
from resnet_checks.phrases import fault, joined, phrase
from resnet_checks.report import FaultFound
from resnet_checks.roles import Roles, kernel, padding, pair, stride


def check_layers(roles: Roles) -> None:
    """The blueprint's convolutions on the branch, and its batch norms there."""
    check_start(roles)
    _check_number(roles)
    check_branch_settings(roles)
    for name in roles.case.blueprint.layers:
        check_bias(roles, name)
    for name in roles.case.blueprint.layers:
        check_norm(roles, name)
    check_shared_norms(roles)


def check_start(roles: Roles) -> None:
    """Branch and shortcut both start at x: the projection is in no line with the branch."""
    sizes, right = [kernel(call) for call in roles.branch], _kernels(roles)
    if not roles.case.projects or roles.shortcut or (1, 1) not in sizes:
        return
    in_line = all(a.number in b.after for a, b in pairwise(roles.branch))
    if len(sizes) > len(right) and not (in_line and (1, 1) in (sizes[0], *right)):
        raise fault("projection in branch")
    # Where a run ended early, the last convolutions were not seen.
    is_projected = roles.branch[0].weight.shape[0] == roles.case.out_channels
    if is_projected and len(sizes) > 1 and sizes == [(1, 1), *right][: len(sizes)]:
        raise fault("branch on projection")


def _kernels(roles: Roles) -> list[tuple[int, int]]:
    layers = roles.case.blueprint.convolutions.values()
    return [(layer.kernel, layer.kernel) for layer in layers]


def _check_number(roles: Roles) -> None:
    branch, layers = roles.branch, roles.case.blueprint.convolutions
    number, block = len(branch), phrase(roles.case.blueprint.name)
    right = phrase("numbers").split()[len(layers)]
    if number == 0:
        raise fault("no convolution", right=right)
    ordinals = phrase("ordinals").split()
    beside = [kernel(call) for call in roles.shortcut]
    if number == 1 and beside == [kernel(branch[0])] and not roles.case.projects:
        raise fault("unread", name=ordinals[1], before=ordinals[0])
    if number != len(layers):
        gated = any(layer.kind == LINEAR for layer in layers.values())
        if gated and any(a.number in b.after for a, b in pairwise(roles.shortcut)):
            raise fault("gate of x")
        key = "number with gate" if gated else "number 1" if number == 1 else "number"
        raise fault(key, found=number, right=right, block=block)
    for place, (before, call) in enumerate(pairwise(branch)):
        if before.number not in call.after:
            raise fault("unread", name=ordinals[place + 1], before=ordinals[place])
    if len({id(call.weight) for call in branch}) < number:
        raise fault("shared weight")


def check_branch_settings(roles: Roles) -> None:
    """Kernel, padding, stride and width of the convolutions on the branch that were seen."""
    layers = roles.case.blueprint.convolutions
    found, right = [kernel(call) for call in roles.branch], _kernels(roles)
    if found != right and sorted(found) == sorted(right):
        block = phrase(roles.case.blueprint.name)
        raise fault("kernels", found=_in_row(found), right=_in_row(right), block=block)
    named = list(zip(roles.named, layers.values(), strict=False))[: len(roles.branch)]
    for (name, call), layer in named:
        check_kernel(name, call, layer)
    _check_strides(roles)
    for (name, call), layer in named:
        _check_width(roles, name, call, layer)


def _in_row(sizes: list[tuple[int, ...]]) -> str:
    return joined(f"{height}×{width}" for height, width in sizes)


def _check_width(roles: Roles, name: str, call: Call, layer: Layer) -> None:
    found, block = call.weight.shape[0], roles.case.blueprint.name
    if not found:
        raise fault("no width", name=name, channels=roles.case.out_channels)
    if layer.width is None or found == (right := int(layer.width * roles.case.out_channels)):
        return
    last = call is roles.branch[-1] and len(roles.branch) > 1
    shares = {1: "width as output", 1 / 4: "width of quarter"}
    key = "width" if last else shares.get(layer.width, "width")
    raise fault(key, name=name, found=found, right=right, block=phrase(block))


def check_kernel(name: str, call: Call, layer: Layer) -> None:
    """A square kernel, padded to keep height and width, neither dilated nor grouped."""
    size, fits = layer.kernel, layer.kernel // 2
    height, width = kernel(call)
    if (height, width) != (size, size):
        raise fault("kernel", name=name, height=height, width=width, size=size)
    if pair(call.arguments.get("dilation", 1)) != (1, 1):
        raise fault("dilated", name=name)
    if padding(call) != (fits, fits):
        raise fault("padding", name=name, found=padding(call)[0], size=size, fits=fits)
    if len(set(stride(call))) > 1:
        raise fault("uneven stride", name=name, found=stride(call))
    if call.padding_mode != "constant":
        raise fault("padding mode", name=name, mode=call.padding_mode)
    if (groups := call.arguments.get("groups", 1)) != layer.groups:
        key = "groups" if layer.groups == 1 else "other groups"
        raise fault(key, name=name, found=groups, right=layer.groups)


def _check_strides(roles: Roles) -> None:
    """The stride stands on one convolution of the branch, where the blueprint has it."""
    blueprint, asked = roles.case.blueprint, roles.case.stride
    found = [max(stride(call)) for call in roles.branch]
    layers, homes = list(blueprint.convolutions), blueprint.strided
    allowed = [[asked if name == home else 1 for name in layers] for home in homes]
    if found in [right[: len(found)] for right in allowed]:
        return
    names, home = [name for name, _ in roles.named], phrase(f"home {blueprint.name}")
    strided = [place for place, value in enumerate(found) if value == asked > 1]
    if len(strided) > 1:
        if len(layers) == 2:
            raise fault("both strided", stride=asked)
        ordinals = joined(roles.ordinal(layers[place]) for place in strided)
        raise fault("several strided", names=ordinals, stride=asked, home=home)
    if strided and found.count(1) == len(found) - 1 and len(found) == len(layers):
        raise fault("wrong stride home", name=names[strided[0]], home=home)
    usual = layers.index(homes[0])
    if asked > 1 and set(found) == {1}:
        raise fault("no stride", name=names[min(usual, len(found) - 1)], stride=asked)
    wrong = next(p for p, value in enumerate(found) if value != allowed[0][p])
    raise fault("other stride", name=names[wrong], found=found[wrong], right=allowed[0][wrong])


def check_bias(roles: Roles, name: str) -> None:
    """A convolution of the blueprint that was found has a bias only where it should."""
    layer, call = roles.equations[name], roles.calls.get(name)
    if layer.kind != CONVOLUTION or call.arguments.get("bias") is None:
        return
    normed = [n for n, norm in roles.norms.items() if norm.reads == name]
    if not normed:
        raise fault("bias alone", name=roles.label(name))
    if normed[0] in roles.calls:  # else the batch norm is missing, which is the fault
        raise fault("bias", name=roles.label(name))


def check_norm(roles: Roles, name: str) -> None:
    """A batch norm of the blueprint stands where it should, and has something to learn."""
    layer, call = roles.equations[name], roles.calls.get(name)
    if layer.kind != BATCH_NORM:
        return
    of_x = layer.reads == "x"
    if call is None:
        raise _missing_norm_of_x(roles) if of_x else _missing_norm(roles, layer.reads)
    if call.weight is None or call.arguments.get("bias") is None:
        raise fault("affine of x" if of_x else "affine", name=not of_x and roles.label(layer.reads))


def _missing_norm_of_x(roles: Roles) -> FaultFound:
    x, first = roles.run.x, roles.branch[0]
    norms = [norm for norm in roles.run.of_kind(BATCH_NORM) if norm.number in first.after]
    if not norms:
        return fault("no norm of x")
    if activation := name_activation(norms[0].input, x):
        return fault("norm of x behind activation", activation=activation)
    return fault("norm of x reads other")


def _missing_norm(roles: Roles, name: str) -> FaultFound:
    label, convolution = roles.label(name), roles.calls[name]
    begins_with_norm = any(layer.reads == "x" for layer in roles.norms.values())
    of_x = None if begins_with_norm else roles.norm_on(roles.run.x)
    if of_x and roles.branch and equal(roles.branch[0].input, F.relu(of_x.output)):
        return fault("pre-activation", block=phrase(roles.case.blueprint.name))
    order = phrase("norm first" if begins_with_norm else "convolution first")
    for norm in roles.run.norms:
        if norm.kind != BATCH_NORM and equal(norm.input, convolution.output):
            return fault("other norm", kind=phrase(norm.kind).capitalize(), name=label)
        if equal(norm.input, F.relu(convolution.output)):
            return fault("norm behind relu", name=label, order=order)
        if equal(norm.output, convolution.input) and norm not in roles.calls.values():
            return fault("norm before", name=label, order=order)
        if _reads_sum(roles, norm, convolution):
            return fault("norm of sum", name=label)
    return fault("no norm", name=label)


def _reads_sum(roles: Roles, norm: Call, convolution: Call) -> bool:
    if norm.input.shape != convolution.output.shape:
        return False
    added = norm.input - convolution.output
    return any(equal(added, value) for value in roles.known_values)


def check_shared_norms(roles: Roles) -> None:
    """Each convolution has a batch norm of its own."""
    seen: list[tuple[str, Call]] = []
    for name, layer in roles.norms.items():
        norm = roles.calls.get(name)
        if norm is None or layer.reads == "x":
            continue
        label = roles.label(layer.reads)
        for earlier, other in seen:
            if _same_parameters(norm, other):
                raise fault("shared norm", earlier=earlier, name=label)
        seen.append((label, norm))


def _same_parameters(one: Call, two: Call) -> bool:
    names = ("weight", "running_mean")
    pairs = [(one.arguments.get(name), two.arguments.get(name)) for name in names]
    return any(a is not None and a is b for a, b in pairs)
