"""The lab in Chromium: the trained networks to 1e-4 in every state, by pen, finger and keys."""

import io
import itertools
import json
import re
import statistics

import numpy
import page_checks
import pytest
import torch
from building import ROOT
from lab_models import EXPECTED, PARTS, examples, states, switched
from PIL import Image
from sklearn.datasets import load_digits

from resnet_lib import data, weights

PAGE = "book/lab.html"
CLOSE = 1e-4
# Scores, and where asked for each block's signals, of images in many states of the switches.
RUN = """async ([name, images, states, signals]) => {
  const network = (window.labNetworks ??= {})[name] ??= await Lab.load(name);
  const found = [];
  for (const [skips, branches] of states) {
    const outputs = await network.run(Float32Array.from(images), { skips, branches });
    const wanted = signals ? Object.keys(outputs) : ["scores"];
    found.push(Object.fromEntries(wanted.map((key) => [key, Array.from(outputs[key].data)])));
  }
  return found;
}"""
SPENT = 'performance.getEntriesByName("from input to answer").map((entry) => entry.duration)'


@pytest.fixture
def lab(served, open_page):
    """Return a function that opens the lab and loads the digits' network."""

    def lab(theme="light", width=1280):
        page = open_page(f"{served}/{PAGE}", theme, width)
        page.locator("#lab-load").click()
        page.get_by_text("It sees a 3").first.wait_for()
        return page

    return lab


def in_page(page, name, images, some, signals=False):
    some = [[list(skips), list(branches)] for skips, branches in some]
    return page.evaluate(RUN, [name, images.flatten().tolist(), some, signals])


def furthest(found, wanted):
    return (torch.tensor(found).view(wanted.shape) - wanted).abs().max().item()


# The networks.


@torch.no_grad()
def test_digits_network_is_the_trained_one_in_all_64_states(served, open_page):
    page = open_page(f"{served}/{PAGE}")
    network, images = switched("digits"), examples("digits")[:10]
    every = list(states("digits"))
    assert len(every) == 64
    apart = 0.0
    for found, (skips, branches) in zip(
        in_page(page, "digits", images, every, signals=True), every, strict=True
    ):
        scores, signals = network(images, torch.tensor(skips), torch.tensor(branches))
        apart = max(apart, furthest(found["scores"], scores))
        for name, signal in zip(network.names, signals, strict=True):
            for part, wanted in zip(PARTS, signal, strict=True):
                apart = max(apart, furthest(found[f"{name}.{part}"], wanted))
    assert apart < CLOSE
    assert not page.watch.faults


@torch.no_grad()
def test_pictures_network_is_the_trained_one_in_all_512_states_of_its_shortcuts(served, open_page):
    page = open_page(f"{served}/{PAGE}")
    network, images = switched("pictures"), examples("pictures")[:3:2]
    on = torch.ones(9)
    every = [(state, on.tolist()) for state in itertools.product((1.0, 0.0), repeat=9)]
    apart = 0.0
    for found, (skips, _) in zip(in_page(page, "pictures", images, every), every, strict=True):
        wanted = network(images, torch.tensor(skips), on)[0]
        apart = max(apart, furthest(found["scores"], wanted))
    assert apart < CLOSE
    one = in_page(page, "pictures", images, [(on.tolist(), on.tolist())], signals=True)[0]
    for name, signal in zip(network.names, network(images, on, on)[1], strict=True):
        for part, wanted in zip(PARTS, signal, strict=True):
            assert furthest(one[f"{name}.{part}"], wanted) < CLOSE, f"{name}.{part}"


@pytest.mark.parametrize("name", ["digits", "pictures"])
def test_networks_give_the_committed_scores(served, open_page, name):
    page = open_page(f"{served}/{PAGE}")
    wanted = json.loads(EXPECTED.read_text(encoding="utf-8"))[name]
    found = in_page(page, name, examples(name)[:1], states(name))
    assert len(found) == len(wanted) == {"digits": 64, "pictures": 19}[name]
    for one, other in zip(found, wanted, strict=True):
        assert one["scores"] == pytest.approx(other, abs=CLOSE)


@torch.no_grad()
def right(name, skips, branches):
    """Right answers among the page's examples, by PyTorch."""
    held = json.loads((ROOT / f"book/_static/lab/{name}.json").read_text(encoding="utf-8"))
    labels = torch.tensor([int(label) for label in held["labels"]])
    scores = switched(name)(examples(name), torch.tensor(skips), torch.tensor(branches))[0]
    return (scores.argmax(dim=1) == labels).sum().item()


