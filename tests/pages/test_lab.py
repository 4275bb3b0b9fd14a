"""The lab's page in Chromium: by pen, finger and keys, in both themes, narrow, and at fault."""

import io
import re
import statistics

import page_checks
import pytest
from building import LAB
from PIL import Image

from resnet_lib import data

SPENT = 'performance.getEntriesByName("from input to answer").map((entry) => entry.duration)'


# Whoever draws, shows and switches.


def sentence(page):
    return page.locator("#lab-sentence").inner_text()


def stroke(page, points):
    page.locator("#lab-pad").scroll_into_view_if_needed()
    box = page.locator("#lab-pad").bounding_box()
    at = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()


ZERO = [(0.5, 0.04), (0.3, 0.2), (0.26, 0.5), (0.3, 0.8), (0.5, 0.96), (0.7, 0.8), (0.74, 0.5)]
ZERO += [(0.7, 0.2), (0.5, 0.04)]


def test_a_digit_drawn_by_mouse_is_seen_while_it_is_drawn(lab):
    page = lab()
    stroke(page, ZERO)
    page.get_by_text("It sees a 0").first.wait_for()
    spent = page.evaluate(SPENT)
    print(f"from stroke to answer: median {statistics.median(spent):.1f} ms of {len(spent)}")
    assert len(spent) > 20, "each movement of the pen is answered"
    assert statistics.median(spent) < 1000
    page.locator("#lab-erase").check()
    stroke(page, [(0.02, y / 20) for y in range(21)])
    page.locator("#lab-clear").click()
    page.get_by_text("Nothing is there").first.wait_for()
    page.locator("#lab-erase").uncheck()
    assert not page.watch.faults


def test_by_keys_alone(lab):
    page = lab(width=360)
    assert page.evaluate("document.activeElement.id") == "lab-pad"
    page.keyboard.press("Delete")
    page.get_by_text("Nothing is there").first.wait_for()
    for key, times in (("ArrowUp", 15), ("Shift+ArrowDown", 30)):
        for _ in range(times):
            page.keyboard.press(key)
    page.get_by_text("It sees a 1").first.wait_for()
    page.wait_for_function("document.getElementById('lab-told').textContent.includes('sees a 1')")
    before = page.evaluate("pad => document.getElementById('lab-pad').toDataURL()")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("Space")
    assert page.evaluate("pad => document.getElementById('lab-pad').toDataURL()") != before
    for name in ("Clear", "rub out", *map(str, range(10)), "Everything on", "Everything off"):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "document.activeElement.closest('label')?.innerText ?? document.activeElement.innerText"
        )
        assert focused.strip() == name
    look = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert look == "solid"
    page.keyboard.press("Enter")  # everything off
    page.wait_for_function("document.querySelectorAll('#lab .is-off').length === 6")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")  # the first branch on again
    page.wait_for_function("document.querySelectorAll('#lab .is-off').length === 5")
    assert page.locator("#lab-branches-0").is_checked()


