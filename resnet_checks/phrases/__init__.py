"""What the checks of blocks say: tables of sentences, one for each language."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from resnet_checks.phrases.english import ENGLISH
from resnet_checks.report import FaultFound

__all__ = ["fault", "joined", "phrase", "speaking"]

Table = Mapping[str, str | tuple[str, str]]

_table: ContextVar[Table] = ContextVar("phrases", default=ENGLISH)


@contextmanager
def speaking(table: Table) -> Iterator[None]:
    """Within the `with` body the checks speak by this table, and English where it has no entry.

    Args:
        table: sentences by the keys of `phrases.english.ENGLISH`; a sentence and its hint are a
            tuple. A `{name}` in a sentence is filled in.
    """
    token = _table.set(table)
    try:
        yield
    finally:
        _table.reset(token)


def phrase(key: str, **fields: object) -> str:
    """The sentence or the name of this key, filled in."""
    return _entry(key)[0].format(**fields)


def fault(
    key: str, kind_of: type[FaultFound] = FaultFound, hint: str | None = None, **fields: object
) -> FaultFound:
    """The fault of this key, with its own hint or, where it has none, the given one."""
    sentence, own_hint = _entry(key)
    return kind_of(sentence.format(**fields), own_hint.format(**fields) if own_hint else hint)


def joined(names: Iterable[str]) -> str:
    """Names in a row: a, b and c."""
    *first, last = names
    return phrase("and", first=", ".join(first), last=last) if first else last


def _entry(key: str) -> tuple[str, str | None]:
    entry = _table.get().get(key, ENGLISH[key])
    return (entry, None) if isinstance(entry, str) else entry