@pytest.mark.parametrize("name", ["digits", "pictures"])
def test_lesion_table_counts_as_pytorch_does(lab, name):
    page, blocks = lab(), len(switched(name).names)
    if name == "pictures":
        page.locator("#lab-more-load").click()
        page.locator("#lab-picture").wait_for()
    page.locator("#lab-skips-0").uncheck()
    page.locator("#lab-measure").click()
    page.get_by_text("Done.").wait_for()
    cells = page.locator("#lab-lesion-table td").all_inner_texts()
    on = [1.0] * blocks
    cut = [[float(i != number) for i in range(blocks)] for number in range(blocks)]
    wanted = [right(name, *state) for one in cut for state in ((on, one), (one, on))]
    assert [int(cell) for cell in cells] == [*wanted, right(name, cut[0], on)]
    page.locator("#lab-skips-0").check()
    page.wait_for_function(
        f"document.querySelector('#lab-lesion-foot td').textContent === '{right(name, on, on)}'"
    )


# From strokes to counts.


@pytest.fixture(scope="module")
def all_counts():
    counts = load_digits().images.astype(int)
    assert counts.shape == (1797, 8, 8)
    return counts


def bitmaps_with(counts):
    """32 × 32 cells that have exactly these counts, the ink anywhere in each square."""
    order = numpy.random.default_rng(0).permuted(
        numpy.broadcast_to(numpy.arange(16), (*counts.shape, 16)), axis=-1
    )
    squares = (order < counts[..., None]).reshape(*counts.shape, 4, 4)
    return squares.transpose(0, 1, 3, 2, 4).reshape(-1, 32 * 32).astype(int)


def test_strokes_become_the_counts_of_every_digit_of_the_set(served, open_page, all_counts):
    page = open_page(f"{served}/{PAGE}")
    counts = all_counts.reshape(-1, 64).tolist()
    of_bitmaps = "all => all.map(bitmap => Array.from(Lab.countsOf(bitmap)))"
    assert page.evaluate(of_bitmaps, bitmaps_with(all_counts).tolist()) == counts
    there_and_back = "all => all.map(counts => Array.from(Lab.countsOf(Lab.bitmapOf(counts))))"
    assert page.evaluate(there_and_back, counts) == counts


def test_counts_are_normalised_as_in_training(served, open_page, all_counts):
    page = open_page(f"{served}/{PAGE}")
    held = json.loads((ROOT / "book/_static/lab/digits.json").read_text(encoding="utf-8"))
    script = "([all, held]) => all.map(one => Array.from(Lab.normalisedCounts(one, held)))"
    found = page.evaluate(script, [all_counts.reshape(-1, 64).tolist(), held])
    pixels = torch.tensor(all_counts * 255 / 16).round().to(torch.uint8)[:, None]
    card = weights.model_card("resnet8", "digits")
    wanted = data.Normalize(card.mean, card.std)(pixels)
    assert furthest(found, wanted) < 1e-6


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
    page.goto(f"{served}/{PAGE}")
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
    page = open_page(f"{served}/{PAGE}")
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
    page = open_page(f"{served}/{PAGE}")
    page.route("**/digits.onnx", lambda route: route.fulfill(status=404))
    page.locator("#lab-load").click()
    page.get_by_text("could not be loaded: digits.onnx is not there (404)").wait_for()
    page.unroute("**/digits.onnx")
    page.locator("#lab-load").click()
    page.get_by_text("It sees a 3").first.wait_for()


def test_from_a_folder_it_says_what_to_do(html, open_page):
    page = open_page((html / PAGE).as_uri())
    assert page.get_by_text("make serve").is_visible()
    assert page.get_by_alt_text("The lab with a test digit").is_visible()
    assert not page.locator("#lab-load").is_visible()
    assert not page.watch.faults


def test_without_javascript_it_says_what_is_missing(served, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{served}/{PAGE}")
    assert page.get_by_text("This page needs JavaScript").is_visible()
    assert page.get_by_alt_text("The lab with a test digit").is_visible()
    assert not page.locator("#lab-load").is_visible()
    context.close()


def test_other_pages_load_nothing_of_it(html):
    for path in html.rglob("*.html"):
        if path.relative_to(html).as_posix() != PAGE:
            assert "_static/lab/" not in path.read_text(encoding="utf-8"), path.name
    assert ".lab-" not in (html / "_static" / "book-bundle.css").read_text(encoding="utf-8")
