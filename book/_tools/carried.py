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
from functools import cache
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
    "scipy": "scipy",
    "sklearn": "scikit-learn",
    "torch": "torch",
    "torchvision": "torchvision",
}
# What a single notebook may ask for beside them, the same way. A machine mostly lacks it, and the
# first cell then says what to install; the tests lend it to the notebooks that import it.
EXTRAS = {
    "captum": "captum",
    "huggingface_hub": "huggingface_hub",
    "mlserver": "mlserver",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "onnxscript": "onnxscript",
    "psutil": "psutil",
    "requests": "requests",
    "starlette": "starlette",
    "timm": "timm",
    "torchmetrics": "torchmetrics[detection]",
    "transformers": "transformers",
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


class Code:
    """What one piece of code imports, names and writes out."""

    def __init__(self, tree: ast.Module):
        nodes = list(ast.walk(tree))
        constants = (node.value for node in nodes if isinstance(node, ast.Constant))
        self.texts = [value for value in constants if isinstance(value, str)]
        self.names = {node.id for node in nodes if isinstance(node, ast.Name)}
        self.names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        self.imports = _imports(nodes)  # dotted: modules, and things in modules
        self.packages = _packages(self.imports)
        self.packages_at_once = _packages(_imports(tree.body))  # not those of its functions alone


def carried(notebook: NotebookNode, root: Path) -> Carried:
    """What the notebook needs of the repository at ``root``, and of the machine.

    Raises:
        ValueError: the notebook names a package of ours or a record that does not exist.
    """
    cells = list(_code_of(notebook))
    files = _modules(cells, root)
    modules = [_code_in(file) for file in files.values()]
    texts = {text for code in cells for text in code.texts}
    names = texts.union(*(code.names for code in cells))
    files |= _neighbours(files) | _records(texts, root) | _weights(names, texts, files, root)
    stand_ins = {path.stem: path for path in STAND_INS.iterdir()}
    wanted = set().union(*(code.packages for code in [*cells, *modules]))
    for name in sorted(wanted & set(stand_ins)):
        files |= _stand_in(stand_ins[name])
    asked = wanted & set(GIVEN)
    asked |= set().union(*(code.packages for code in cells))
    asked |= set().union(*(code.packages_at_once for code in modules))
    asked -= set(stand_ins) | set(PACKAGES) | sys.stdlib_module_names
    return Carried(files, {name: (GIVEN | EXTRAS).get(name, name) for name in sorted(asked)})


def _code_of(notebook: NotebookNode) -> Iterator[Code]:
    """The code of the cells, in the text between them, and of programs that a cell has as text."""
    for cell in notebook.cells:
        sources = [cell.source] if cell.cell_type == "code" else FENCED.findall(cell.source)
        if cell.cell_type == "markdown" and CHECKS.search(cell.source):
            sources.append("import resnet_checks as checks")
        for code in map(_parsed, sources):
            yield code
            yield from (_parsed(textwrap.dedent(text)) for text in code.texts if OURS.search(text))


@cache
def _parsed(source: str) -> Code:
    """Without lines that only IPython understands; empty where a cell shows faulty syntax."""
    try:
        return Code(ast.parse(FOR_IPYTHON.sub(r"\1pass", source)))
    except SyntaxError:
        return _parsed("")


def _code_in(file: Path) -> Code:
    return _parsed(file.read_text(encoding="utf-8") if file.suffix == ".py" else "")


def _imports(nodes: Iterable[ast.AST]) -> set[str]:
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return found


def _packages(imports: Iterable[str]) -> set[str]:
    return {name.partition(".")[0] for name in imports}


def _modules(cells: list[Code], root: Path) -> dict[str, Path]:
    """Our modules that the cells import, those that these import, and so on."""
    files: dict[str, Path] = {}
    waiting = list(cells)
    while waiting:
        for name in sorted(waiting.pop().imports):
            parts = name.split(".")
            if parts[0] not in PACKAGES:
                continue
            if not root.joinpath(parts[0]).is_dir():
                raise ValueError(f"the notebook imports {name}, but there is no {parts[0]}/")
            for end in range(1, len(parts) + 1):  # a package's own code runs before its modules'
                place = root.joinpath(*parts[:end])
                for file in (place / "__init__.py", place.with_suffix(".py")):
                    key = file.relative_to(root).as_posix()
                    if key not in files and file.is_file():
                        files[key] = file
                        waiting.append(_code_in(file))
    return files


def _neighbours(files: dict[str, Path]) -> dict[str, Path]:
    """Files that a module names and that lie beside it, as the palette."""
    return {
        f"{key.rpartition('/')[0]}/{text}": file.with_name(text)
        for key, file in files.items()
        for text in _code_in(file).texts
        if re.fullmatch(r"[\w-]+\.\w+", text) and file.with_name(text).is_file()
    }


def _records(texts: Iterable[str], root: Path) -> dict[str, Path]:
    found: list[Path] = []
    for text in texts:
        if text.startswith(RECORDS):
            folder, _, start = text.rpartition("/")
            whole = root / text
            paths = [whole] if whole.is_file() else list((root / folder).glob(f"{start}*.json"))
            if not paths:
                raise ValueError(f"the notebook names {text}, but no record begins like that")
            found += paths
    return {path.relative_to(root).as_posix(): path for path in found}


def _weights(nets: set[str], data: set[str], files: dict[str, Path], root: Path) -> dict[str, Path]:
    """Trained weights and their cards: of each network named, for each data set named."""
    if f"{WEIGHTS}trained.py" not in files:
        return {}
    found = {}
    for path in (root / WEIGHTS).glob("*.safetensors"):
        net, _, name = path.stem.partition("-")
        if net in nets and name in data:
            for file in (path, path.with_suffix(".md")):
                found[f"{WEIGHTS}{file.name}"] = file
    return found


def _stand_in(path: Path) -> dict[str, Path]:
    files = sorted(path.glob("*.py")) if path.is_dir() else [path]
    return {f"stand_ins/{file.relative_to(STAND_INS).as_posix()}": file for file in files}
