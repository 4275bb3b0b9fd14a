"""Under each plot of a page stands its table, folded, and its CSV file lies beside the pages."""

import re
from html import unescape

import page_checks
import pytest
from building import NOTEBOOKS, ROOT
from figure_tables import as_csv, of_notebook
from notebooks import read

FOLD = re.compile(r'<details class="figure-numbers">.*?</details>', re.DOTALL)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_each_plot_has_its_table_and_its_file(html, name):
    page = html / f"{name}.html"
    folds = FOLD.findall(page.read_text(encoding="utf-8"))
    expected = list(of_notebook(read(ROOT / f"{name}.ipynb")))
    assert len(folds) == len(expected)
    for fold, (_, number, numbers) in zip(folds, expected, strict=True):
        assert f"<summary>{f'Figure {number}' if number else 'The figure'} as a table<" in fold
        assert fold.count("<table") == len(numbers.panels)
        (address,) = re.findall(r'<a href="([^"]+)" download>', fold)
        file = (page.parent / address).resolve()
        assert file.read_bytes().decode("utf-8") == as_csv(numbers)
        for panel in numbers.panels:
            for series in panel["series"] if len(panel["series"]) > 1 else ():
                assert series["name"] in unescape(fold)


def test_table_opens_by_key_and_stays_off_paper(html, open_page):
    page = open_page((html / "chapters" / "13_degradation.html").as_uri())
    fold = page.locator("details.figure-numbers").first
    assert not fold.locator("table").first.is_visible()
    fold.locator("summary").press("Enter")
    assert fold.locator("table").first.is_visible()
    caption = page.locator("p.numbered-caption", has_text="Figure 13.3")
    under = caption.evaluate("caption => caption.nextElementSibling.className")
    assert under == "figure-numbers"
    page.emulate_media(media="print")
    assert not fold.is_visible()


@pytest.mark.parametrize("width", [1280, 360])
def test_open_tables_fit_and_can_be_read(html, open_page, width):
    page = open_page((html / "chapters" / "13_degradation.html").as_uri(), width=width)
    page.evaluate("document.querySelectorAll('.figure-numbers').forEach(fold => fold.open = true)")
    faults = page_checks.width_faults(page)
    if width == 360:
        faults += page_checks.accessibility_faults(page)
        page_checks.turn_dark(page)
        faults += page_checks.accessibility_faults(page, only_colours=True)
    assert not faults, "\n".join(faults)
