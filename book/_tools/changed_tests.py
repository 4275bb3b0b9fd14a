"""Name the tests of what changed: python book/_tools/changed_tests.py

Changed is what differs from the branch's beginning on main; on main itself, from the last commit,
or what the last commit changed where nothing is uncommitted. Tests that start many processes are
left out (`make test` runs them).
"""

import subprocess
import sys
from pathlib import Path

from notebooks import ROOT

FOLDERS = {
    "resnet_checks": "checks",
    "resnet_cli": "cli",
    "experiments": "experiments",
    "results": "experiments",
    "book/_tools": "book",
}
SLOW = ("_processes.py", "_kill.py", "_mutations.py", "_damage.py")


def guards(changed: str, root: Path = ROOT) -> set[Path]:
    """The test files of one changed file, by its folder and name."""
    path = Path(changed)
    if path.parts[0] == "tests":
        tests = [path] if path.name.startswith("test_") and path.suffix == ".py" else []
        return {root / one for one in tests if (root / one).exists()}
    if path.parts[0] == "resnet_lib":
        part = path.with_suffix("").parts[1]  # a module, or the folder of several
        found = set((root / "tests" / "library").glob(f"test_{part}*.py"))
        return found | {root / "tests" / "library" / "test_library_shape.py"}
    for folder, name in FOLDERS.items():
        if path.is_relative_to(folder):
            return set((root / "tests" / name).glob("test_*.py"))
    return set()


def changed_files(root: Path = ROOT) -> list[str]:
    """What changed in the repository, new files included."""

    def git(*words: str) -> list[str]:
        run = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True)
        return run.stdout.split("\n")[:-1] if run.returncode == 0 else []

    new = git("ls-files", "--others", "--exclude-standard")
    for main in ("origin/main", "main"):
        begin = git("merge-base", "HEAD", main)
        if begin and (changed := git("diff", "--name-only", begin[0]) + new):
            return changed
    return git("diff", "--name-only", "HEAD") + new or git("diff", "--name-only", "HEAD~1")


def main() -> int:
    found = set().union(*(guards(changed) for changed in changed_files()), set())
    for path in sorted(found):
        if not path.name.endswith(SLOW):
            print(path.relative_to(ROOT).as_posix())
    return 0


if __name__ == "__main__":
    sys.exit(main())
