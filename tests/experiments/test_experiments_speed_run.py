"""The speed run: a true residual network, what a step costs, and a record on a tiny setting."""

import dataclasses
import itertools

import pytest
import speed_run
import torch
import torch.nn.functional as F
from bench import record, speed_network
from bench.speed_network import WIDTHS, Block, Convolution, SpeedResNet, whitening
from test_records import VALIDATOR
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from toy_cifar import toy_cifar

IMAGES = torch.randn(40, 3, 32, 32, generator=torch.Generator().manual_seed(0))
FEW = (8, 12, 12)  # channels
SMALL = ["--epochs", "2", "--precision", "fp32", "--threads", "1"]


@pytest.fixture
def use(monkeypatch):
    """Return a function that puts noise in CIFAR-10's place, so many images to train with."""
    monkeypatch.setattr(speed_run, "BATCH", 10)
    monkeypatch.setattr(speed_network, "WIDTHS", FEW)
    threads = torch.get_num_threads()

    def use(training):
        found = toy_cifar()
        some = torch.arange(training) % len(found.train_images)
        few = {"test_images": found.test_images[:20], "test_labels": found.test_labels[:20]}
        few |= {"train_images": found.train_images[some], "train_labels": found.train_labels[some]}
        found = dataclasses.replace(found, **few)
        monkeypatch.setattr(speed_run.data, "cifar10", lambda **_: found)
        return found

    yield use
    torch.set_num_threads(threads)


# The network


def test_every_convolution_after_the_stem_lies_within_f():
    """Without what the branches add, each block passes its input on, smaller, and nothing else."""
    torch.manual_seed(0)
    model = SpeedResNet(IMAGES).eval()
    inside = {m for block in model.blocks for m in block.modules() if isinstance(m, Convolution)}
    found = [m for m in model.modules() if isinstance(m, Convolution | nn.Conv2d)]
    assert found[0] is model.stem
    assert set(found[1:]) == inside
    for block, width in zip(model.blocks, WIDTHS, strict=True):
        channels = block.conv1.shape[-1]
        x = torch.randn(2, channels, 8, 8)
        nn.init.zeros_(block.conv2.weight)
        out = block(x)
        assert torch.equal(out[:, :channels], F.avg_pool2d(x, 2))
        assert not out[:, channels:].any()
        assert out.shape == (2, width, 4, 4)


def test_a_convolution_is_that_of_pytorch():
    torch.manual_seed(0)
    own = Convolution(4, 6, dirac=False)
    weight = own.weight.view(6, 3, 3, 4).permute(0, 3, 1, 2)
    x = torch.randn(2, 4, 7, 5)
    assert torch.allclose(own(x), F.conv2d(x, weight, padding=1))
    passing = Convolution(4, 6, dirac=True)
    assert torch.equal(passing(x)[:, :4], x)


def test_whitened_patches_are_uncorrelated_and_equally_large():
    mixed = IMAGES + 2 * IMAGES.flip(1) + IMAGES.roll(1, -1)
    out = F.conv2d(mixed, whitening(mixed)).transpose(0, 1).flatten(1)
    assert torch.allclose(out @ out.T / out.shape[1], torch.eye(12), atol=2e-3)


def test_without_the_shortcut_it_is_the_plain_twin():
    torch.manual_seed(0)
    twins = [Block(8, 12, shortcut=shortcut, dirac=True) for shortcut in (True, False)]
    twins[1].load_state_dict(twins[0].state_dict())
    x = torch.randn(4, 8, 6, 6)
    with torch.no_grad():
        shortcut = torch.cat([F.avg_pool2d(x, 2), torch.zeros(4, 4, 3, 3)], 1)
        assert torch.allclose(twins[0](x), twins[1](x) + shortcut, atol=1e-6)


# The training


def operations(widths):
    """Of an image's way forth and back, and of Muon's step, without the smallest products.

    Backward counts twice, for weights and inputs; the stem's filters learn nothing. Muon: three
    times, for each matrix (m, n), its Gram matrix, that one's square, and a product with both.
    """
    pixels = (31 * 31, 15 * 15), (15 * 15, 7 * 7), (7 * 7, 3 * 3)
    products, muon = 0, 0
    steps = itertools.pairwise((24, *widths))
    for (inside, outside), (before, width) in zip(pixels, steps, strict=True):
        products += 9 * width * (before * inside + width * outside)
        for n in (9 * before, 9 * width):
            m, n = sorted((width, n))
            muon += 3 * m * m * (2 * n + m)
    return 2 * (3 * (products + widths[-1] * 10) + 31 * 31 * 24 * 12), 2 * muon


