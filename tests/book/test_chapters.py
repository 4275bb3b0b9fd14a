"""Every chapter rule, over every notebook of the book. The rules stand in book/_tools/rules/."""

import pkgutil
from importlib import import_module

import pytest
import rules
from notebooks import ROOT, notebook_paths, read

MODULES = [import_module(f"rules.{module.name}") for module in pkgutil.iter_modules(rules.__path__)]
RULES = [module for module in MODULES if hasattr(module, "faults")]
NOTEBOOKS = notebook_paths()


def test_the_book_has_chapters():
    assert NOTEBOOKS, f"No notebook in {ROOT / 'chapters'}: the rules below tested nothing."


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__.split(".")[-1])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_chapter_keeps_to(rule, path):
    found = rule.faults(path, read(path))
    if found:
        pytest.fail("\n".join(map(str, found)), pytrace=False)
