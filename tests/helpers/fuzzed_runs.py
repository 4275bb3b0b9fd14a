"""What runs and servers leave behind, damaged: checkpoints, run.json, settings, records."""

import hashlib
import json
import shutil
from pathlib import Path
from random import Random

import mutations
from bench import record
from fuzzing import Fault, Loader, in_one_file
from toy_training import CPU, cnn

from resnet_cli import config_file, run_folder, trained
from resnet_cli.config_options import checked_config
from resnet_cli.errors import Failure
from resnet_cli.settings import TrainSettings
from resnet_lib import serving
from resnet_lib.train import CheckpointError, Checkpoints, TrainConfig, TrainState
from resnet_lib.weights import ModelCard


def fill_checkpoints(folder: Path) -> None:
    state = TrainState(cnn(), TrainConfig(ema_decay=0.9), CPU)
    for step in (1, 2):
        Checkpoints(folder).save(step, state.as_tree() | {"step": step})


def with_checksum(content: bytes, dice: Random) -> bytes:
    """Other content, signed: what no disk does."""
    try:
        found = json.loads(mutations.in_json(content, dice))
        found.pop("sha256", None)
    except (ValueError, AttributeError, TypeError, RecursionError):
        return b"[]"
    text = json.dumps(found, sort_keys=True).encode()
    return json.dumps({"sha256": hashlib.sha256(text).hexdigest(), **found}).encode()


def damage_checkpoints(folder: Path, dice: Random) -> None:
    if dice.random() < 0.5:
        in_one_file(mutations.in_bytes)(folder, dice)
    else:
        path = dice.choice(sorted(folder.glob("*.json")))
        path.write_bytes(with_checksum(path.read_bytes(), dice))


def read_checkpoints(folder: Path) -> None:
    state = Checkpoints(folder).load()
    if state is None:
        raise Fault("none of two checkpoints was seen")


def fill_run(folder: Path) -> None:
    facts = run_folder.DataFacts(("a", "b"), (1, 8, 8), 10, 4, (0.5,), (0.2,), "0" * 64)
    settings = TrainSettings(net="resnet8", data="digits")
    run = run_folder.Run(settings, checked_config({}), facts, versions={"torch": "2"})
    run_folder.begin(folder, run)
    (folder / "history.json").write_text(json.dumps({"epochs": [{"epoch": 1, "loss": 0.5}]}))
    fill_checkpoints(folder / "checkpoints")


def damage_run(folder: Path, dice: Random) -> None:
    path = folder / dice.choice(("run.json", "run.json", "history.json"))
    path.write_bytes(dice.choice((mutations.in_json, mutations.in_bytes))(path.read_bytes(), dice))


def read_run(folder: Path) -> None:
    run_folder.earlier_rows(folder / "history.json")
    trained.of_run(folder)


def fill_toml(folder: Path) -> None:
    text = 'net = "resnet20"\ndata = "pets"\nsize = 32\nrate = 1e-3\nflip = false\n'
    (folder / "run.toml").write_text(text + "milestones = [0.5, 0.75]\n")


def read_toml(folder: Path) -> None:
    words = config_file.words_of(folder / "run.toml")
    if not all(isinstance(word, str) for word in words):
        raise Fault(f"words that are no strings: {words}")


def fill_record(folder: Path) -> None:
    run = record.Run(folder / "one.json", record.describe("one", {"threads": 1}, 0))
    run.keep({"found": [1.0, 2.0]})


def read_record(folder: Path) -> None:
    record.load(folder / "one.json.part")
    try:
        record.Run(folder / "one.json", record.describe("one", {"threads": 1}, 0)).keep({"x": 1})
    except record.RecordError:
        if (folder / "one.json").exists():
            raise Fault("refused, and a record is written") from None
        raise


def fill_repository(folder: Path) -> None:
    (folder / "network").write_bytes(b"not looked into")
    card = ModelCard("resnet8", ("a", "b"), (1, 8, 8), (0.5,), (0.2,), Path())
    for note in ("first", "second"):
        serving.publish(folder / "models", "pets", folder / "network", card, note=note)
    (folder / "network").unlink()


def damage_repository(folder: Path, dice: Random) -> None:
    path = dice.choice(sorted(path for path in folder.rglob("*") if path.is_file()))
    is_json = path.suffix == ".json" and dice.random() < 0.7
    way = mutations.in_json if is_json else mutations.in_bytes
    path.write_bytes(way(path.read_bytes(), dice))


def read_repository(folder: Path) -> None:
    for number in (1, 2):
        if not isinstance(serving.fault_of(folder / "models" / "pets" / str(number)), str):
            raise Fault("a fault that is no text")
    serving.versions(folder / "models", "pets")
    before = {path.name for path in (folder / "models" / "pets").iterdir()}
    try:
        serving.roll_back(folder / "models", "pets", to=1)
        shutil.rmtree(folder / "models" / "pets" / "3")
    except ValueError:
        if {path.name for path in (folder / "models" / "pets").iterdir()} != before:
            raise Fault("refused, and a version was added") from None
        raise


LOADERS = {
    "checkpoint": Loader(
        fill_checkpoints, damage_checkpoints, read_checkpoints, (CheckpointError,)
    ),
    "run": Loader(fill_run, damage_run, read_run, (Failure, CheckpointError)),
    "toml": Loader(fill_toml, in_one_file(mutations.in_bytes), read_toml, (Failure,)),
    "record": Loader(
        fill_record,
        in_one_file(mutations.in_json, mutations.in_bytes),
        read_record,
        (record.RecordError,),
    ),
    "repository": Loader(
        fill_repository, damage_repository, read_repository, (ValueError, FileNotFoundError)
    ),
}
