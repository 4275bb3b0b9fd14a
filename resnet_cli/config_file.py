"""A file of options, in TOML: the names are the options' own, and the command line wins."""

import tomllib
from pathlib import Path

from resnet_cli.command_words import option
from resnet_cli.errors import Failure


def words_of(path: Path) -> list[str]:
    """The file's entries as words of a command line: `epochs = 30` is --epochs 30.

    True is the option alone, false is its --no form, and a list is several values.

    Raises:
        Failure: there is no such file, it is no TOML, or an entry is a table or a date.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Failure(f"--config {path}: {error.strerror}") from None
    except ValueError as error:  # TOML's own errors, and bytes that are no UTF-8
        raise Failure(f"--config {path} is no TOML: {error}") from None
    words: list[str] = []
    for name, value in content.items():
        own = option(name)
        if isinstance(value, bool):
            words.append(own if value else "--no-" + own.removeprefix("--"))
            continue
        values = value if isinstance(value, list) else [value]
        if not all(isinstance(one, str | int | float) for one in values):
            raise Failure(f"--config {path}: {name} must be text, a number, true, false or a list")
        words += [f"{own}={values[0]}"] if len(values) == 1 else [own, *map(str, values)]
    return words
