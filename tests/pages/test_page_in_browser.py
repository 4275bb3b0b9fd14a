"""Each page in Chromium: from a folder, light and dark, wide and 360 px."""

import re
from urllib.parse import quote

import page_checks
import pytest
from building import EXTRA, NOTEBOOKS, PAGES

ALL = [*PAGES, *EXTRA]


@pytest.mark.parametrize("name", ALL)
def test_page_from_a_folder(html, open_page, name):
    page = open_page((html / f"{name}.html").as_uri())
    faults = page_checks.maths_faults(page) + page_checks.image_faults(page)
    faults += page_checks.heading_faults(page) + page_checks.accessibility_faults(page)
    page_checks.turn_dark(page)
    faults += page_checks.accessibility_faults(page, only_colours=True)
    page.set_viewport_size({"width": 360, "height": 740})
    faults += page_checks.width_faults(page) + page.watch.faults
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_code_can_be_read(html, open_page, theme):
    """Every colour that a word of code has on any page, in every kind of box."""
    pages = [(html / f"{name}.html").read_text(encoding="utf-8") for name in ALL]
    code = [box for text in pages for box in re.findall(r"<pre>.*?</pre>", text, re.DOTALL)]
    classes = {name for box in code for name in re.findall(r'<span class="([^"]+)"', box)}
    classes.discard("w")  # white space has a colour, and nobody sees it
    assert len(classes) > 20
    page = open_page((html / "chapters/17_paths_and_lesions.html").as_uri(), theme)
    for box in (".cell_input", ".cell_output", ":not(.cell_input) > .highlight-python"):
        assert page.locator(f"{box} {page_checks.CODE}").count(), f"no {box} on the page"
    faults = page_checks.code_faults(page, classes)
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
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("1×1", "06 · Bottleneck depths"),
        ("1x1", "06 · Bottleneck depths"),
        ("bottlneck", "06 · Bottleneck depths"),
        ("make_shortcut", "make_shortcut"),
        ("warm up", "warm-up"),
    ],
)
def test_search_finds(html, served, open_page, place, query, found):
    root = html.as_uri() if place == "folder" else served
    page = open_page(f"{root}/search.html?q={quote(query)}")
    hits = page.locator("#search-results li")
    hits.first.wait_for()
    assert any(found in text for text in hits.all_inner_texts()[:3])
    address = hits.first.locator("a").get_attribute("href")
    assert "#" in address, "a hit leads to its section"
    assert not page.watch.faults


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_found_sections_can_be_read(html, open_page, theme):
    page = open_page(f"{(html / 'search.html').as_uri()}?q=residual", theme)
    page.locator("#search-results li").first.wait_for()
    assert page.locator("#search-results .katex").count() == 0
    faults = page_checks.accessibility_faults(page, only_colours=theme == "dark")
    page.set_viewport_size({"width": 360, "height": 740})
    assert faults + page_checks.width_faults(page) == []


def test_search_says_that_nothing_is_found(html, open_page):
    page = open_page(f"{(html / 'search.html').as_uri()}?q=zzzzzz")
    assert "Nothing found" in page.locator("#search-results").inner_text()


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
    page = open_page((html / "chapters/14_your_own_pictures.html").as_uri(), theme="dark")
    look = "pictures => pictures.map(picture => getComputedStyle(picture).filter)"
    photographs = page.locator(".tag_photographs .cell_output img").evaluate_all(look)
    assert photographs
    assert set(photographs) == {"none"}
    others = page.locator(".cell:not(.tag_photographs) .cell_output img").evaluate_all(look)
    assert others
    assert all("invert(1)" in filter_ for filter_ in others)


def test_contents_open_on_a_narrow_screen(html, open_page):
    page = open_page((html / f"{PAGES[1]}.html").as_uri(), width=360)
    page.get_by_role("button", name="Chapters").click()
    dialog = page.locator("#pst-primary-sidebar-modal")
    dialog.wait_for(state="visible")
    unfolded = [page for page in PAGES if not re.search(r"/(solutions|api)/", page)]
    assert dialog.get_by_role("link").count() >= len(unfolded)


