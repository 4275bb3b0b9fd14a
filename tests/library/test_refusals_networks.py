"""Bad input to blocks, networks, variants and what looks into them: what each answers."""

import bad_input
import pytest
import torch
from bad_input import BY_HAND, CHOICE, FROM_ONE, MODULE, NUMBER, SHARE, TEXT, Bad, Entry
from torch import nn

from resnet_lib import blocks, names, nets, paths, switches, variants, weights

NET = weights.resnet8("digits").eval()
IMAGES, LABELS = torch.rand(4, 1, 8, 8), torch.arange(4)
PASSES = paths.pass_blocks(NET, IMAGES, LABELS)
SIZES = {"in_channels": 4, "out_channels": 8, "stride": 2}
WHOLES = dict.fromkeys(SIZES, FROM_ONE)
SMALLER = Bad(2, ValueError)  # option A can add channels alone
HEAD = {"num_classes": 3, "in_channels": 1}
HEADS = dict.fromkeys(HEAD, FROM_ONE)
LISTS = [Bad(value, ValueError) for value in ((), (1, 1, 1), (1,) * 5, None, 3, "1111")]
STAGES = [
    Bad([1, 1], ValueError, "^blocks and channels must have"),
    Bad([0], ValueError),
    Bad([1.5], TypeError),
]


def gated_net():
    return variants.StagedNet(variants.GatedBlock, [1], [4], gate=variants.StochasticDepth)


