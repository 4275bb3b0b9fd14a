"""The notebooks that run alone: what they carry and say, and what stands in for what is missing."""

import json
import os
import re
import subprocess
import sys

import alone
import nbformat
import pytest
import safetensors
import torch
from carried import EXTRAS, STAND_INS, carried
from nbformat import v4
from notebooks import ROOT, notebook_paths, read, write
from safetensors.torch import load, save
from toy_book import ALT, code, notebook, picture, text, write_book

RECORD, WEIGHTS = "results/layer_responses.json", "resnet_lib/weights/resnet8-digits"
PAGES = "https://someone.github.io/book"


def files_for(*cells):
    return carried(v4.new_notebook(cells=list(cells)), ROOT).files


def run(source, *before, python=(), **environment):
    """Run code in a process of its own, without this repository; return (exit code, output)."""
    settings = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | environment
    command = [sys.executable, *python, "-c", "\n".join([*before, source])]
    done = subprocess.run(command, env=settings, cwd="/", capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def first_cell(*cells):
    return alone._first_cell(carried(v4.new_notebook(cells=list(cells)), ROOT)).source


# What a notebook carries


def test_a_module_comes_with_what_it_imports_and_with_no_more():
    files = files_for(code("from resnet_lib import blocks"))
    assert set(files) == {
        "resnet_lib/__init__.py",
        "resnet_lib/arguments.py",
        "resnet_lib/blocks.py",
    }


@pytest.mark.parametrize(
    "cell",
    [
        code("def f():\n    from resnet_lib.nets import ResNet"),
        code('script = """\nimport resnet_lib.nets\n"""'),
        code("%matplotlib inline\n!ls\nfrom resnet_lib import nets"),
        text("Write:\n\n```python\nfrom resnet_lib import nets\n```"),
    ],
)
def test_an_import_is_found_where_it_stands(cell):
    assert "resnet_lib/nets/resnet.py" in files_for(cell)


def test_prose_that_names_a_check_brings_the_checks():
    assert "resnet_checks/block.py" in files_for(text("Ask `checks.basic_block(Mine)`."))


def test_a_file_beside_a_module_comes_along():
    assert "resnet_lib/colors.json" in files_for(code("from resnet_lib import plots"))


def test_records_come_by_name_and_by_the_beginning_of_a_name():
    assert RECORD in files_for(code(f'data.read_record("{RECORD}")'))
    some = files_for(code('data.read_record(f"results/degradation/degradation-short-{net}.json")'))
    assert {p for p in some if "degradation-short-plain20" in p}
    assert RECORD not in some


def test_weights_come_where_network_and_data_are_named():
    use = "from resnet_lib import weights\n"
    assert f"{WEIGHTS}.safetensors" in files_for(code(use + 'weights.resnet8(weights="digits")'))
    assert f"{WEIGHTS}.md" in files_for(code(use + 'weights.model_card("resnet8", "digits")'))
    assert not [p for p in files_for(code(use + "weights.load_weights(a, b)")) if WEIGHTS in p]


@pytest.mark.parametrize("slip", ['read("results/nothing")', "import resnet_cly, resnet_cli"])
def test_what_is_not_there_is_named(slip, tmp_path):
    with pytest.raises(ValueError, match=r"results/nothing|no resnet_cli/"):
        carried(v4.new_notebook(cells=[code(slip)]), tmp_path)


def test_packages_of_others_are_asked_for_or_stood_in_for():
    needed = carried(
        v4.new_notebook(cells=[code("import onnx\nfrom resnet_lib import train")]), ROOT
    )
    assert needed.packages.items() >= {"onnx": "onnx", "torch": "torch"}.items()
    assert not {"safetensors", "tqdm", "tensorboard", "json", "resnet_lib"} & set(needed.packages)
    assert {"stand_ins/tqdm.py", "stand_ins/safetensors/torch.py"} <= set(needed.files)


def test_extras_are_asked_for_by_the_notebook_that_imports_them():
    needed = carried(
        v4.new_notebook(cells=[code("import timm, transformers\nfrom resnet_lib import weights")]),
        ROOT,
    )
    assert {"timm", "transformers"} <= set(needed.packages)
    assert not {"timm", "transformers"} & set(carried(v4.new_notebook(cells=[]), ROOT).packages)
    extras = {"captum", "timm", "torchmetrics", "transformers", "huggingface_hub"}
    extras |= {"onnx", "onnxruntime", "onnxscript", "mlserver", "psutil", "requests", "starlette"}
    assert extras == set(EXTRAS)


# The first cell


def test_first_cell_brings_the_library_and_wins_over_another_copy():
    source = first_cell(code("from resnet_lib import nets\nread('results/layer_responses.json')"))
    look = (
        "import resnet_lib.nets as nets, os, subprocess, sys\n"
        "from pathlib import Path\n"
        "place = Path(nets.__file__).parents[2]\n"
        "print(place.name, (place / 'results/layer_responses.json').is_file())\n"
        "child = 'import resnet_lib; print(resnet_lib.__file__)'\n"
        "print(subprocess.check_output([sys.executable, '-c', child], text=True))"
    )
    once = "import resnet_lib  # the copy that is to lose\n" + source
    exit_code, said = run(look, once, source, PYTHONPATH=str(ROOT))
    lines = said.split()
    assert exit_code == 0, said
    assert lines[0].startswith("resnet_book_")
    assert lines[1] == "True"
    assert lines[0] in lines[2], "a process that a cell starts must find the same copy"


@pytest.mark.parametrize(
    ("before", "says"),
    [
        (
            "import sys; sys.version_info = (3, 9, 1)",
            "needs Python 3.11 or later; this is Python 3.9",
        ),
        ("import torch; torch.__version__ = '2.5.1+cu124'", "later; this is PyTorch 2.5.1"),
        ("import sys; sys.modules['onnx'] = None", "needs onnx, which is not installed"),
    ],
)
def test_first_cell_says_what_a_machine_lacks(before, says):
    cell = code("import onnx" if "onnx" in before else "import torch")
    source = first_cell(cell).replace("find_spec(module)", "module != 'onnx'")
    exit_code, said = run("print('went on')", before, source)
    assert exit_code != 0
    assert says in said.splitlines()[-1]
    assert "went on" not in said


def test_first_cell_names_all_that_is_to_be_installed():
    source = first_cell(code("import timm, transformers"))
    source = source.replace("find_spec(module)", "module not in ('timm', 'transformers')")
    exit_code, said = run("print('went on')", "", source)
    assert exit_code != 0
    assert "needs timm and transformers, which are not installed. In a cell above" in said
    assert said.splitlines()[-1].endswith("%pip install timm transformers")


def test_first_cell_leaves_no_name_behind_that_a_chapter_could_use():
    names = {"__builtins__": {}} | {"__name__": "__main__"}
    code_only = first_cell(code("x = 1")).partition("_check({")[0]
    before = set(names)
    exec(code_only, names)
    assert set(names) - before == {"_check", "_bring"}


def test_first_cell_is_folded_and_valid(tmp_path):
    path = write_book(tmp_path)
    (tmp_path / "resnet_lib" / "__init__.py").touch()
    made = alone.stand_alone(path, tmp_path)
    nbformat.validate(made)
    cell = next(cell for cell in made.cells if cell.cell_type == "code")
    assert cell.metadata == {
        "cellView": "form",
        "jupyter": {"source_hidden": True},
        "tags": ["hide-input"],
    }
    assert cell.source.startswith("#@title ")
    counts = [cell.execution_count for cell in made.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_a_cell_that_is_folded_on_its_page_is_folded_elsewhere(tmp_path):
    path = write_book(tmp_path)
    (tmp_path / "resnet_lib" / "__init__.py").touch()
    book = read(path)
    book.cells += [code("draw()", tags=("hide-input",)), code("shown()")]
    write(book, path)
    *_, folded, shown = alone.stand_alone(path, tmp_path).cells
    assert folded.metadata["jupyter"] == {"source_hidden": True}
    assert folded.metadata["cellView"] == "form"
    assert not {"jupyter", "cellView"} & set(shown.metadata)


# Text and pictures


@pytest.mark.parametrize(
    ("words", "published", "named"),
    [
        ("[chapter 02](02_x.ipynb)", f"[chapter 02]({PAGES}/chapters/02_x.html)", "chapter 02"),
        (
            "[there](../book/notation.md#symbols)",
            f"[there]({PAGES}/book/notation.html#symbols)",
            "there (“Notation”)",
        ),
        (
            "[their own](solutions/01_toy.ipynb)",
            f"[their own]({PAGES}/chapters/solutions/01_toy.html)",
            "their own (“Solutions to chapter 01”)",
        ),
        ("[above](#proof)", f"[above]({PAGES}/chapters/01_toy.html#proof)", "above"),
        ("[web](https://example.org/a.ipynb)",) * 3,
        ("`a[i](x.ipynb)` ![x](y.png)",) * 3,
    ],
)
def test_link_leads_to_the_published_page_or_is_a_name(tmp_path, words, published, named):
    path = write_book(tmp_path)
    assert alone.relinked(words, path, tmp_path, PAGES) == published
    assert alone.relinked(words, path, tmp_path, None) == named


def test_picture_says_what_it_shows():
    shown = alone._with_alt(notebook([code("draw()", picture(), alt=ALT)]).cells[0].outputs[0])
    assert set(shown.data) == {"text/html", "text/plain"}
    assert shown.data["text/html"].startswith(f'<img alt="{ALT}" src="data:image/png;base64,')
    assert shown.data["text/plain"] == ALT


@pytest.mark.parametrize("path", notebook_paths(), ids=lambda path: alone.name_of(path))
def test_no_picture_of_the_book_is_without_alt_text(path):
    for cell in alone._to_be_read(path, ROOT, None).cells:
        for output in cell.get("outputs", []):
            assert not alone.picture_kinds(output)
            for shown in re.findall("<img [^>]*>", output.get("data", {}).get("text/html", "")):
                assert re.match('<img alt="[^"]{40,}" ', shown)


def test_same_content_gives_the_same_notebook_and_is_not_written_again(tmp_path):
    path = write_book(tmp_path)
    (tmp_path / "resnet_lib" / "__init__.py").touch()
    places = list(alone.write_alone(tmp_path / "out", tmp_path))
    assert [p.relative_to(tmp_path / "out").as_posix() for p in places] == [
        "01_toy.ipynb",
        "solutions/01_toy.ipynb",
    ]
    before = places[0].stat().st_mtime_ns
    list(alone.write_alone(tmp_path / "out", tmp_path))
    assert places[0].stat().st_mtime_ns == before
    with (tmp_path / "resnet_lib" / "sums.py").open("a") as module:
        module.write("ONE = 1\n")
    alone.carried.__globals__["_parsed"].cache_clear()
    list(alone.write_alone(tmp_path / "out", tmp_path))
    assert places[0].stat().st_mtime_ns != before
    assert read(path).cells[0].source == read(places[0]).cells[0].source


# What stands in for packages that a machine lacks

TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "count": torch.tensor(7),
    "yes": torch.tensor([True, False, True]),
    "none": torch.empty(0, 4),
    "bytes": torch.arange(5, dtype=torch.uint8),
}


def stand_in(source, **files):
    before = f"import sys; sys.path.insert(0, {str(STAND_INS)!r})\n"
    return run(source, before + "".join(f"{k} = {str(v)!r}\n" for k, v in files.items()))


def test_stand_in_and_safetensors_read_each_others_files(tmp_path):
    (tmp_path / "theirs").write_bytes(save(TENSORS, metadata={"net": "toy"}))
    copy = (
        "from safetensors import safe_open\n"
        "from safetensors.torch import load_file, save_file\n"
        "with safe_open(theirs, 'pt') as file:\n"
        "    about = file.metadata()\n"
        "save_file(load_file(theirs), ours, about)"
    )
    exit_code, said = stand_in(copy, theirs=tmp_path / "theirs", ours=tmp_path / "ours")
    assert exit_code == 0, said
    found = load((tmp_path / "ours").read_bytes())
    assert set(found) == set(TENSORS)
    for name, tensor in TENSORS.items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)
    with safetensors.safe_open(tmp_path / "ours", "pt") as file:
        assert file.metadata() == {"net": "toy"}


def test_stand_in_refuses_damaged_files(tmp_path):
    whole = save(TENSORS)
    damaged = (whole[:-1], whole[:20], whole + b"0", b"no", whole.upper(), b"")
    for number, content in enumerate(damaged):
        (tmp_path / str(number)).write_bytes(content)
    try_all = (
        "import pathlib, safetensors, safetensors.torch as s\n"
        "for file in sorted(pathlib.Path(folder).iterdir()):\n"
        "    try:\n        s.load_file(file)\n        print('read')\n"
        "    except safetensors.SafetensorError:\n        print('refused')"
    )
    _, said = stand_in(try_all, folder=tmp_path)
    assert said.split() == ["refused"] * len(damaged)


def test_stand_in_counts_as_a_bar_does():
    use = (
        "from tqdm import tqdm\n"
        "with tqdm(total=2, desc='epoch 1') as bar:\n    bar.update()\n"
        "print(list(tqdm(range(3), disable=True)))"
    )
    exit_code, said = stand_in(use)
    assert exit_code == 0, said
    assert "epoch 1: 1 of 2" in said
    assert json.loads(said[: said.index("]") + 1]) == [0, 1, 2]