def test_by_touch_at_360_pixels(served, browser):
    context = browser.new_context(has_touch=True, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.watch = page_checks.Watch(page, served)
    page.goto(f"{served}/{LAB}")
    page.locator("#lab-load").tap()
    page.get_by_text("It sees a 3").first.wait_for()
    page.locator("#lab-clear").tap()
    page.locator("#lab-pad").scroll_into_view_if_needed()
    box = page.locator("#lab-pad").bounding_box()
    scrolled = page.evaluate("scrollY")
    finger = context.new_cdp_session(page)

    def touch(kind, *points):
        at = [
            {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in points
        ]
        finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    touch("touchStart", ZERO[0])
    for point in ZERO[1:]:
        touch("touchMove", point)
    # Lifted only when it rests: after a finger in full swing, browsers swallow the next tap.
    page.wait_for_function("document.getElementById('lab-told').textContent.includes('sees a 0')")
    touch("touchMove", ZERO[-1])
    touch("touchEnd")
    assert page.evaluate("scrollY") == scrolled, "a stroke does not scroll the page"
    page.locator("#lab-skips-2").tap()
    page.wait_for_function("document.querySelectorAll('#lab .is-off').length === 1")
    faults = page_checks.width_faults(page) + page.watch.faults
    context.close()
    assert not faults


def test_a_first_stroke_wipes_an_example(lab):
    page = lab()
    ink = "Array.from(document.getElementById('lab-counts').children).map(c => +c.textContent)"
    page.get_by_role("button", name="0", exact=True).click()
    example = sum(page.evaluate(ink))
    stroke(page, [(0.1, 0.1), (0.12, 0.1)])
    assert 0 < sum(page.evaluate(ink)) < example / 4
    stroke(page, [(0.8, 0.8), (0.82, 0.8)])
    assert page.evaluate(ink)[9] > 0, "a second stroke does not"


def test_example_digits_are_the_test_digits(lab):
    page = lab()
    found = data.digits()
    own = (found.test_images[found.test_labels == 7].double() * 16 / 255).round().int()
    cells = page.locator("#lab-counts span")
    for counts in own[:2]:
        page.get_by_role("button", name="7", exact=True).click()
        shown = [int(text or 0) for text in cells.all_inner_texts()]
        assert shown == counts.flatten().tolist()


def test_pictures_by_button_and_of_ones_own(lab):
    page = lab()
    page.locator("#lab-more-load").click()
    page.get_by_text("It sees an airplane").first.wait_for()
    page.get_by_role("button", name="truck").click()
    page.get_by_text("It sees a truck").first.wait_for()
    with io.BytesIO() as file:
        Image.new("RGB", (64, 48), "navy").save(file, "PNG")
        content = file.getvalue()
    before = sentence(page)
    page.locator("#lab-file").set_input_files(
        {"name": "own.png", "mimeType": "image/png", "buffer": content}
    )
    page.wait_for_function(f"document.getElementById('lab-sentence').textContent !== '{before}'")
    navy = page.evaluate(
        "Array.from(document.getElementById('lab-picture').getContext('2d')"
        ".getImageData(16, 16, 1, 1).data)"
    )
    assert navy[:3] == [0, 0, 128]
    page.locator("#lab-file").set_input_files(
        {"name": "no.png", "mimeType": "image/png", "buffer": b"no picture"}
    )
    page.get_by_text("That is no picture").first.wait_for()
    page.get_by_label("ResNet-8, digits").check()
    page.get_by_text("It sees a 3").first.wait_for()
    assert not page.watch.faults


# The page.


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_at_work_it_is_as_good_a_page_as_the_others(lab, theme):
    page = lab(theme)
    page.locator("#lab-more-load").click()
    page.locator("#lab-picture").wait_for()
    page.locator("#lab-branches-4").uncheck()
    page.locator("#lab-measure").click()
    page.get_by_text("Done.").wait_for()
    faults = []
    for network in ("ResNet-20, pictures", "ResNet-8, digits"):
        page.get_by_label(network).check()
        page.get_by_text("It sees a").first.wait_for()
        faults += page_checks.accessibility_faults(page, only_colours=theme == "dark")
        faults += page_checks.heading_faults(page) + page_checks.image_faults(page)
        page.set_viewport_size({"width": 360, "height": 740})
        faults += page_checks.width_faults(page)
        page.set_viewport_size({"width": 1280, "height": 900})
    assert not faults + page.watch.faults, "\n".join(faults + page.watch.faults)


def test_maps_follow_the_theme(lab):
    page = lab()
    look = "document.querySelector('#lab-blocks .lab-branch canvas').toDataURL()"
    before = page.evaluate(look)
    page.locator(".theme-switch-button").first.click()
    page.wait_for_function(f"{look} !== '{before}'")


def test_nothing_is_fetched_before_it_is_asked_for_and_the_button_says_how_much(served, open_page):
    page = open_page(f"{served}/{LAB}")
    asked = page.evaluate("performance.getEntriesByType('resource').map((entry) => entry.name)")
    assert not [address for address in asked if "/lab/" in address and address.endswith("n")]
    page.wait_for_load_state("networkidle")
    fetched = []
    page.on("response", lambda response: fetched.append(response))
    button = page.locator("#lab-load")
    said = float(re.search(r"([\d.]+) MB", button.inner_text())[1])
    button.click()
    page.get_by_text("It sees a 3").first.wait_for()
    assert {response.url.rpartition("/")[2] for response in fetched} == {
        "ort.mjs", "ort.wasm.gzip", "digits.onnx", "digits.json"
    }  # fmt: skip
    assert said == round(sum(len(response.body()) for response in fetched) / 1e6, 1)


def test_a_failed_load_is_said_and_can_be_tried_again(served, open_page):
    page = open_page(f"{served}/{LAB}")
    page.route("**/digits.onnx", lambda route: route.fulfill(status=404))
    page.locator("#lab-load").click()
    page.get_by_text("could not be loaded: digits.onnx is not there (404)").wait_for()
    page.unroute("**/digits.onnx")
    page.locator("#lab-load").click()
    page.get_by_text("It sees a 3").first.wait_for()


def test_from_a_folder_it_says_what_to_do(html, open_page):
    page = open_page((html / LAB).as_uri())
    assert page.get_by_text("make serve").is_visible()
    assert page.get_by_alt_text("The lab with a test digit").is_visible()
    assert not page.locator("#lab-load").is_visible()
    assert not page.watch.faults


def test_without_javascript_it_says_what_is_missing(served, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served}/{LAB}")
    assert page.get_by_text("This page needs JavaScript").is_visible()
    assert page.get_by_alt_text("The lab with a test digit").is_visible()
    assert not page.locator("#lab-load").is_visible()
    context.close()


def test_other_pages_load_nothing_of_it(html):
    for path in html.rglob("*.html"):
        if path.relative_to(html).as_posix() != LAB:
            assert "_static/lab/" not in path.read_text(encoding="utf-8"), path.name
    assert ".lab-" not in (html / "_static" / "book-bundle.css").read_text(encoding="utf-8")