TABLE = [
    Entry(blocks.conv1x1, SIZES, WHOLES),
    Entry(blocks.conv3x3, SIZES, WHOLES),
    Entry(
        blocks.PadShortcut,
        SIZES | {"side": "behind"},
        WHOLES | {"out_channels": [*FROM_ONE, SMALLER], "side": CHOICE},
    ),
    Entry(blocks.make_shortcut, SIZES | {"shortcut": "B"}, WHOLES | {"shortcut": CHOICE}),
    Entry(blocks.BasicBlock, SIZES, WHOLES | {"shortcut": CHOICE}),
    Entry(blocks.Bottleneck, SIZES, WHOLES | {"shortcut": CHOICE}),
    Entry(blocks.Bottleneck, SIZES, {"out_channels": [Bad(6, ValueError)]}),
    Entry(
        nets.CifarResNet,
        {"depth": 8} | HEAD,
        HEADS | {"depth": [*FROM_ONE, Bad(9, ValueError), Bad(2, ValueError)], "shortcut": CHOICE},
    ),
    Entry(nets.PlainStack, {"depth": 4}, {"depth": [*FROM_ONE, Bad(5, ValueError)]}),
    Entry(nets.ResidualStack, {"depth": 4}, HEADS | {"width": FROM_ONE}),
    Entry(
        nets.ResNet,
        {"block": blocks.BasicBlock, "blocks": (1, 1, 1, 1), "stem": "small"} | HEAD,
        HEADS | {"blocks": LISTS, "stem": CHOICE, "shortcut": CHOICE},
    ),
    Entry(nets.resnet18, HEAD, HEADS | {"pretrained": [Bad(True, TypeError, "is no option here")]}),
    Entry(
        nets.check_options, {"block": None, "blocks": (1,) * 4, "options": {}}, {"blocks": LISTS}
    ),
    Entry(
        nets.make_stage,
        {"block": blocks.BasicBlock, "blocks": 1} | SIZES,
        WHOLES | {"blocks": FROM_ONE},
    ),
    Entry(nets.by_name, {"name": "resnet8"} | HEAD, HEADS | {"name": TEXT}),
    Entry(nets.by_name, {"name": "resnet8"} | HEAD, {"name": [Bad("resnet9", ValueError)]}),
    Entry(
        names.split_name, {}, {"name": [*TEXT, Bad("", ValueError), Bad("resnet٢٠", ValueError)]}
    ),
    Entry(names.default_shape, {}, {"name": [*TEXT, Bad("vgg16", ValueError)]}),
    Entry(
        nets.options_of, {}, {"network": [Bad(nn.Linear(1, 1), TypeError), Bad(None, TypeError)]}
    ),
    Entry(nets.add_dropout, {"model": NET, "share": 0.5}, {"model": MODULE, "share": NUMBER}),
    Entry(nets.replace_head, {"model": NET, "num_classes": 3}, {"model": MODULE}),
    Entry(nets.replace_head, {"model": NET, "num_classes": 3}, {"num_classes": FROM_ONE}),
    Entry(nets.freeze, {}, {"model": BY_HAND}),
    Entry(nets.he_init, {}, {"model": BY_HAND}),
    Entry(nets.zero_gamma, {}, {"model": [*BY_HAND, Bad(nn.Linear(1, 1), ValueError)]}),
    Entry(
        nets.stage_features, {"x": IMAGES}, {"model": [*BY_HAND, Bad(nn.Linear(1, 1), TypeError)]}
    ),
    Entry(
        nets.stage_features,
        {"model": NET, "x": IMAGES},
        {"x": [Bad(None, TypeError, "conv2d"), Bad(IMAGES[:, :, 0, 0], RuntimeError, "conv2d")]},
    ),
    Entry(variants.EfficientAttention, {}, {"channels": FROM_ONE}),
    Entry(variants.LayerScale, {"channels": 4}, {"channels": FROM_ONE, "start": NUMBER}),
    Entry(
        variants.SqueezeExcitation, {"channels": 4}, {"channels": FROM_ONE, "reduction": FROM_ONE}
    ),
    Entry(
        variants.StochasticDepth, {}, {"share": [*SHARE, Bad(1, ValueError), Bad(1.0, ValueError)]}
    ),
    Entry(
        variants.stochastic_depth,
        {"model": gated_net(), "last": 0.5},
        {"model": [*MODULE, Bad(NET, ValueError)], "last": [*SHARE, Bad(1, ValueError)]},
    ),
    Entry(variants.GatedBlock, SIZES, WHOLES),
    Entry(
        variants.GatedBottleneck,
        SIZES,
        WHOLES | {"groups": FROM_ONE, "width_per_group": FROM_ONE},
    ),
    Entry(variants.PreActBlock, SIZES, WHOLES | {"shortcut": CHOICE, "dropout": SHARE}),
    Entry(variants.PreActBottleneck, SIZES, WHOLES | {"shortcut": CHOICE}),
    Entry(variants.NormFreeBlock, SIZES, WHOLES),
    Entry(variants.average_shortcut, SIZES, WHOLES),
    Entry(
        variants.deep_stem,
        {},
        {"in_channels": FROM_ONE, "out_channels": [*FROM_ONE, Bad(7, ValueError)]},
    ),
    Entry(
        variants.StagedNet,
        {"block": variants.GatedBlock, "blocks": [1], "channels": [4]} | HEAD,
        HEADS | {"blocks": STAGES, "stem_channels": FROM_ONE},
    ),
    Entry(
        variants.PreActNet,
        {"block": variants.PreActBlock, "blocks": [1], "channels": [4]} | HEAD,
        HEADS | {"blocks": STAGES, "stem_channels": FROM_ONE},
    ),
    Entry(
        variants.NormFreeNet, {"blocks": [1], "channels": [4]} | HEAD, HEADS | {"blocks": STAGES}
    ),
    Entry(
        variants.wide_resnet,
        {"depth": 10, "width": 1},
        {"depth": [*FROM_ONE, Bad(11, ValueError)], "width": FROM_ONE, "dropout": SHARE},
    ),
    Entry(variants.without_batch_norm, {}, {"model": MODULE}),
    Entry(switches.Switched, {}, {"model": [*MODULE, Bad(nn.Linear(1, 1), TypeError)]}),
    Entry(switches.residual_blocks, {}, {"model": [*MODULE, Bad(nn.Sequential(), TypeError)]}),
    Entry(
        switches.branch_of, {"x": IMAGES}, {"block": [*BY_HAND, Bad(NET, TypeError, "relu")][:3]}
    ),
    Entry(
        paths.pass_blocks,
        {"model": NET, "images": IMAGES, "labels": LABELS},
        {
            "model": [*MODULE, Bad(weights.resnet8(), ValueError)],
            "images": bad_input.IMAGES,
            "labels": [
                *(Bad(value, TypeError) for value in (None, [0, 1, 2, 3])),
                *(Bad(value, ValueError) for value in (LABELS[:, None], LABELS[:3], LABELS.int())),
                Bad(LABELS + 99, IndexError, "out of bounds"),
            ],
        },
    ),
    Entry(
        paths.gradient_along,
        {"passes": PASSES, "path": (0, 1, 0)},
        {"path": [Bad((0, 1), ValueError), Bad((0, 1, 2), ValueError), Bad((), ValueError)]},
    ),
    Entry(paths.shortcut_of, {}, {"block": BY_HAND}),
]


@pytest.mark.parametrize("entry", bad_input.each(TABLE))
def test_bad_input_is_refused(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    bad_input.assert_refused(entry, tmp_path)


def test_only_known_blocks_are_taken_out():
    with pytest.raises(ValueError, match=r"^names must be of layer1\.0, .*, got 'layer9'"):
        paths.without_blocks(NET, "layer9")
    with pytest.raises(ValueError, match=r"^names must be of"):
        paths.without_blocks(NET, 3)
