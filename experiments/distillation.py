"""Does a teacher's score say more to a student than the label does?

Four tasks. In each a student learns by the labels alone (T = 0) or by a teacher's scores alone, at
a temperature T, see resnet_lib.compression; with the same weights to begin with, pictures and
updates:

  few       ResNet-8 learns --pictures of scikit-learn's digits, drawn by the seed. The teacher is
            the library's ResNet-8, which has seen all 1,437. Judged on the 360 test digits
  same      ResNet-8 learns the 360 digits that are otherwise for testing, and is judged on the
            other 1,437. The teacher is a ResNet-20 that learned the same 360, from the same seed
  ensemble  as same, but the teacher is the mean score of five ResNet-8 that learned the same 360
  cifar10   ResNet-20 learns CIFAR-10 for five epochs, in bfloat16 and channels-last. The teacher
            is the library's ResNet-56, which has learned it for 24

  errors    test error in percent, seed by seed; `teacher_errors` is the teacher's

The digits are shifted by up to one pixel, in batches of 32 (10 where there are fewer), CIFAR-10's
pictures by up to four and mirrored, in batches of 128; the teacher sees what the student sees. The
highest rates are those of --rates for few and 0.1 else, under a cosine and for cifar10 a one-cycle
schedule. They and T = 4 on CIFAR-10 were set beforehand, and not searched. CIFAR-10 is taken from
the folder in RESNET_LIB_DATA; a CPU core with bfloat16 instructions takes about 25 minutes for a
seed.
"""

import argparse
import sys
from functools import cache, partial

import torch
from bench import case_by_case, record
from bench.options import at_least, json_file, positive
from torch import Tensor, nn

from resnet_lib import compression, data, nets, train, weights

SEED = 0
CPU = train.World(torch.device("cpu"))
TASKS = ("few", "same", "ensemble", "cifar10")
EPOCHS = {"same": 60, "ensemble": 60, "cifar10": 5}
MEMBERS = 5
RATE = 0.1
STEPS = 250  # of few, or 20 epochs where that is more


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "distillation",
        options,
        SEED,
        [case for name in options.tasks for case in cases(name, options)],
        lambda case: measure(case, options),
        "{task:8} {pictures:5} pictures, teacher {teacher:9} T = {temperature:2}, rate {rate:g}",
        lambda row: f"  test errors {row['errors']}",
    )


