"""What the command line says of itself, and what it refuses before it does anything."""

import importlib.util
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from notebooks import ROOT
from toy_cli import SMALL, carried_out, done, pictures

from resnet_cli.config_options import GROUPS
from resnet_cli.options import make_parser
from resnet_lib import __version__
from resnet_lib.train import TrainConfig
from resnet_lib.train.config import LIMITS

WORDS = {"True": "on", "False": "off", "None": "none", "(0.5, 0.75)": "0.5 0.75"}
# What has no default: what must be given, and what is done only when it is asked for.
WITHOUT_DEFAULT = (
    *("--net", "--data DATA ", "--out", "--resume", "--run", "--weights FILE        without"),
    *("--leave-out", "--per-class", "--confusion", "--json", "--csv"),
)
COMMANDS = ("train", "evaluate", "predict", "publish", "serve", "summary")


def shown(*words):
    """Help in one line, so that a line's end does not hide a word."""
    return " ".join(done(*words).split())


# Help


def test_without_a_command_the_help_is_shown():
    assert done() == done("--help")
    assert all(f"\n    {name}" in done() for name in COMMANDS)


@pytest.mark.parametrize("words", [(), *((name,) for name in COMMANDS)])
def test_help_has_examples_and_every_exit_status(words):
    text = done(*words, "--help")
    assert f"\nexamples:\n  python -m resnet_lib {words[0] if words else 'train'} " in text
    for status in (0, 1, 2, 130, 143):
        assert re.search(rf"^  {status}\s+\w", text, re.MULTILINE)


@pytest.mark.parametrize("field", fields(TrainConfig), ids=lambda field: field.name)
def test_help_of_train_tells_all_of_every_field(field):
    text = shown("train", "--help")
    option = "--" + field.name.replace("_", "-")
    start = re.search(rf"{option}(?: [A-Z{{]|, --no)", text).start()
    entry = text[start : text.index("default", start) + 40]
    assert field.metadata["help"].split(";")[0] in entry
    assert f"default {WORDS.get(repr(field.default), field.default)}" in entry
    assert all(choice in entry for choice in field.metadata.get("choices", ()))
    for name, (_, word) in LIMITS.items():
        if name in field.metadata:
            assert f"{word} {field.metadata[name]}" in entry


def test_every_group_of_fields_names_fields():
    known = {field.name for field in fields(TrainConfig)}
    assert {name for group in GROUPS.values() for name in group} == known


@pytest.mark.parametrize(("command", "count"), [("train", 44), ("evaluate", 18), ("predict", 12)])
def test_every_option_has_a_help_with_its_default(command, count):
    text = done(command, "--help").split("\nexamples:")[0]
    entries = re.split(r"\n  (?=--)", text)[1:]
    assert len(entries) >= count
    for entry in entries:
        assert len(entry.split()) > 4, f"no help: {entry}"
        assert entry.startswith(WITHOUT_DEFAULT) or "default" in entry, f"no default: {entry}"


# Examples


def examples():
    """The commands of the help and of the API page, as lists of words."""
    page = (ROOT / "book" / "api" / "command-line.md").read_text(encoding="utf-8")
    found = [block.strip() for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)]
    for command in ((), *((name,) for name in COMMANDS)):
        text = done(*command, "--help").replace("\\\n", "")
        found += re.findall(r"^  ((?:python|torchrun) (?!.*--help).*)$", text, re.MULTILINE)
    return [shlex.split(line) for line in dict.fromkeys(found)]


def test_every_example_is_understood():
    parser, _ = make_parser()
    found = examples()
    assert len(found) == 23
    for words in found:
        start = words.index("resnet_lib")
        assert words[:start] in (["python", "-m"], ["torchrun", "--nproc-per-node=2", "-m"])
        parser.parse_args(words[start + 1 :])


