"""The cheat sheet: its counts are the library's, its formulas the blocks', and its code runs."""

import re

import torch
from notebooks import ROOT

from resnet_lib import nets, probes
from resnet_lib.blocks import BasicBlock, Bottleneck

TEXT = (ROOT / "book" / "cheat-sheet.md").read_text(encoding="utf-8")
ROW = re.compile(r"\| (\d+) \| ([\d, ]+) (basic|bottleneck) \| ([\d,]+) \| ([\d.]+) G \|")


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_five_networks_are_as_counted():
    rows = ROW.findall(TEXT)
    assert [row[0] for row in rows] == ["18", "34", "50", "101", "152"]
    for depth, blocks, kind, parameters, operations in rows:
        with torch.device("meta"):
            model = getattr(nets, f"resnet{depth}")()
            image = torch.empty(1, 3, 224, 224)
        stages = [model.layer1, model.layer2, model.layer3, model.layer4]
        assert [len(stage) for stage in stages] == [int(n) for n in blocks.split(",")]
        assert isinstance(model.layer1[0], BasicBlock if kind == "basic" else Bottleneck)
        assert f"{count(model):,}" == parameters
        counted = sum(row.multiply_adds for row in probes.layer_costs(model, image)) / 1e9
        assert f"{counted:.2f}" == operations


def test_cifar_networks_are_as_counted():
    found = re.search(r"20 layers have ([\d,]+) parameters, 56 have ([\d,]+)\.", TEXT)
    assert list(found.groups()) == [f"{count(nets.CifarResNet(depth)):,}" for depth in (20, 56)]


def test_block_formulas_count_the_blocks():
    assert "$18 C^2 + 4 C$" in TEXT
    assert "$17 C^2 / 16 + 3 C$" in TEXT
    for channels in (64, 256):
        assert count(BasicBlock(channels, channels)) == 18 * channels**2 + 4 * channels
        wanted = 17 * channels**2 // 16 + 3 * channels
        assert count(Bottleneck(channels, channels)) == wanted


def test_its_code_runs(capsys):
    (code,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    made = {}
    exec(code, made)
    model = made["model"]
    trained = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert trained == {"layer3", "fc"}
    assert model.fc.out_features == 2
