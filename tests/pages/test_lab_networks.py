"""The lab's networks in Chromium: the trained ones to 1e-4 in every state, fed as in training."""

import itertools
import json

import numpy
import pytest
import torch
from building import LAB, ROOT
from lab_models import EXPECTED, PARTS, examples, states, switched
from sklearn.datasets import load_digits

from resnet_lib import data, weights

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


def in_page(page, name, images, some, signals=False):
    some = [[list(skips), list(branches)] for skips, branches in some]
    return page.evaluate(RUN, [name, images.flatten().tolist(), some, signals])


def furthest(found, wanted):
    return (torch.tensor(found).view(wanted.shape) - wanted).abs().max().item()


# The networks.


@torch.no_grad()
def test_digits_network_is_the_trained_one_in_all_64_states(served, open_page):
    page = open_page(f"{served}/{LAB}")
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
    page = open_page(f"{served}/{LAB}")
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
    page = open_page(f"{served}/{LAB}")
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
    page = open_page(f"{served}/{LAB}")
    counts = all_counts.reshape(-1, 64).tolist()
    of_bitmaps = "all => all.map(bitmap => Array.from(Lab.countsOf(bitmap)))"
    assert page.evaluate(of_bitmaps, bitmaps_with(all_counts).tolist()) == counts
    there_and_back = "all => all.map(counts => Array.from(Lab.countsOf(Lab.bitmapOf(counts))))"
    assert page.evaluate(there_and_back, counts) == counts


def test_counts_are_normalised_as_in_training(served, open_page, all_counts):
    page = open_page(f"{served}/{LAB}")
    held = json.loads((ROOT / "book/_static/lab/digits.json").read_text(encoding="utf-8"))
    script = "([all, held]) => all.map(one => Array.from(Lab.normalisedCounts(one, held)))"
    found = page.evaluate(script, [all_counts.reshape(-1, 64).tolist(), held])
    pixels = torch.tensor(all_counts * 255 / 16).round().to(torch.uint8)[:, None]
    card = weights.model_card("resnet8", "digits")
    wanted = data.Normalize(card.mean, card.std)(pixels)
    assert furthest(found, wanted) < 1e-6