def test_the_examples_run(tmp_path, monkeypatch):
    """Those that need neither CIFAR-10 nor a second process, in the order of the page."""
    monkeypatch.chdir(tmp_path)
    for name in ("pets", "more_pets", "new_pictures"):
        pictures(tmp_path / name)
    shutil.copy(tmp_path / "pets" / "bright" / "0.png", tmp_path / "cat.jpg")
    page = (ROOT / "book" / "api" / "command-line.md").read_text(encoding="utf-8")
    (settings,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "pets.toml").write_text(settings, encoding="utf-8")
    ran = []
    for words in examples():
        if "serve" in words:
            continue  # until Ctrl-C; test_cli_serving.py
        if "runs/longer" in words:
            shutil.copytree("runs/pets", "runs/longer")
        if words[0] == "python" and not {"cifar10", "runs/r20"} & set(words):
            done(*words[3:])
            ran.append(words[3])
    assert len(ran) >= 10
    assert sorted({*ran, "serve"}) == sorted(COMMANDS)
    assert (tmp_path / "runs" / "digits" / "model.safetensors").is_file()


def test_version():
    assert done("--version") == f"resnet_lib {__version__}\n"


def test_help_and_refusals_do_not_wait_for_pytorch():
    script = (
        "import sys; from resnet_cli.main import main; "
        "codes = [main([]), main(['train', '--help']), main(['train', '--epochs', '0', '--net', "
        "'resnet8', '--data', 'digits', '--out', 'nowhere'])]; "
        "print(codes, 'torch' in sys.modules, 'numpy' in sys.modules)"
    )
    command = [sys.executable, "-c", script]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    assert ended.stdout.splitlines()[-1] == "[0, 0, 2] False False"


# Refusals that need no data

