"""The library keeps its shape: floors, small files, short functions, public things documented."""

import ast
import importlib
import json
import re
import tomllib
from pathlib import Path

import pytest
from notebooks import ROOT

PACKAGES = ("resnet_lib", "resnet_checks", "resnet_cli")
LIBRARY = ROOT / "resnet_lib"
FILES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
MOST_LINES = 250
MOST_STATEMENT_LINES = 30
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)

GROUND = {"arguments", "console", "files", "names"}
# What each floor of the library may import of it, beside the ground.
MAY_IMPORT = {
    "arguments": set(),
    "console": set(),
    "files": set(),
    "names": set(),
    "blocks": set(),
    "nets": {"blocks"},
    "weights": {"blocks", "nets"},
    "variants": {"blocks", "nets"},
    "compression": {"blocks"},
    "switches": {"blocks"},
    "paths": {"blocks", "switches"},
    "export": set(),
    "prediction": {"data", "train"},
    "serving": {"data", "export", "prediction"},
    "probes": set(),
    "landscape": set(),
    "data": set(),
    "train": {"plots"},
    "plots": set(),
    "diagrams": {"plots"},
}
# What the packages on top may import.
MAY_IMPORT_PACKAGES = {
    "resnet_checks": {"resnet_lib", "resnet_checks"},
    "resnet_cli": {"resnet_lib", "resnet_cli"},
}


def module_name(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def floor(module: str) -> str:
    """The name that stands right below resnet_lib; empty for resnet_lib itself."""
    return ".".join(module.split(".")[1:2])


def imported(file: Path) -> set[str]:
    """The library's modules that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, (
                f"{file.name}:{node.lineno} imports relatively; write it in full."
            )
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in MODULES else node.module for name in names}
    return {name for name in found if name.split(".")[0] in PACKAGES}


def tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def public_names(file: Path) -> list[str]:
    """What the file's ``__all__`` lists; empty where it has none."""
    for node in tree(file).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


MODULES = {module_name(file) for file in FILES}
every_file = pytest.mark.parametrize("file", FILES, ids=module_name)


@every_file
def test_no_import_runs_upward(file):
    name = module_name(file)
    package, own = name.split(".")[0], floor(name)
    if name == "resnet_lib.__main__":
        return  # `python -m resnet_lib` starts the command line, on top of all
    packages = {other.split(".")[0] for other in imported(file)}
    if package != "resnet_lib":
        wrong = packages - MAY_IMPORT_PACKAGES[package]
        assert not wrong, f"{package} must not import {', '.join(sorted(wrong))}"
        return
    assert packages <= {"resnet_lib"}, f"{name} must not import what stands on the library"
    if own:
        assert own in MAY_IMPORT, f"Say in MAY_IMPORT what resnet_lib.{own} may import."
        wrong = {floor(other) for other in imported(file)} - MAY_IMPORT[own] - GROUND - {own, ""}
        assert not wrong, f"resnet_lib.{own} must not import {', '.join(sorted(wrong))}"


def test_no_import_runs_in_a_circle():
    above = {module_name(file): imported(file) - {module_name(file)} for file in FILES}
    while bottom := {name for name, below in above.items() if not below}:
        above = {name: below - bottom for name, below in above.items() if name not in bottom}
    assert not above, f"These import each other: {', '.join(sorted(above))}"


@every_file
def test_file_is_small(file):
    lines = len(file.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, (
        f"{file.name} has {lines} lines; {MOST_LINES} are the most: split it."
    )


@every_file
def test_functions_are_short(file):
    for node in ast.walk(tree(file)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            body = node.body[1:] if ast.get_docstring(node) is not None else node.body
            lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
            where = f"{file.name}:{node.lineno} {node.name}"
            assert lines <= MOST_STATEMENT_LINES, f"{where} has {lines} lines: split it."


@every_file
def test_public_things_have_docstrings(file):
    if not ast.get_docstring(tree(file)):
        pytest.fail(f"{file.name} says nowhere what it holds: begin it with a docstring.")
    for node in tree(file).body:
        if isinstance(node, DEFINITIONS) and node.name in public_names(file):
            where = f"{file.name}:{node.lineno} {node.name}"
            assert ast.get_docstring(node), f"{where} is public and has no docstring."


@every_file
def test_public_names_exist(file):
    bound = set()
    body = tree(file).body
    # A lazy package imports its names for the type checker alone: `if TYPE_CHECKING:`.
    checked = [one for node in body if isinstance(node, ast.If) for one in node.body]
    for node in [*body, *checked]:
        if isinstance(node, DEFINITIONS):
            bound.add(node.name)
        elif isinstance(node, ast.ImportFrom):
            bound |= {name.asname or name.name for name in node.names}
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            bound |= {ast.unparse(target) for target in targets}
    missing = set(public_names(file)) - bound
    assert not missing, f"{file.name} lists {missing} in __all__, but does not define it."


def is_module_of_the_library(name: str) -> bool:
    return name.startswith("resnet_lib.") and name.count(".") == 1


@every_file
def test_public_module_is_on_the_api_page(file):
    """A module within a package is public through the package's own ``__all__``."""
    name = module_name(file)
    if name.startswith("resnet_cli"):
        return  # its door is the command line
    if public_names(file) and (name.count(".") == 0 or is_module_of_the_library(name)):
        pages = [page.read_text("utf-8") for page in (ROOT / "book" / "api").glob("*.md")]
        shown = [page for page in pages if f"automodule:: {name}\n" in page]
        assert len(shown) == 1, f"Add {name} to one page in book/api/."


def test_every_package_is_installed():
    """pyproject.toml lists the packages one by one, because it adds results/ to them."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = set(listed["tool"]["setuptools"]["packages"]) - {"resnet_lib.results"}
    packages = {module_name(file) for file in FILES if file.name == "__init__.py"}
    assert listed == packages, "Bring [tool.setuptools] packages in pyproject.toml in line."


def test_every_other_file_is_installed():
    """setuptools leaves out what is no Python and is not named."""
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = listed["tool"]["setuptools"]["package-data"]
    installed = {
        file
        for package, names in patterns.items()
        if package != "resnet_lib.results"
        for name in names
        for file in ROOT.joinpath(*package.split(".")).glob(name)
    }
    every = (file for package in PACKAGES for file in (ROOT / package).rglob("*"))
    files = {file for file in every if file.is_file()} - set(FILES)
    files = {file for file in files if file.parent.name != "__pycache__"}
    assert files == installed, "Bring [tool.setuptools.package-data] in pyproject.toml in line."


def test_colours_are_six_hex_digits():
    colours = json.loads((LIBRARY / "colors.json").read_text(encoding="utf-8"))
    assert {"residual", "shortcut", "plain", "gradient"} <= set(colours)
    wrong = {k: v for k, v in colours.items() if not re.fullmatch("#[0-9a-f]{6}", v)}
    assert not wrong, f"colors.json: write {wrong} as # and six hex digits, in lower case."
    assert len(set(colours.values())) == len(colours), "colors.json: two ideas share a colour."


def test_checks_are_still_found_where_they_were():
    from resnet_lib import checks

    assert checks is importlib.import_module("resnet_checks")
    with pytest.raises(ImportError, match="anything"):
        from resnet_lib import anything  # noqa: F401
