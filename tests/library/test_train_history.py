"""What a run reports: columns, a figure, TensorBoard."""

import builtins

import matplotlib.pyplot as plt
import pytest
from toy_training import trained

from resnet_lib import plots
from resnet_lib.train import History, TrainConfig, tensorboard


def history(train=(0.6, 0.8, 0.9), validation=(0.5, 0.75, 0.7)):
    found = History()
    for number, accuracy in enumerate(train, start=1):
        row = {"epoch": number, "train_accuracy": accuracy}
        if validation:
            row["validation_accuracy"] = validation[number - 1]
        found.epochs.append(row)
    return found


def test_column_by_its_name():
    assert history()["validation_accuracy"] == [0.5, 0.75, 0.7]
    assert history()["epoch"] == [1, 2, 3]


def test_unknown_column_names_those_there_are():
    with pytest.raises(KeyError, match="no column 'loss'; there are: epoch, train_accuracy, val"):
        history()["loss"]
    with pytest.raises(KeyError, match="no column 'epoch'; there are: none yet"):
        History()["epoch"]


def drawn(axes):
    """Each curve by the name beside its end: what it shows and in which colour."""
    ends = {tuple(line.get_xydata()[-1]): line for line in axes.get_lines()}
    return {text.get_text(): (ends[text.xy], text) for text in axes.texts}


@pytest.fixture
def axes():
    yield plt.figure().subplots()
    plt.close("all")


def test_plot_shows_errors_in_percent(axes):
    history().plot(axes)
    curves = drawn(axes)
    assert set(curves) == {"train", "validation"}
    train, validation = curves["train"][0], curves["validation"][0]
    assert list(train.get_xdata()) == [1, 2, 3]
    assert list(train.get_ydata()) == pytest.approx([40, 20, 10])
    assert list(validation.get_ydata()) == pytest.approx([50, 25, 30])
    assert train.get_color() == curves["train"][1].get_color() == plots.COLORS["muted"]
    assert validation.get_color() == curves["validation"][1].get_color()
    assert validation.get_color() == plots.COLORS["residual"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "error (%)")
    assert axes.get_ylim()[0] == 0


def test_plot_makes_its_own_figure():
    plt.close("all")
    history().plot()
    (axes,) = plt.gcf().axes
    assert set(drawn(axes)) == {"train", "validation"}
    plt.close("all")


@pytest.mark.parametrize(("train", "validation"), [(0.9, 0.9), (0.9, 0.902), (0.902, 0.9)])
def test_names_of_curves_that_meet_do_not_overlap(axes, train, validation):
    history((0.5, train), (0.5, validation)).plot(axes)
    axes.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 2
    assert not boxes[0].overlaps(boxes[1])


def test_plot_without_validation_and_of_a_single_epoch(axes):
    history((0.6,), ()).plot(axes)
    ((name, (line, _)),) = drawn(axes).items()
    assert name == "train"
    assert line.get_marker() == "o"  # a line of one point would be invisible
    assert [tick for tick in axes.get_xticks() if tick != round(tick)] == []


def test_plot_before_the_first_epoch_is_an_error_and_no_figure():
    plt.close("all")
    with pytest.raises(KeyError, match="none yet"):
        History().plot()
    assert plt.get_fignums() == []


def test_tensorboard_holds_what_the_history_holds(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    _, found = trained(TrainConfig(epochs=3), on_epoch=tensorboard(tmp_path / "run"))
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    names = {
        "learning_rate": "learning_rate",
        "train/loss": "train_loss",
        "train/accuracy": "train_accuracy",
        "validation/loss": "validation_loss",
        "validation/accuracy": "validation_accuracy",
        "seconds": "seconds",
    }
    assert set(events.Tags()["scalars"]) == set(names)
    for tag, column in names.items():
        written = events.Scalars(tag)
        assert [one.step for one in written] == [1, 2, 3]
        assert [one.value for one in written] == pytest.approx(found[column], rel=1e-6)


def test_missing_tensorboard_says_how_to_get_it(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name.startswith("torch.utils.tensorboard"):
            raise ModuleNotFoundError("No module named 'tensorboard'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ModuleNotFoundError, match="python -m pip install tensorboard"):
        tensorboard(tmp_path)
