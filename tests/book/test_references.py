"""references.md shows what references.bib holds: same entries, same order, same data."""

import codecs
import re
from pathlib import Path

import latexcodec  # noqa: F401  (registers the codec "ulatex")
from pybtex.database import parse_file

BOOK = Path(__file__).resolve().parents[2] / "book"


def plain(text: str) -> str:
    return re.sub("[{}]", "", codecs.decode(text, "ulatex"))


def test_page_and_bibliography_agree():
    page = (BOOK / "references.md").read_text(encoding="utf-8")
    sections = re.split(r"^### ", page, flags=re.MULTILINE)[1:]
    entries = parse_file(BOOK / "references.bib").entries
    assert len(sections) == len(entries)
    for section, (key, entry) in zip(sections, entries.items(), strict=True):
        heading, fields = section.splitlines()[0], entry.fields
        for person in entry.persons["author"]:
            assert plain(person.last_names[-1]) in section, f"{key}: author {person} is missing"
        assert plain(fields["title"]) in section, f"{key}: the title differs"
        assert re.search(r"\d{4}", key)[0] in heading, f"{key}: the year differs"
        for name in ("doi", "eprint", "url", "pages"):
            if name in fields:
                value = fields[name].replace("--", "–")
                assert value in section, f"{key}: {name} is missing"
