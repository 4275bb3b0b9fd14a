"""The figures as files: all that have a caption, as the notebooks hold them."""

import base64
import csv
import re

import figure_tables
import figures
import pytest
import toy_book
from notebooks import read


def listed(folder):
    with (folder / "figures.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_captioned_figure_of_the_book_is_written(tmp_path):
    paths = figures.chapters(None)
    captions = re.findall(
        r'"\*\*Figure (\S+)\.\*\* ', "".join(path.read_text(encoding="utf-8") for path in paths)
    )
    assert figures.write(paths, tmp_path) == len(captions) > 100
    rows = listed(tmp_path)
    assert [row["figure"] for row in rows] == captions
    files = {row["file"] for row in rows} | {row["numbers"] for row in rows} - {""}
    assert files | {"figures.csv"} == {file.name for file in tmp_path.iterdir()}
    for row in rows:
        start = {"png": b"\x89PNG", "svg": b"<svg"}[row["file"][-3:]]
        assert (tmp_path / row["file"]).read_bytes().startswith(start)


def test_file_is_the_output_and_its_row_says_what_it_shows(tmp_path):
    chapter = toy_book.write_book(tmp_path)
    (figure,) = figures.figures(read(chapter))
    assert figure.content == base64.b64decode(toy_book.PIXEL)
    assert (figure.number, figure.file) == ("1.1", "figure-01-1.png")
    assert (figure.caption, figure.alt) == ("The double of a number.", toy_book.ALT)
    assert figure.data == "figure-01-1.csv"
    assert figure_tables.as_csv(figure.numbers) == "number,its double\r\n1,2\r\n2,4\r\n"


def test_one_chapter_can_be_asked_for(tmp_path, capsys):
    assert figures.main([str(tmp_path), "--only", "07"]) == 0
    assert {row["figure"].split(".")[0] for row in listed(tmp_path)} == {"7"}
    assert str(tmp_path) in capsys.readouterr().out


def test_chapter_that_is_not_there_is_named(tmp_path, capsys):
    with pytest.raises(SystemExit):
        figures.main([str(tmp_path / "new"), "--only", "77"])
    assert "there is no chapter '77'" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
