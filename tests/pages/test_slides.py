"""Slides in Chromium: a toy chapter's, and those of a real one."""

import page_checks
import pytest
import slides
import toy_book
from building import ROOT
from notebooks import write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("slides")
    chapter = toy_book.write_book(place)
    links = "[The idea](#the-idea), [a paper](https://arxiv.org/abs/1512.03385). Nothing added"
    write(toy_book.replaced(chapter, "Nothing added", links), chapter)
    real = ROOT / "chapters" / "07_gradient_flow.ipynb"
    slides.write([chapter, real], place / "slides")
    return place / "slides"


@pytest.fixture
def toy(folder, open_page):
    page = open_page((folder / "01_toy.html").as_uri())
    yield page
    assert not page.watch.faults


def showing(page):
    """The number of the slide that fills the window."""
    return page.evaluate("Math.round(scrollY / innerHeight)")


def test_toy_has_its_slides_in_order(toy):
    starts = [text.split("\n")[0] for text in toy.locator("section").all_inner_texts()]
    wanted = ["01 · Doubling", "Predict first", "1.1 · The double of a number.", "Summary"]
    assert starts == [*wanted, "Question 1", "Question 2", "Question 3"]
    assert "Needs" not in toy.locator("section").first.inner_text()
    assert toy.locator("img").get_attribute("alt") == toy_book.ALT


def test_formulas_are_typeset_and_answers_too(toy):
    assert not page_checks.maths_faults(toy)
    assert toy.locator("section:nth-of-type(2) .katex").count() == 1


def test_keys_turn_the_slides_and_stop_at_the_ends(toy):
    for key, at in (("ArrowLeft", 0), ("ArrowRight", 1), ("PageDown", 2), ("ArrowUp", 1)):
        toy.keyboard.press(key)
        toy.wait_for_function(f"Math.abs(scrollY / innerHeight - {at}) < 0.01")
    for _ in range(9):
        toy.keyboard.press("ArrowDown")
    assert showing(toy) == 6


def test_answer_unfolds_by_key_and_stays_on_its_slide(toy):
    first = toy.locator("summary").first
    first.scroll_into_view_if_needed()
    reply = toy.get_by_text("That is what twice means.")
    assert not reply.is_visible()
    first.press("Enter")
    assert reply.is_visible()
    assert showing(toy) == 4


def test_links_into_the_book_are_words_and_others_stay(toy):
    addresses = toy.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    assert addresses == ["https://arxiv.org/abs/1512.03385"]
    assert toy.get_by_text("The idea, a paper.").count() == 1


def test_chapter_s_slides_hold_all_that_is_on_them(folder, open_page):
    page = open_page((folder / "07_gradient_flow.html").as_uri())
    assert not page_checks.maths_faults(page) + page_checks.image_faults(page)
    boxes = "all => all.filter(one => one.scrollHeight > one.clientHeight + 1).length"
    assert page.locator("section").evaluate_all(boxes) == 0
    assert not page.watch.faults


def test_printed_each_slide_has_a_sheet(toy):
    toy.emulate_media(media="print")
    assert toy.pdf(prefer_css_page_size=True).count(b"/Type /Page\n") == 7
