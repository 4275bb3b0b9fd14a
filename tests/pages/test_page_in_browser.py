"""Each page in Chromium: from a folder and served, light and dark, wide and 360 px."""

import re

import page_checks
import pytest
from building import EXTRA, NOTEBOOKS, PAGES

ALL = [*PAGES, *EXTRA]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("name", ALL)
def test_page_from_a_folder(html, open_page, name, theme):
    page = open_page((html / f"{name}.html").as_uri(), theme)
    faults = page_checks.maths_faults(page) + page_checks.image_faults(page)
    faults += page_checks.heading_faults(page)
    faults += page_checks.accessibility_faults(page, only_colours=theme == "dark")
    page.set_viewport_size({"width": 360, "height": 740})
    faults += page_checks.width_faults(page) + page.watch.faults
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("name", ALL)
def test_page_served(served, open_page, name):
    page = open_page(f"{served}/{name}.html", width=360)
    faults = page_checks.width_faults(page) + page.watch.faults
    # Pictures further down are fetched when one gets there.
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    page.wait_for_load_state("networkidle")
    faults += [fault for fault in page.watch.faults if fault not in faults]
    assert not faults, "\n".join(faults)


def test_maths_is_typeset(html, open_page):
    page = open_page((html / "book" / "notation.html").as_uri())
    assert page.locator(".katex").count() > 0


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_page_says_when_its_outputs_were_made(html, open_page, name):
    page = open_page((html / f"{name}.html").as_uri())
    foot = page.locator(".bd-footer-content").inner_text()
    made = r"Outputs made on \d{4}-\d\d-\d\d with Python 3\.\d+\.\d+, torch \S+, torchvision \S+,"
    assert re.search(made, foot), f"{name} has no record of its execution; run `make execute`"


@pytest.mark.parametrize("place", ["folder", "served"])
def test_search_finds(html, served, open_page, place):
    root = html.as_uri() if place == "folder" else served
    page = open_page(f"{root}/search.html?q=residual")
    page.locator("#search-results li a").first.wait_for()
    assert not page.watch.faults


def test_search_opens_from_any_page(html, open_page):
    page = open_page((html / f"{PAGES[1]}.html").as_uri())
    page.get_by_role("button", name="Search", exact=False).first.click()
    page.locator("#pst-search-dialog input").fill("shortcut")
    page.keyboard.press("Enter")
    page.locator("#search-results li a").first.wait_for()


def test_theme_can_be_switched(html, open_page):
    page = open_page((html / f"{PAGES[1]}.html").as_uri(), theme="light")
    theme = "document.documentElement.dataset.theme"
    assert page.evaluate(theme) == "light"
    page.locator(".theme-switch-button").first.click()
    assert page.evaluate(theme) == "dark"


def test_photographs_are_no_negatives(html, open_page):
    page = open_page((html / "chapters/solutions/11_degradation.html").as_uri(), theme="dark")
    look = "pictures => pictures.map(picture => getComputedStyle(picture).filter)"
    assert page.locator(".tag_photographs .cell_output img").evaluate_all(look) == ["none"]
    others = page.locator(".cell:not(.tag_photographs) .cell_output img").evaluate_all(look)
    assert others
    assert all("invert(1)" in filter_ for filter_ in others)


def test_contents_open_on_a_narrow_screen(html, open_page):
    page = open_page((html / f"{PAGES[1]}.html").as_uri(), width=360)
    page.get_by_role("button", name="Chapters").click()
    dialog = page.locator("#pst-primary-sidebar-modal")
    dialog.wait_for(state="visible")
    assert dialog.get_by_role("link").count() >= len(PAGES)


def test_folder_opens_on_the_front_page(html, browser):
    page = browser.new_page()
    page.goto((html / "index.html").as_uri())
    page.wait_for_url(f"**/{PAGES[0]}.html")
    page.close()
