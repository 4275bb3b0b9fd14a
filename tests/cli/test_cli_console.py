"""Output for any console, and commands that the reader's own shell understands."""

import contextlib
import io
import os
import shlex
import subprocess
import sys

import pytest
from notebooks import ROOT
from toy_cli import SMALL, pictures

from resnet_checks.report import Report
from resnet_cli import command_words
from resnet_cli.main import main
from resnet_cli.text import in_columns
from resnet_lib.console import printable

NARROW = ("cp1252", "cp437", "cp932", "ascii")


class Console(io.TextIOWrapper):
    """A console, or a file, of one encoding; it takes nothing else, as Python's own do."""

    def __init__(self, encoding):
        super().__init__(io.BytesIO(), encoding=encoding, errors="strict")

    def text(self):
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


def shown(encoding, *words):
    """Exit status and output of the command line on such a console."""
    out, err = Console(encoding), Console(encoding)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    return code, out.text(), err.text()


def test_what_the_encoding_lacks_is_written_in_other_characters():
    text = "✓ 3 × 8, née, → ☃, кот"
    assert printable(text, Console("utf-8")) == text
    assert printable(text, Console("ascii")) == r"ok 3 x 8, nee, -> \u2603, \u043a\u043e\u0442"
    assert printable(text, Console("cp1252")) == r"ok 3 × 8, née, -> \u2603, \u043a\u043e\u0442"
    assert printable(text, io.StringIO()) == text
    # Bytes of a file's name that are no UTF-8 come as these, which UTF-8 itself refuses.
    assert printable("\udcff.png", Console("utf-8")) == r"\udcff.png"


def test_columns_stay_in_line_on_any_console():
    with contextlib.redirect_stdout(Console("ascii")):
        assert in_columns([("☃", "1"), ("a", "10")], right={1}) == [r"\u2603   1", "a       10"]


@pytest.mark.parametrize("encoding", NARROW)
def test_no_encoding_ends_a_command(encoding, tmp_path):
    place = pictures(tmp_path / "pets", classes=("Katze ☃", "Löwe"))
    code, text, _ = shown(encoding, "summary", "--net", "resnet8")
    assert code == 0
    assert ("16 × 32 × 32" if encoding in ("cp1252", "cp932") else "16 x 32 x 32") in text
    words = ("train", "--net", "resnet8", "--data", place, "--size", "8", "--batch-size", "5")
    code, text, errors = shown(encoding, *words, "--epochs", "1", "--out", tmp_path / "run")
    assert (code, errors) == (0, "")
    assert r"Katze \u2603 6" in text
    code, text, errors = shown(encoding, "predict", "--run", tmp_path / "run", place)
    assert (code, errors) == (0, "")
    code, _, errors = shown(encoding, "evaluate", "--run", tmp_path / "☃")
    assert code == 1
    assert r"there is no run in" in errors
    assert r"\u2603" in errors
    code, _, errors = shown(encoding, *SMALL, "--out", tmp_path / "new", "--schedule", "☃")
    assert code == 2


@pytest.mark.parametrize("encoding", NARROW)
def test_no_encoding_ends_a_check(encoding):
    out = Console(encoding)
    with contextlib.redirect_stdout(out):
        print(Report("a block", ("3 × 3",), "the shortcut is missing", "look at ≤"))
    assert out.text().splitlines()[1].startswith("  ok 3 ")
    assert out.text().splitlines()[2] == "  no the shortcut is missing"


def test_a_process_whose_output_is_ascii():
    """As a program of its own, with Python's own streams."""
    settings = os.environ | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "resnet_lib", "summary", "--net", "resnet8"]
    out = subprocess.run(command, env=settings, cwd=ROOT, capture_output=True, text=True)
    assert (out.returncode, out.stderr) == (0, "")
    assert "Shapes are channels x height x width" in out.stdout


# Commands to type

ODD = ["a b", "a&b", "c:\\runs\\", "c:\\my runs\\", "50%", "(1)", 'say "x"', "plain-1.5/x=y", ""]


def test_words_are_quoted_for_a_posix_shell():
    line = command_words.quoted(["echo", *ODD], windows=False)
    assert shlex.split(line) == ["echo", *ODD]


def test_words_are_quoted_for_windows():
    found = command_words.quoted(["python", "-m", "x", *ODD], windows=True)
    assert found == (
        r'python -m x "a b" "a&b" c:\runs\ "c:\my runs\\" "50%" "(1)" "say \"x\"" plain-1.5/x=y ""'
    )
    assert "'" not in found, "cmd.exe knows no such quotes"
    # What Windows splits by its rules is what went in; list2cmdline is their inverse.
    assert subprocess.list2cmdline(["a b"]) == '"a b"'


def test_python_is_called_as_a_shell_finds_it(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert command_words.python() == sys.executable, "none on the path"
    own = tmp_path / "python3"
    own.symlink_to(sys.executable)
    monkeypatch.setattr(sys, "executable", str(own))
    assert command_words.python() == "python3"
    (tmp_path / "python").symlink_to(own)
    assert command_words.python() == "python"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "python").symlink_to(own)
    monkeypatch.setenv("PATH", os.pathsep.join([str(elsewhere), str(tmp_path)]))
    assert command_words.python() == "python3", "python is that of another environment"
    assert command_words.command(["train"]) == "python3 -m resnet_lib train"
