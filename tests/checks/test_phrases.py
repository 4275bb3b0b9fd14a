"""The sentences of the checks: complete, well-formed, and replaceable by another language's."""

from string import Formatter

import pytest
import torch.nn.functional as F
from plant import Block, conv, forward, replaced

import resnet_checks as checks
from resnet_checks import blueprints
from resnet_checks.phrases import english, english_alone, english_joints, english_layers
from resnet_checks.phrases.chinese import CHINESE
from resnet_checks.phrases.english import ENGLISH

PARTS = [
    *(english._NAMES, english._PASSED, english._RUNS, english_layers.LAYERS),
    *(english_layers.SHORTCUT, english_joints.JOINTS, english_alone.ALONE, english_alone.FORMULA),
]


def names(entry):
    text = entry if isinstance(entry, str) else "".join(entry)
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def test_no_key_stands_twice():
    assert len(ENGLISH) == sum(map(len, PARTS))


def test_every_blueprint_has_its_sentences():
    known = [b for b in vars(blueprints).values() if isinstance(b, blueprints.Blueprint)]
    kinds = [blueprint.name for blueprint in known if blueprint.name.endswith("block")]
    assert len(kinds) == 4
    for kind in kinds:
        for key in ("", "subject ", "home ", "layers "):
            assert f"{key}{kind}" in ENGLISH


@pytest.mark.parametrize("key", CHINESE)
def test_another_language_has_no_keys_and_no_names_of_its_own(key):
    assert key in ENGLISH
    # A sentence may say what is right by its equation where the English one has a phrase for it.
    assert names(CHINESE[key]) <= names(ENGLISH[key]) | {"right"}
    assert isinstance(CHINESE[key], str) or not isinstance(ENGLISH[key], str)


CASES = [
    (forward(lambda b, x: F.relu(b.branch(x))), "缺少相加：结果只是 ReLU(F(x))。"),
    (forward(lambda b, x: b.branch(x) + b.way(x)), "缺少相加之后的 ReLU：输出为 F(x) + x。"),
    (forward(lambda b, x: F.relu(b.branch(x)) + b.way(x)), "应在它之前：ReLU(F(x) + x)。"),
    (
        replaced(b=lambda i, o, s: conv(o, o, bias=True)),
        "第二个卷积带有偏置，其后的批归一化会将它抵消。",
    ),
    (
        forward(lambda b, x: F.relu(b.nb(b.b(b.na(b.a(x)))) + b.way(x))),
        "中间缺少 ReLU：第二个卷积直接读取了批归一化的输出。",
    ),
]


@pytest.mark.parametrize(("make", "words"), CASES)
def test_fault_is_named_in_chinese(make, words):
    with checks.speaking(checks.CHINESE):
        report = checks.basic_block(make, projection=False)
    assert words in report.fault
    assert repr(report).startswith("基本块: 发现错误\n")


def test_right_block_passes_in_chinese():
    with checks.speaking(checks.CHINESE):
        report = checks.basic_block(Block)
    assert repr(report).startswith("基本块: 通过\n  ✓ 可以运行，输出形状正确\n")
    assert all(not sentence.isascii() for sentence in report.passed_checks)
    assert repr(checks.basic_block(Block)).startswith("Basic block: passed\n  ✓ it runs")


def test_what_a_table_lacks_is_said_in_english():
    with checks.speaking({"runs": "läuft"}):
        report = checks.basic_block(Block, projection=False)
    assert report.passed_checks[0] == "läuft"
    assert report.passed_checks[1].startswith("two 3×3 convolutions")
