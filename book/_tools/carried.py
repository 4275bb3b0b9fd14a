"""What a notebook needs of this repository: modules, records, trained weights, found by reading it.

The modules that its cells and the code in its text import, and those that these import in turn; the
records that it names, and for a name with holes in it (``f"results/runs-{seed}.json"``) all that
begin alike; the weights of the networks that it asks for by name.
"""

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nbformat import NotebookNode

PACKAGES = ("resnet_lib", "resnet_checks", "resnet_cli")
RECORDS, WEIGHTS = "results/", "resnet_lib/weights/"
STAND_INS = Path(__file__).parent / "stand_ins"
# What every machine has that runs the notebooks: name in imports, name for pip.
GIVEN = {
    "matplotlib": "matplotlib",
    "numpy": "numpy",
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "torchvision": "torchvision",
}
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
FOR_IPYTHON = re.compile(r"^(\s*)[%!].*$", re.MULTILINE)
# Prose calls the checks by the name that all chapters import them under.
CHECKS = re.compile(r"`checks\.\w")
OURS = re.compile(rf"^\s*(?:from|import)\s+(?:{'|'.join(PACKAGES)})\b", re.MULTILINE)


@dataclass
class Carried:
    """What travels, and what is asked of the machine.

    Attributes:
        files: the files, by their place in the folder that the notebook imports from.
        packages: packages that the machine must have; name in imports, name for pip.
    """

    files: dict[str, Path]
    packages: dict[str, str]


def carried(notebook: NotebookNode, root: Path) -> Carried:
    """What the notebook needs of the repository at ``root``, and of the machine.

    Raises:
        ValueError: the notebook names a package of ours or a record that does not exist.
    """
    trees = list(_trees(notebook))
    files = _modules(trees, root)
    inner = [_tree(file) for file in files.values()]
    names = {name.split(".")[0] for tree in [*trees, *inner] for name in _imports(tree)}
    at_once = {name.split(".")[0] for tree in trees for name in _imports(tree)}
    at_once |= {name for tree in inner for name in _needed_at_import(tree)}
    files |= _neighbours(files) | _records(_texts(trees), root) | _weights(trees, files, root)
    stand_ins = {path.stem: path for path in STAND_INS.iterdir()}
    for name in sorted(names & set(stand_ins)):
        files |= _stand_in(stand_ins[name])
    asked = (at_once | names & set(GIVEN)) - set(stand_ins) - set(PACKAGES)
    asked -= sys.stdlib_module_names
    return Carried(files, {name: GIVEN.get(name, name) for name in sorted(asked)})


def _trees(notebook: NotebookNode) -> Iterator[ast.Module]:
    """The syntax trees of the cells, of code in the text, and of programs that a cell has as text."""
    for cell in notebook.cells:
        sources = [cell.source] if cell.cell_type == "code" else FENCED.findall(cell.source)
        if cell.cell_type == "markdown" and CHECKS.search(cell.source):
            sources.append("import resnet_checks as checks")
        for tree in map(_parsed, sources):
            yield tree
            yield from (_parsed(textwrap.dedent(t)) for t in _texts([tree]) if OURS.search(t))


def _parsed(source: str) -> ast.Module:
    """Without lines that only IPython understands; empty where a cell shows faulty syntax."""
    try:
        return ast.parse(FOR_IPYTHON.sub(r"\1pass", source))
    except SyntaxError:
        return ast.Module(body=[], type_ignores=[])


@lru_cache
def _tree(file: Path) -> ast.Module:
    text = file.read_text(encoding="utf-8") if file.suffix == ".py" else ""
    return ast.parse(text)


def _texts(trees: Iterable[ast.AST]) -> list[str]:
    nodes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [node.value for node in nodes if isinstance(node.value, str)]


def _imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of what is imported anywhere: modules, and things in modules."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _needed_at_import(tree: ast.Module) -> Iterator[str]:
    """Packages that a module imports as it is imported, and not only in one of its functions."""
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from (name.split(".")[0] for name in _imports(node))


def _modules(trees: Iterable[ast.AST], root: Path) -> dict[str, Path]:
    """Our modules that the trees import, those that these import, and so on."""
    files: dict[str, Path] = {}
    waiting = list(trees)
    while waiting:
        for name in _imports(waiting.pop()):
            parts = name.split(".")
            if parts[0] not in PACKAGES:
                continue
            if not root.joinpath(parts[0]).is_dir():
                raise ValueError(f"the notebook imports {name}, but there is no {parts[0]}/")
            for end in range(1, len(parts) + 1):  # a package's own code runs before its modules'
                place = root.joinpath(*parts[:end])
                for file in (place / "__init__.py", place.with_suffix(".py")):
                    key = file.relative_to(root).as_posix()
                    if file.is_file() and key not in files:
                        files[key] = file
                        waiting.append(_tree(file))
    return files


def _neighbours(files: dict[str, Path]) -> dict[str, Path]:
    """Files that a module names and that lie beside it, as the palette."""
    return {
        f"{key.rpartition('/')[0]}/{text}": file.with_name(text)
        for key, file in files.items()
        for text in _texts([_tree(file)])
        if re.fullmatch(r"[\w-]+\.\w+", text) and file.with_name(text).is_file()
    }


def _records(texts: list[str], root: Path) -> dict[str, Path]:
    found: list[Path] = []
    for text in texts:
        if text.startswith(RECORDS):
            folder, _, start = text.rpartition("/")
            whole = root / text
            paths = [whole] if whole.is_file() else (root / folder).glob(f"{start}*.json")
            found += (paths := sorted(paths))
            if not paths:
                raise ValueError(f"the notebook names {text}, but no record begins like that")
    return {path.relative_to(root).as_posix(): path for path in found}


def _weights(trees: list[ast.Module], files: dict[str, Path], root: Path) -> dict[str, Path]:
    """Trained weights and their cards: of each network named, for each data set named."""
    if f"{WEIGHTS}trained.py" not in files:
        return {}
    texts = set(_texts(trees))
    nodes = [node for tree in trees for node in ast.walk(tree)]
    nets = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    nets |= {node.id for node in nodes if isinstance(node, ast.Name)}
    named = [
        path
        for path in sorted((root / WEIGHTS).glob("*.safetensors"))
        if path.stem.partition("-")[0] in nets | texts and path.stem.partition("-")[2] in texts
    ]
    return {f"{WEIGHTS}{p.name}": p for path in named for p in (path, path.with_suffix(".md"))}


def _stand_in(path: Path) -> dict[str, Path]:
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    return {f"stand_ins/{file.relative_to(STAND_INS).as_posix()}": file for file in files}
