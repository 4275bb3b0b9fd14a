"""The commands evaluate and summary."""

import re

import pytest
import torch
from safetensors.torch import load_file, save_file
from toy_cli import SMALL, carried_out, done, pictures, read

from resnet_cli import epoch_report
from resnet_lib import data, nets, probes, train, weights
from resnet_lib.weights import load_weights


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of one epoch, with an average of the weights."""
    folder = tmp_path_factory.mktemp("runs") / "one"
    done(*SMALL, "--epochs", "1", "--learning-rate", "0.05", "--out", folder)
    return folder


@pytest.fixture(scope="module")
def pets(tmp_path_factory):
    return pictures(tmp_path_factory.mktemp("pictures") / "pets")


@pytest.fixture(scope="module")
def pets_run(tmp_path_factory, pets):
    folder = tmp_path_factory.mktemp("runs") / "pets"
    words = ("train", "--net", "resnet8", "--data", pets, "--size", "8", "--batch-size", "5")
    done(*words, "--epochs", "1", "--out", folder)
    return folder


def numbers(text):
    """What evaluate printed: images, loss, accuracy in percent."""
    values = re.findall(r"^(?:images|loss|accuracy|error) +([\d.,]+)", text, re.MULTILINE)
    images, loss, accuracy, error = (float(value.replace(",", "")) for value in values)
    assert accuracy + error == pytest.approx(100, abs=0.011)
    return images, loss, accuracy


def net_of(run):
    net = nets.CifarResNet(8, in_channels=1)
    load_weights(net, run / "model.safetensors")
    return net.eval()


# Evaluate


def test_a_run_is_evaluated_as_it_was_at_its_end(run):
    found = numbers(done("evaluate", "--run", run))
    test = read(run / "history.json")["test"]
    assert found == (360, round(test["loss"], 4), round(100 * test["accuracy"], 2))


def test_the_numbers_are_those_of_the_library(run):
    digits = data.digits()
    expected = train.evaluate(
        net_of(run), [(digits.normalize(digits.test_images), digits.test_labels)]
    )
    images, loss, accuracy = numbers(done("evaluate", "--run", run))
    assert images == expected.samples
    assert loss == pytest.approx(expected.loss, abs=1e-4)
    assert accuracy == pytest.approx(100 * expected.accuracy, abs=0.3)


def test_the_table_has_each_class(run):
    lines = done("evaluate", "--run", run, "--per-class").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("class "))
    digits = data.digits()
    guesses = net_of(run)(digits.normalize(digits.test_images)).argmax(1)
    assert len(lines[start + 1 :]) == 10
    for label, line in enumerate(lines[start + 1 :]):
        own = digits.test_labels == label
        wrong = guesses[own & (guesses != label)]
        cells = line.split(maxsplit=5)
        assert cells[:3] == [
            str(label),
            str(int(own.sum())),
            str(int((guesses[own] == label).sum())),
        ]
        assert float(cells[3]) == pytest.approx(100 * len(wrong) / int(own.sum()), abs=0.01)
        if len(wrong):
            count = int((wrong == int(cells[5].split()[0])).sum())
            assert cells[5].endswith(f"({count})")
            assert count == wrong.bincount().max()


def test_weights_bring_their_normalisation(run, tmp_path):
    whole = done("evaluate", "--run", run)
    words = ("evaluate", "--net", "resnet8", "--data", "digits", "--weights")
    assert numbers(done(*words, run / "model.safetensors")) == numbers(whole)
    shifted = (*words, run / "model.safetensors", "--mean", "0.9", "--std", "0.1")
    assert numbers(done(*shifted)) != numbers(whole)
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(run / "model.safetensors"), bare)
    assert numbers(done(*words, bare)) == numbers(whole), "the data's own are the same here"
    assert numbers(done(*words, bare, "--mean", "0.9", "--std", "0.1")) == numbers(done(*shifted))


def test_other_data_are_normalised_as_the_runs_were(pets_run, tmp_path):
    dark = pictures(tmp_path / "other", count=9)
    for path in dark.rglob("*.png"):
        path.write_bytes(path.read_bytes())
    text = done("evaluate", "--run", pets_run, "--data", dark)
    about = read(pets_run / "run.json")["data"]
    found = data.image_folder(dark, 8)
    net = nets.CifarResNet(8, num_classes=2)
    load_weights(net, pets_run / "model.safetensors")
    whole = torch.cat([found.train_images, found.test_images])
    labels = torch.cat([found.train_labels, found.test_labels])
    images = data.Normalize(about["mean"], about["std"])(whole)
    expected = train.evaluate(net, [(images, labels)])
    assert numbers(text)[0] == expected.samples == 18, "a folder that is named is judged whole"
    assert "images    18 of 18, all of them" in text
    assert numbers(text)[1] == pytest.approx(expected.loss, abs=1e-4)
    own = data.Normalize(found.mean, found.std)(whole)
    assert train.evaluate(net, [(own, labels)]).loss != pytest.approx(expected.loss, abs=1e-4)
    text = done("evaluate", "--run", pets_run, "--data", dark, "--part", "test")
    assert "images    4 of 18, the test part" in text
    tested = data.Normalize(about["mean"], about["std"])(found.test_images)
    found_loss = train.evaluate(net, [(tested, found.test_labels)]).loss
    assert numbers(text)[1] == pytest.approx(found_loss, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ((), "weights after update 6"),
        (("--ema-decay", "0.5"), "average of the weights after update 6"),
        (("--patience", "3", "--validation", "0.2"), "best weights so far"),
    ],
)
def test_an_unfinished_run_is_evaluated_at_its_newest_checkpoint(
    tmp_path, monkeypatch, words, what
):
    def stop(*_):
        raise OSError("no space")

    folder = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(epoch_report, "say", stop)
        patch.setattr(epoch_report, "announce", lambda *_: None)
        patch.setattr("resnet_cli.train_command.announce", lambda *_: None)
        small = (*SMALL, "--batch-size", "256", "--epochs", "2", *words)
        assert carried_out(*small, "--out", folder).code == 1
    text = done("evaluate", "--run", folder)
    assert what in text.splitlines()[0]
    state = train.Checkpoints(folder / "checkpoints").load()
    net = nets.CifarResNet(8, in_channels=1)
    if state["best"] is not None:
        net.load_state_dict(state["best"])
    elif state["average"] is not None:
        shadow = torch.optim.swa_utils.AveragedModel(net, use_buffers=True)
        shadow.load_state_dict(state["average"])
        net = shadow.module
    else:
        net.load_state_dict(state["model"])
    digits = data.digits()
    expected = train.evaluate(net, [(digits.normalize(digits.test_images), digits.test_labels)])
    assert numbers(text)[1] == pytest.approx(expected.loss, abs=1e-4)


def test_precision_layout_and_batches_are_the_runs_own_unless_told(tmp_path, monkeypatch):
    folder, seen = tmp_path / "half", []
    evaluated = train.evaluate

    def noted(net, batches, **options):
        batches = list(batches)
        layout = net.layer1[0].conv1.weight.is_contiguous()
        seen.append((len(batches[0][0]), options, layout))
        return evaluated(net, batches, **options)

    monkeypatch.setattr(train, "evaluate", noted)
    options = ("--precision", "bf16", "--channels-last", "--batch-size", "48")
    done(*SMALL, "--epochs", "1", *options, "--out", folder)
    test = read(folder / "history.json")["test"]
    assert numbers(done("evaluate", "--run", folder))[1] == round(test["loss"], 4)
    done("evaluate", "--run", folder, "--precision", "fp32", "--batch-size", "100")
    as_told = {"precision": "fp32", "channels_last": True, "confusion": True}
    assert seen == [(48, as_told | {"precision": "bf16"}, False), (100, as_told, False)]


def test_classes_of_other_names_are_pointed_out(pets_run, tmp_path):
    other = pictures(tmp_path / "other", classes=("left", "right"))
    ended = carried_out("evaluate", "--run", pets_run, "--data", other)
    assert ended.code == 0
    assert ended.err == (
        "warning: the network was trained on the classes bright, dark; these are left, right\n"
    )


def test_data_that_have_changed_are_pointed_out(tmp_path):
    place, folder = pictures(tmp_path / "pets"), tmp_path / "run"
    words = ("train", "--net", "resnet8", "--data", place, "--size", "8", "--batch-size", "5")
    done(*words, "--epochs", "1", "--out", folder)
    assert carried_out("evaluate", "--run", folder).err == ""
    assert carried_out("evaluate", "--run", folder, "--size", "9").err == ""
    (place / "dark" / "0.png").unlink()
    ended = carried_out("evaluate", "--run", folder)
    assert ended.code == 0
    assert ended.err.startswith(f"warning: {place} has changed since the training")


def test_failures_of_evaluate(run, pets, pets_run, tmp_path):
    three = pictures(tmp_path / "three", classes=("a", "b", "c"))
    plain = ("evaluate", "--net", "plain8", "--data", "digits", "--weights")
    other = ("evaluate", "--net", "resnet14", "--data", "digits", "--weights")
    bare = tmp_path / "bare.safetensors"
    save_file(load_file(run / "model.safetensors"), bare)
    (tmp_path / "run.json").write_bytes((run / "run.json").read_bytes())
    mean = ("--mean", "0.5", "0.5", "--std", "1", "1")
    cases = [
        (("--run", run, "--data", pets), 1, "the network is for images of 1 channel(s), "),
        (("--run", pets_run, "--data", three), 1, "the network knows 2 classes, "),
        ((*plain[1:], run / "model.safetensors"), 1, "are of resnet8, not of plain8"),
        ((*other[1:], bare), 1, "source does not fit the model. The source lacks layer1.1."),
        ((*other[1:], tmp_path / "none.pt"), 1, "names no file"),
        (("--run", tmp_path), 1, "holds neither model.safetensors nor a checkpoint: train first"),
        (("--run", run, *mean), 2, "argument --mean: must be 1 number(s), one per channel, got 2"),
        (("--run", run, "--mean", "0", "--std", "0"), 2, "argument --mean, --std: std[0] must be"),
        (("--run", run, "--batch-size", "0"), 2, "argument --batch-size: must be at least 1"),
    ]
    for words, code, message in cases:
        ended = carried_out("evaluate", *words)
        assert (ended.code, ended.out) == (code, "")
        assert message in ended.err.splitlines()[-1]


def test_a_head_of_another_size_is_no_matter_of_leaving_out(tmp_path):
    net = nets.CifarResNet(8, num_classes=7, in_channels=1)
    torch.save(net.state_dict(), tmp_path / "w.pt")
    words = ("evaluate", "--net", "resnet8", "--data", "digits", "--weights", tmp_path / "w.pt")
    ended = carried_out(*words)
    assert ended.code == 1
    assert "the network knows 7 classes, digits has 10" in ended.err
    assert "leave" not in ended.err


def test_ctrl_c_in_an_evaluation(run, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "evaluate", stop)
    ended = carried_out("evaluate", "--run", run)
    assert (ended.code, ended.err) == (130, "python -m resnet_lib evaluate: stopped at once\n")


def test_the_size_travels_with_the_weights(tmp_path, pets):
    """Trained at 24 pixels, judged at 24 pixels, though nobody says so and 64 is the default."""
    folder = tmp_path / "run"
    words = ("train", "--net", "resnet8", "--data", pets, "--size", "24", "--batch-size", "5")
    done(*words, "--epochs", "1", "--out", folder)
    path = folder / "model.safetensors"
    by_run = done("evaluate", "--run", folder, "--part", "all")
    by_file = done("evaluate", "--weights", path, "--data", pets)
    assert numbers(by_file) == numbers(by_run)
    other = done("evaluate", "--weights", path, "--data", pets, "--size", "64")
    assert numbers(other) != numbers(by_run)


def test_confusion_and_top5_are_counted_right(run):
    digits = data.digits()
    scores = net_of(run)(digits.normalize(digits.test_images))
    text = done("evaluate", "--run", run, "--confusion")
    best = scores.topk(5).indices
    wrong = 1 - (best == digits.test_labels[:, None]).any(1).double().mean().item()
    assert f"top-5     {100 * wrong:.2f} % error" in text
    lines = text[text.index("rows: what it is") :].splitlines()
    counts = [[int(cell) for cell in line.split()[1:]] for line in lines[2:]]
    expected = torch.zeros(10, 10, dtype=torch.int64)
    for label, guess in zip(digits.test_labels, best[:, 0], strict=True):
        expected[label, guess] += 1
    assert counts == expected.tolist()
    assert lines[1].split() == list("0123456789")


def test_weights_that_come_along_are_named_by_their_data():
    by_name = done("evaluate", "--net", "resnet8", "--weights", "digits", "--data", "digits")
    path = weights.model_card("resnet8", "digits").path
    by_file = done("evaluate", "--weights", path, "--data", "digits")
    assert numbers(by_name) == numbers(by_file)
    assert numbers(by_name)[2] > 95


def test_imagenets_normalisation_has_a_name(pets_run):
    numbers_of = ("0.485", "0.456", "0.406"), ("0.229", "0.224", "0.225")
    by_word = done("evaluate", "--run", pets_run, "--mean", "imagenet", "--std", "imagenet")
    by_hand = ("--mean", *numbers_of[0], "--std", *numbers_of[1])
    assert numbers(by_word) == numbers(done("evaluate", "--run", pets_run, *by_hand))
    assert numbers(by_word) != numbers(done("evaluate", "--run", pets_run))


# Summary


def test_summary_of_a_run_has_its_images_and_classes(pets_run):
    assert done("summary", "--run", pets_run) == done(
        *("summary", "--net", "resnet8", "--input", "3", "8", "8", "--num-classes", "2")
    )


@pytest.mark.parametrize(
    ("words", "net", "shape"),
    [
        (("resnet50",), lambda: nets.resnet50(), (3, 224, 224)),
        (("plain20",), lambda: nets.CifarResNet(20, residual=False), (3, 32, 32)),
        (
            ("resnet8", "--input", "1", "9", "8", "--num-classes", "4"),
            lambda: nets.CifarResNet(8, 4, 1),
            (1, 9, 8),
        ),
    ],
)
def test_summary_has_every_layer_and_the_sums(words, net, shape):
    lines = done("summary", "--net", *words).splitlines()
    rows = probes.layer_costs(net().to("meta"), torch.empty(1, *shape, device="meta"))
    for line, row in zip(lines[1:], rows, strict=False):
        for cell in (row.layer, row.kind, f"{row.parameters:,}", f"{row.multiply_adds:,}"):
            assert cell in line.split()
        assert " × ".join(map(str, row.output[1:])) in line
        assert " × ".join(map(str, row.input[1:])) in line
    total = lines[len(rows) + 1].split()
    assert total[0] == "total"
    assert total[-2] == f"{sum(p.numel() for p in net().parameters()):,}"
    assert total[-1] == f"{sum(row.multiply_adds for row in rows):,}"


def test_summary_of_resnet50_in_words():
    """He et al. 2015, Table 1, gives 3.8 billion for the stride in the 1×1; ours is in the 3×3."""
    text = done("summary", "--net", "resnet50")
    assert (
        "resnet50: 25.557 million parameters (97.5 MiB in fp32), 4.089 billion multiply-a" in text
    )


def test_columns_are_in_line():
    lines = done("summary", "--net", "resnet8").split("\n\n")[0].splitlines()
    assert len({len(line) for line in lines}) == 1