OUT = ("--out", "{new}")
REFUSED = {
    "unknown command": (("fly",), "invalid choice: 'fly'"),
    "nothing": (("train",), "are required: --net, --data, --out (or --resume)"),
    "no folder": (SMALL, "are required: --out (or --resume)"),
    "unknown option": ((*SMALL, *OUT, "--epoch", "3"), "unrecognized arguments: --epoch 3"),
    "no such depth": (("train", "--net", "resnet19"), "argument --net: must be resnet18, 34"),
    "other network": (("train", "--net", "vgg16"), "got 'vgg16'"),
    "no value": ((*SMALL, *OUT, "--epochs"), "argument --epochs: expected one argument"),
    "no epochs": (
        (*SMALL, *OUT, "--epochs", "0"),
        "argument --epochs: must be finite and at least 1, got 0",
    ),
    "half an epoch": ((*SMALL, "--epochs", "0.5"), "must be a whole number, got '0.5'"),
    "a word": ((*SMALL, "--learning-rate", "big"), "must be a number, got 'big'"),
    "negative": (
        (*SMALL, *OUT, "--learning-rate", "-1"),
        "argument --learning-rate: must be finite and above 0, got -1.0",
    ),
    "not a number": (
        (*SMALL, *OUT, "--learning-rate", "nan"),
        "argument --learning-rate: must be finite and above 0, got nan",
    ),
    "infinite": ((*SMALL, *OUT, "--clip-norm", "inf"), "argument --clip-norm: must be finite"),
    "momentum 1": ((*SMALL, *OUT, "--momentum", "1"), "--momentum: must be finite and at least 0"),
    "unknown optimiser": ((*SMALL, "--optimizer", "lamb"), "--optimizer: invalid choice: 'lamb'"),
    "unknown precision": ((*SMALL, "--precision", "int8"), "--precision: invalid choice: 'int8'"),
    "falling milestones": (
        (*SMALL, *OUT, "--milestones", "0.75", "0.5"),
        "argument --milestones: must rise, got (0.75, 0.5)",
    ),
    "nesterov with Adam": (
        (*SMALL, *OUT, "--optimizer", "adam", "--nesterov"),
        "argument --nesterov: needs optimizer='sgd'",
    ),
    "two warm-ups": (
        (*SMALL, *OUT, "--schedule", "onecycle", "--warmup-epochs", "1"),
        "argument --warmup-epochs: must be 0 with schedule='onecycle'",
    ),
    "long warm-up": (
        (*SMALL, *OUT, "--warmup-epochs", "11"),
        "argument --warmup-epochs: must be at most epochs, got 11.0 and 10",
    ),
    "seed": ((*SMALL, *OUT, "--seed", "-1"), "argument --seed: must be finite and at least 0"),
    "empty batch": ((*SMALL, *OUT, "--batch-size", "0"), "--batch-size: must be at least 1, got 0"),
    "no thread": (
        (*SMALL, *OUT, "--threads", "0"),
        "argument --threads: must be at least 1, got 0",
    ),
    "save never": (
        (*SMALL, *OUT, "--save-every", "0"),
        "argument --save-every: must be at least 1",
    ),
    "all held out": (
        (*SMALL, *OUT, "--validation", "1"),
        "argument --validation: must be at least 0 and below 1, got 1.0",
    ),
    "all dropped": (
        (*SMALL, *OUT, "--dropout", "1"),
        "argument --dropout: must be at least 0 and below 1, got 1.0",
    ),
    "patience without validation": (
        (*SMALL, *OUT, "--patience", "3"),
        "argument --patience: needs --validation above 0",
    ),
    "leave out without weights": (
        (*SMALL, *OUT, "--leave-out", "fc"),
        "argument --leave-out: needs --weights",
    ),
    "root of digits": ((*SMALL, *OUT, "--data-root", "."), "argument --data-root: is for --data c"),
    "unreadable digits": (
        (*SMALL, *OUT, "--skip-unreadable"),
        "argument --skip-unreadable: is for folders",
    ),
    "size of CIFAR-10": (
        ("train", "--net", "resnet20", "--data", "cifar10", *OUT, "--size", "64"),
        "argument --size: the images of cifar10 have 32 pixels",
    ),
    "three numbers": (
        (*SMALL, "--color-jitter", "1", "1", "1"),
        "argument --color-jitter: expected 4 arguments",
    ),
    "unknown device": ((*SMALL, "--device", "gpu"), "argument --device: invalid choice: 'gpu'"),
    "resume with unknown": (
        ("train", "--resume", "{new}", "--epochs", "3", "--lr", "1"),
        "unrecognized arguments: --lr 1",
    ),
    "resume with others": (
        ("train", "--resume", "{new}", "--epochs", "3", "--nesterov", "--batch-size", "3"),
        "run.json: leave out --nesterov, --batch-size",
    ),
    "resume without threads": (
        ("train", "--resume", "{new}", "--threads", "0"),
        "argument --threads: must be at least 1, got 0",
    ),
    "evaluate nothing": (("evaluate",), "without --run, these are required: --weights, --data"),
    "evaluate two": (
        ("evaluate", "--run", "{new}", "--net", "resnet8"),
        "argument --run: brings its own network: leave out --net",
    ),
    "half a normalisation": (
        ("evaluate", "--run", "{new}", "--mean", "0.5"),
        "argument --mean: --mean and --std go together",
    ),
    "words for numbers": (
        ("evaluate", "--run", "{new}", "--mean", "imagenet", "1", "--std", "1"),
        "argument --mean: is the word imagenet, or numbers",
    ),
    "predict nothing": (("predict", "--run", "{new}"), "name a picture, or a folder of pictures"),
    "predict by nothing": (("predict", "."), "without --run, these are required: --weights"),
    "predict two ways": (
        ("predict", "--run", "{new}", "--json", "--csv", "."),
        "argument --csv: not together with --json",
    ),
    "no class": (("predict", "--run", "{new}", "--top", "0", "."), "--top: must be at least 1"),
    "cache of digits": ((*SMALL, *OUT, "--cache", "c"), "argument --cache: is for folders"),
    "best without validation": (
        (*SMALL, *OUT, "--keep-best"),
        "argument --keep-best: needs --validation above 0",
    ),
    "publish nothing": (
        ("publish", "--run", "{new}"),
        "these are required: REPOSITORY, --name",
    ),
    "no port": (
        ("serve", "{new}", "--port", "70000"),
        "argument --port: must be from 1 to 65535, got 70000",
    ),
    "summary of nothing": (("summary",), "without --run, these are required: --net"),
    "flat image": (
        ("summary", "--net", "resnet8", "--input", "1", "0", "8"),
        "argument --input: must be three numbers from 1 up, got (1, 0, 8)",
    ),
    "no classes": (
        ("summary", "--net", "resnet8", "--num-classes", "0"),
        "argument --num-classes: must be at least 1, got 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_allowed_is_refused_with_status_2(name, tmp_path):
    words, message = REFUSED[name]
    ended = carried_out(*(word.format(new=tmp_path / "new") for word in words))
    assert (ended.code, ended.out) == (2, "")
    last = ended.err.splitlines()[-1]
    assert last.startswith("python -m resnet_lib")
    assert "error: " in last
    assert message in last
    assert not list(tmp_path.iterdir()), "nothing is written"


def test_a_refusal_comes_from_one_of_several_processes(monkeypatch):
    monkeypatch.setenv("RANK", "1")
    assert carried_out(*SMALL) == (2, "", "")


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_these_are_for_one_process(command, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    ended = carried_out(command, "--run", ".")
    assert ended.code == 2
    assert f"{command} runs in one process: start it without torchrun" in ended.err


# Failures that need no data

FAILED = {
    "no such data": (
        ("train", "--net", "resnet8", "--data", "cifar", *OUT),
        "--data must be digits, cifar10 or a folder, and there is no folder cifar",
    ),
    "no such weights": ((*SMALL, *OUT, "--weights", "{new}"), "--weights names no file: {new}"),
    "no weights of that name": (
        (*SMALL, *OUT, "--weights", "cifar10"),
        "--weights names no file, and none that comes along: weights of resnet8 must be digits",
    ),
    "no such picture": (
        ("predict", "--run", "{new}", "{new}/cat.jpg"),
        "there is no picture and no folder {new}/cat.jpg",
    ),
    "no such repository": (("serve", "{new}"), "there is no folder {new}"),
    "no such config": (("train", "--config", "{new}"), "--config {new}: No such file"),
    "out is a file": ((*SMALL, "--out", "{file}"), "--out must be a folder, and {file} is a file"),
    "out under a file": ((*SMALL, "--out", "{file}/run"), "Not a directory: {file}/run"),
    "no run to resume": (
        ("train", "--resume", "{new}"),
        "there is no run in {new}: {new}/run.json",
    ),
    "no run to evaluate": (("evaluate", "--run", "{new}"), "there is no run in {new}"),
}


@pytest.mark.parametrize("name", FAILED)
def test_what_cannot_be_done_fails_with_status_1_and_one_line(name, tmp_path):
    words, message = FAILED[name]
    places = {"new": tmp_path / "new", "file": tmp_path / "file"}
    places["file"].touch()
    ended = carried_out(*(word.format(**places) for word in words))
    assert ended.code == 1
    (line,) = ended.err.splitlines()
    assert line.startswith(f"python -m resnet_lib {words[0]}: error: ")
    assert message.format(**places) in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is written"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.skipif(torch.backends.mps.is_available(), reason="there is a GPU")
@pytest.mark.parametrize(
    "option", [("--device", "cuda"), ("--device", "mps"), ("--sync-batch-norm",)]
)
def test_options_for_gpus_are_refused_where_there_is_none(option, tmp_path):
    ended = carried_out(*SMALL, "--out", tmp_path / "new", *option)
    assert ended.code == 2
    assert f"error: argument {option[0]}: " in ended.err
    assert len(ended.err.splitlines()[-1]) < 120, "none of PyTorch's own lists"
    assert not list(tmp_path.iterdir())


def test_tensorboard_must_be_installed(tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda n, *a: None if n == "tensorboard" else there(n, *a)
    )
    ended = carried_out(*SMALL, "--out", tmp_path / "new", "--tensorboard")
    assert ended.code == 1
    assert "--tensorboard needs its package: python -m pip install tensorboard" in ended.err
    assert not list(tmp_path.iterdir())


def test_a_folder_of_pictures_needs_no_other_word(tmp_path):
    """A relative path, ~ and a folder called like nothing else are all data."""
    ended = carried_out(
        *("train", "--net", "resnet8", "--data", pictures(tmp_path / "pets")),
        *("--size", "7", "--out", tmp_path / "new"),
    )
    assert ended.code == 2
    assert "argument --size: must be a whole number of at least 8, got 7" in ended.err