def cases(task: str, options: argparse.Namespace) -> list[dict]:
    """What is measured of a task, labels alone first."""
    teacher, numbers, temperatures = {
        "few": ("resnet8", options.pictures, options.temperatures),
        "same": ("resnet20", [360], options.temperatures),
        "ensemble": ("5 resnet8", [360], options.temperatures),
        "cifar10": ("resnet56", [50_000], [4]),
    }[task]
    return [
        {
            "task": task,
            "pictures": n,
            "teacher": teacher if t else "none",
            "temperature": t,
            "rate": rate,
        }
        for n in numbers
        for t in (0, *temperatures)
        for rate in (options.rates if task == "few" else [RATE])
    ]


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Teach a student with each seed."""
    found = {"errors": [], "teacher_errors": []}
    for seed in range(options.first_seed, options.first_seed + options.seeds):
        batches, test = pictures(case, seed)
        loss = None
        if case["temperature"]:
            teacher = taught_by(case["task"], case["teacher"], seed)
            found["teacher_errors"].append(error(teacher, test))
            batches = compression.Taught(batches, teacher)
            loss = partial(compression.distillation_loss, temperature=case["temperature"])
        torch.manual_seed(seed)
        cifar = case["task"] == "cifar10"
        student = nets.CifarResNet(20) if cifar else nets.CifarResNet(8, in_channels=1)
        fit(student, batches, case, seed, loss)
        found["errors"].append(error(student, test))
    return found


def fit(model: nn.Module, batches, case: dict, seed: int, loss=None) -> None:
    """Train by the labels, or by the loss."""
    settings = {
        "few": {"epochs": max(20, STEPS // len(batches))},
        "same": {},
        "ensemble": {},
        "cifar10": {
            "schedule": "onecycle",
            "precision": "bf16",
            "channels_last": True,
        },
    }[case["task"]]
    settings = {"epochs": EPOCHS.get(case["task"]), "learning_rate": case["rate"]} | settings
    config = train.TrainConfig(seed=seed, **settings)
    train.fit(model, batches, config=config, loss=loss, world=CPU, progress=False)


def pictures(case: dict, seed: int) -> tuple[data.Batches, data.Batches]:
    """Batches to learn from and to be judged on."""
    found = data.cifar10() if case["task"] == "cifar10" else data.digits()
    learn, judge = (
        (found.train_images, found.train_labels),
        (found.test_images, found.test_labels),
    )
    if case["task"] in ("same", "ensemble"):
        learn, judge = judge, learn
    chances: list[nn.Module] = [data.RandomCrop(1)]
    batch = 32 if case["pictures"] >= 100 else 10
    if case["task"] == "cifar10":
        chances, batch = [data.RandomFlip(), data.RandomCrop(4)], 128
    dice = torch.Generator().manual_seed(seed)
    kept = torch.randperm(len(learn[0]), generator=dice)[: case["pictures"]]
    steps = nn.Sequential(*chances, found.normalize)
    more = {"shuffle": True, "drop_last": batch == 128, "seed": seed}
    batches = data.Batches(learn[0][kept], learn[1][kept], batch, transform=steps, **more)
    return batches, data.Batches(*judge, 500, transform=found.normalize)


def taught_by(task: str, teacher: str, seed: int) -> nn.Module:
    """The teacher, in eval mode."""
    if task == "same":
        return own_teacher(seed, 20)
    if task == "ensemble":
        first = 1000 + MEMBERS * seed  # no student has these seeds
        return Ensemble([own_teacher(first + member, 8) for member in range(MEMBERS)]).eval()
    card = weights.model_card(teacher, "digits" if task == "few" else "cifar10")
    depth = int(teacher.removeprefix("resnet"))
    model = nets.CifarResNet(depth, in_channels=1 if task == "few" else 3)
    weights.load_weights(model, weights.read_weights(card.path))
    if task == "cifar10":
        model = InBfloat16(model.to(memory_format=torch.channels_last))
    return model.eval()


class InBfloat16(nn.Module):
    """A network whose forward pass runs in bfloat16, as that of the student does."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.model(x).float()


class Ensemble(nn.Module):
    """Several networks; their scores' mean."""

    def __init__(self, members: list[nn.Module]):
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([member(x) for member in self.members]).mean(dim=0)


@cache
def own_teacher(seed: int, depth: int) -> nn.Module:
    """A network that has learned the 360 digits by their labels."""
    case = {"task": "same", "pictures": 360, "rate": RATE}
    torch.manual_seed(seed)
    model = nets.CifarResNet(depth, in_channels=1)
    fit(model, pictures(case, seed)[0], case, seed)
    return model.eval()


def error(model: nn.Module, test: data.Batches) -> float:
    """Test error in percent."""
    return round(100 * (1 - train.evaluate(model, test).accuracy), 2)


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="distillation.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--tasks", nargs="+", choices=TASKS, default=["few", "same"], help="tasks (few same)")
    add("--pictures", nargs="+", type=at_least(10), default=[30, 100, 400],
        metavar="N", help="training pictures of few (30 100 400)")  # fmt: skip
    add("--temperatures", nargs="+", type=at_least(1), default=[1, 4, 10],
        metavar="T", help="temperatures of few and same (1 4 10)")  # fmt: skip
    add("--rates", nargs="+", type=positive, default=[0.03],
        metavar="R", help="highest rates of few (0.03)")  # fmt: skip
    add("--seeds", type=at_least(1), default=8, metavar="N", help="seeds (8)")
    add("--first-seed", type=at_least(0), default=0, metavar="N", help="the first of them (0)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "distillation.json",
        metavar="FILE.json", help="the record (results/distillation.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
