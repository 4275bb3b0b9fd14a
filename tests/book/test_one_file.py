"""resnet.py, the networks in one file: the library's own code, and it stands alone."""

import ast
import os
import subprocess
import sys
from types import ModuleType

import one_file
import pytest
import torch

from resnet_lib import nets

TEXT = one_file.one_file()
STANDS_ALONE = """
import resnet, sys
ours = [name for name in sys.modules if name.startswith("resnet_")]
print(resnet.resnet18(10, 1, stem="small").fc.out_features, ours)
"""


@pytest.fixture(scope="module")
def copied():
    module = ModuleType("resnet")
    exec(compile(TEXT, "resnet.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("resnet18", {"num_classes": 7, "in_channels": 1, "stem": "small"}),
        ("resnet50", {"shortcut": "A", "stride_in_1x1": True}),
        ("CifarResNet", {"depth": 20, "residual": False}),
    ],
)
def test_it_gives_the_outputs_of_the_library(name, arguments, copied):
    found = []
    for module in (copied, nets):
        torch.manual_seed(0)
        net = getattr(module, name)(**arguments).eval()
        torch.manual_seed(1)
        found.append(net(torch.randn(2, arguments.get("in_channels", 3), 40, 40)))
    assert torch.equal(*found)


def definitions(text):
    kinds = ast.FunctionDef | ast.ClassDef
    return {node.name: ast.dump(node) for node in ast.parse(text).body if isinstance(node, kinds)}


def test_each_definition_is_that_of_the_library():
    library = {}
    for module in one_file.MODULES:
        path = one_file.ROOT / one_file.LIBRARY / f"{module}.py"
        library |= definitions(path.read_text(encoding="utf-8"))
    copies = definitions(TEXT)
    assert {"ResNet", "Bottleneck", "CifarResNet", "zero_gamma", "check_whole"} <= set(copies)
    assert copies == {name: library[name] for name in copies}
    assert "check_images" not in copies, "a check that no network uses"


def test_constants_keep_their_documentation():
    assert '152: (Bottleneck, (3, 8, 36, 3)),\n}\n"""Block and number of blocks' in TEXT


def test_it_needs_pytorch_alone(tmp_path):
    (tmp_path / "resnet.py").write_text(TEXT, encoding="utf-8")
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", STANDS_ALONE],
        cwd=tmp_path, env=bare, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "10 []\n"


def test_it_is_in_the_style_of_the_repository(tmp_path):
    (tmp_path / "resnet.py").write_text(TEXT, encoding="utf-8")
    config = str(one_file.ROOT / "pyproject.toml")
    for words in (["check"], ["format", "--check"]):
        call = [sys.executable, "-m", "ruff", *words, "--config", config, "resnet.py"]
        done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
