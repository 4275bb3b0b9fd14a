"""The package gives its names without loading PyTorch before one of them needs it."""

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from resnet_lib import train


def test_settings_come_without_pytorch():
    """`python -m resnet_lib --help` shows them in a fifth of a second."""
    ask = "import sys; from resnet_lib.train import TrainConfig, SCHEDULES; TrainConfig(epochs=2); "
    ask += "print('torch' in sys.modules, 'numpy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["False", "False"]


def test_every_name_comes_from_its_module():
    """From the one that type checkers are told of."""
    tree = ast.parse(Path(train.__file__).read_text(encoding="utf-8"))
    (seen,) = (node for node in tree.body if isinstance(node, ast.If))
    homes = {name.name: node.module for node in seen.body for name in node.names}
    assert sorted(homes) == sorted(train.__all__)
    assert set(train.__all__) <= set(dir(train))
    for name, module in homes.items():
        home = import_module(module)
        assert name in home.__all__
        assert getattr(train, name) is getattr(home, name)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match=r"resnet_lib\.train' has no attribute 'fitt'"):
        train.fitt  # noqa: B018