def test_from_a_chapter_one_goes_on_to_the_next(html, open_page):
    page = open_page((html / "chapters" / "02_residual_formula.html").as_uri())
    names = page.locator(".prev-next-title").all_inner_texts()
    assert [name[:2] for name in names] == ["01", "03"]
    page = open_page((html / "chapters" / "solutions" / "02_residual_formula.html").as_uri())
    assert [name[:2] for name in page.locator(".prev-next-title").all_inner_texts()] == ["02", "03"]


def test_solutions_are_folded_under_their_chapter(html, open_page):
    page = open_page((html / "chapters" / "03_basic_block.html").as_uri())
    sidebar = page.locator("#pst-primary-sidebar")
    assert sidebar.get_by_role("link", name="Solutions 03", exact=False).is_visible()
    assert not sidebar.get_by_role("link", name="Solutions 02", exact=False).is_visible()


def test_small_figure_can_be_seen_at_full_size(html, open_page):
    page = open_page((html / "chapters" / "01_why_depth_fails.html").as_uri(), width=360)
    button = page.get_by_role("button", name="Full size").first
    image = page.locator(".figure-box img").first
    before = image.bounding_box()["width"]
    button.click()
    assert image.bounding_box()["width"] > 1.5 * before
    assert page_checks.width_faults(page) == []
    page.get_by_role("button", name="Fit to the page").first.click()
    assert image.bounding_box()["width"] == before
    page.set_viewport_size({"width": 1280, "height": 740})
    page.wait_for_function("!document.querySelector('button.full-size').checkVisibility()")


@pytest.mark.parametrize("width", [1280, 360])
def test_report_of_a_check_is_not_cut_off(html, open_page, width):
    page = open_page((html / "chapters" / "02_residual_formula.html").as_uri(), width=width)
    report = page.locator(".output.text_plain pre", has_text="fault found")
    assert report.count() == 1
    assert report.evaluate("pre => pre.scrollWidth <= pre.clientWidth")


def test_answer_unfolds_by_key_and_on_paper_all_replies_stand(html, open_page):
    page = open_page((html / "chapters" / "02_residual_formula.html").as_uri())
    answers = page.locator("#quick-questions details")
    reply = answers.first.locator("p")
    assert not reply.is_visible()
    answers.first.locator("summary").press("Enter")
    assert reply.is_visible()
    assert not answers.last.locator("p").is_visible()
    page.emulate_media(media="print")
    assert all(one.is_visible() for one in answers.locator("p").all())


def test_cheat_sheet_is_one_printed_page(html, open_page):
    page = open_page((html / "book" / "cheat-sheet.html").as_uri())
    for paper in ("A4", "Letter"):
        assert page.pdf(format=paper).count(b"/Type /Page\n") == 1


def test_captions_stand_under_their_pictures(html, open_page):
    page = open_page((html / "chapters" / "01_why_depth_fails.html").as_uri())
    captions = page.locator("p.numbered-caption").all_inner_texts()
    numbers = [caption.split(" ")[1] for caption in captions]
    assert len(numbers) > 3
    assert numbers == [f"1.{count}." for count in range(1, len(numbers) + 1)]


def test_keyboard_focus_is_visible(html, open_page):
    page = open_page((html / "chapters" / "01_why_depth_fails.html").as_uri(), width=360)
    for name in ("Chapters", "Notebook"):
        target = page.locator(".bd-header-article").get_by_text(name).or_(
            page.locator(f".bd-header-article [aria-label={name}]")
        ).first  # fmt: skip
        page.keyboard.press("Tab")
        target.focus()
        outline = target.evaluate("e => getComputedStyle(e).outlineStyle")
        assert outline == "solid", name


def test_folder_opens_on_the_front_page(html, browser):
    page = browser.new_page()
    page.goto((html / "index.html").as_uri())
    page.wait_for_url(f"**/{PAGES[0]}.html")
    page.close()
