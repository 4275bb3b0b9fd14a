"""What `make check` runs: the tests of what changed, found by folder and name."""

import subprocess

import pytest
from changed_tests import changed_files, guards
from notebooks import ROOT


def names(changed):
    return {path.relative_to(ROOT / "tests").as_posix() for path in guards(changed)}


@pytest.mark.parametrize(
    ("changed", "some"),
    [
        ("resnet_lib/blocks.py", "library/test_blocks.py"),
        ("resnet_lib/data/folder.py", "library/test_data_folder.py"),
        ("resnet_lib/train/loop.py", "library/test_train_fit.py"),
        ("resnet_checks/loops/probe.py", "checks/test_training_step.py"),
        ("resnet_cli/main.py", "cli/test_cli_options.py"),
        ("experiments/record.py", "experiments/test_records.py"),
        ("book/_tools/notebooks.py", "book/test_notebooks.py"),
        ("tests/library/test_nets.py", "library/test_nets.py"),
    ],
)
def test_a_changed_file_has_its_tests(changed, some):
    assert some in names(changed)


@pytest.mark.parametrize(
    "changed", ["README.md", "tests/helpers/toy_cli.py", "tests/gone/test_x.py"]
)
def test_a_file_without_tests_has_none(changed):
    assert not names(changed)


def test_a_module_has_not_the_guards_another():
    assert not any("train" in name for name in names("resnet_lib/data/folder.py"))


@pytest.fixture
def repository(tmp_path):
    def git(*words):
        identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    git("init", "-b", "main")
    for name in ("a", "b"):
        (tmp_path / name).touch()
        git("add", name)
        git("commit", "-m", name)
    return tmp_path, git


def test_on_main_the_last_commit_counts_where_nothing_is_uncommitted(repository):
    folder, _ = repository
    assert changed_files(folder) == ["b"]
    (folder / "new").touch()
    assert changed_files(folder) == ["new"]


def test_on_a_branch_all_its_commits_count(repository):
    folder, git = repository
    git("checkout", "-b", "branch")
    for name in ("c", "d"):
        (folder / name).touch()
        git("add", name)
        git("commit", "-m", name)
    assert changed_files(folder) == ["c", "d"]
