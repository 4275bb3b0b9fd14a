"""Text for a console or a file of any encoding: what it lacks is written in other characters."""

import sys
import unicodedata
from typing import TextIO

__all__ = ["printable"]

FALLBACKS = {
    "✓": "ok", "✗": "no", "×": "x", "·": "*", "−": "-", "–": "-", "→": "->", "±": "+-",
    "≤": "<=", "≥": ">=", "…": "...", "²": "^2",
}  # fmt: skip


def printable(text: str, stream: TextIO | None = None) -> str:
    """The text, in characters that the stream's encoding has.

    Windows sends redirected output in an old encoding that knows no ✓ and often no ×, and Python
    then ends with a UnicodeEncodeError. Here they become ok and x, an é becomes an e, and what
    has no such likeness is written as its number, as \\u2603.

    Args:
        text: what is to be printed.
        stream: where; None: `sys.stdout`. One without an encoding takes everything.
    """
    encoding = getattr(sys.stdout if stream is None else stream, "encoding", None) or "utf-8"
    if _fits(text, encoding):
        return text
    return "".join(c if _fits(c, encoding) else _likeness(c, encoding) for c in text)


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def _likeness(character: str, encoding: str) -> str:
    if character in FALLBACKS:
        return FALLBACKS[character]
    plain = unicodedata.normalize("NFKD", character)
    plain = "".join(c for c in plain if not unicodedata.combining(c))
    if plain and _fits(plain, encoding):
        return plain
    return character.encode("ascii", "backslashreplace").decode()