def test_the_operations_are_those_of_the_formula():
    model = SpeedResNet(IMAGES)
    with FlopCounterMode(display=False) as counter:
        model(IMAGES[:2]).sum().backward()
    assert counter.get_total_flops() == 2 * operations(WIDTHS)[0]


def test_crops_move_by_at_most_two_pixels_and_mirror_the_border():
    pictures = torch.arange(4 * 36.0).view(4, 1, 6, 6).repeat(50, 1, 1, 1)
    torch.manual_seed(0)
    found = speed_run.crops(pictures)
    padded = F.pad(pictures, (2, 2, 2, 2), "reflect")
    places = list(itertools.product(range(5), repeat=2))
    taken = [
        [p for p in places if torch.equal(one, whole[:, p[0] : p[0] + 6, p[1] : p[1] + 6])]
        for one, whole in zip(found, padded, strict=True)
    ]
    assert all(len(one) == 1 for one in taken)
    assert {one[0] for one in taken} == set(places)


@pytest.mark.parametrize(("case", "again"), [("all", 0), ("random mirroring", 100)])
def test_an_epoch_mirrors_what_the_last_one_did_not(case, again):
    """Of 200 images with a bright left half; about `again` are mirrored as before."""
    torch.manual_seed(0)
    marked = torch.cat([torch.ones(200, 3, 16, 8), torch.zeros(200, 3, 16, 8)], -1)
    epochs = speed_run.epochs_of(marked, case)
    one, other = (next(epochs)[..., :8].mean((1, 2, 3)) > 0.5 for _ in range(2))
    assert 70 < one.sum() < 130
    assert abs((one == other).sum() - again) <= min(again, 30)


def test_six_views_have_the_weights_that_were_named():
    class Linear(nn.Module):
        def forward(self, x):
            return x[:, 0, :2].flatten(1)

    torch.manual_seed(0)
    x = torch.randn(3, 3, 8, 8)
    found = speed_run.six_views(Linear(), x)
    padded = F.pad(x, (1, 1, 1, 1), "reflect")
    views = {(0, 0): 1 / 4, (-1, -1): 1 / 8, (1, 1): 1 / 8}
    mean = torch.zeros(3, 16)
    for (down, right), weight in views.items():
        moved = padded[:, :, 1 + down : 9 + down, 1 + right : 9 + right]
        mean += weight * (Linear()(moved) + Linear()(moved.flip(-1)))
    assert torch.allclose(found["six"], mean, atol=1e-6)
    assert torch.equal(found["one"], Linear()(x))


def test_each_case_trains_and_differs_from_the_whole_recipe(use, tmp_path):
    use(20)
    out = tmp_path / "speed_run.json"
    assert (
        speed_run.main([*SMALL, "--seeds", "1", "--cases", *speed_run.CASES, "--out", str(out)])
        == 0
    )
    held = record.load(out)
    VALIDATOR.validate(held)
    rows = {row["case"]: row for row in held["results"]}
    assert list(rows) == list(speed_run.CASES)
    for row in rows.values():
        assert (row["seed"], row["steps"], len(row["losses"])) == (1, 4, 2)
        assert 0 <= row["error"] <= 100
        least, muon = operations(FEW)
        muon = 0 if row["case"] == "no Muon" else muon
        assert row["petaflops"] == pytest.approx(4 * (10 * least + muon) / 1e15, rel=1e-3)
    assert len({tuple(row["losses"]) for row in rows.values()}) == len(rows)


def test_a_part_of_an_epoch_and_a_held_out_part(use, tmp_path, monkeypatch):
    images, asked = use(5030), []

    def say_zero(_, images):
        asked.append(len(images))
        return dict.fromkeys(("one", "six"), torch.eye(1, 10).expand(len(images), 10))

    monkeypatch.setattr(speed_run, "six_views", say_zero)
    words = [*SMALL, "--seeds", "0", "--epochs", "1.5", "--held-out", "5000"]
    assert speed_run.main([*words, "--out", str(tmp_path / "speed_run.json")]) == 0
    (row,) = record.load(tmp_path / "speed_run.json")["results"]
    assert (row["steps"], len(row["losses"]), asked) == (5, 2, [5000])
    wrong = 100 * (images.train_labels[30:] != 0).float().mean().item()
    assert row["error"] == pytest.approx(wrong, abs=0.001)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--cases", "muon"], "invalid choice"),
        (["--epochs", "0"], "must be a number above 0"),
        (["--held-out", "10"], "invalid choice"),
        (["--seeds", "-1"], "a whole number of at least 0"),
        (["--out", "record"], "must be a file ending in .json"),
    ],
)
def test_bad_options_are_refused(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        speed_run.main(words)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
