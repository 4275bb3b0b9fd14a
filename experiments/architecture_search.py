"""A small search for a better network within a budget of multiply-adds, with Optuna.

The space: blocks and channels of three stages, the usual block or pre-activation, a gate or none,
the learning rate. What costs more multiply-adds than the fixed baseline, ResNet-8 with projections,
is drawn anew before it is trained. A trial learns 300 digits and is judged by held-out ones, see
bench/few_digits.py. Two ways spend the same number of epochs of training:

  random     each trial is drawn at random and trained to its end, 12 epochs
  halving    also drawn at random. After 3 and after 9 epochs it goes on only if it is among the
             best third of those that have come as far, or the best of fewer than three (Optuna's
             SuccessiveHalvingPruner, which decides at once and takes nothing back)

Each way runs with several search seeds. What has the lowest held-out error at the end of a whole
training is what was found. It is then trained again, with seeds of its own, and tested on digits
that the search never saw; so is the baseline, whose rate was chosen among the same ones on
held-out digits.

  epochs         epochs of training that were spent; of the baseline, to choose its rate
  trials         settings, multiply-adds and held-out errors after each epoch, trial by trial
  found, held_out, errors    the setting, its held-out error in the search, its test errors
"""

import argparse
import sys
from functools import partial
from statistics import fmean

import optuna
import torch
from bench import case_by_case, few_digits, record
from bench.options import at_least, json_file
from torch import nn

from resnet_lib import probes, variants

SEED = 0
RATES = (0.03, 0.1, 0.3)
BLOCKS = (1, 2, 3)
WIDTHS = ((8, 12, 16, 24), (16, 24, 32, 48), (32, 48, 64, 96))
GATES = {
    "none": torch.nn.Identity,
    "se": partial(variants.SqueezeExcitation, reduction=4),
    "eca": variants.EfficientAttention,
}
BASELINE = {"blocks": [1, 1, 1], "widths": [16, 32, 64], "kind": "post", "gate": "none"}
FIRST_RUNG, FACTOR = 3, 3  # epochs to the first cut; what is kept, one in three
TESTED = 500  # the first seed of those that are tested


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    cases = [{"way": "baseline", "search": 0}]
    cases += [{"way": way, "search": n} for n in range(options.searches) for way in WAYS]
    return case_by_case.carry_out(
        "architecture_search",
        options,
        SEED,
        cases,
        lambda case: measure(case, options),
        "{way:8} {search}",
        lambda row: f"  {row['found']}  held out {row['held_out']}  test {row['errors']}",
    )


def measure(case: dict, options: argparse.Namespace) -> dict:
    """Search, then train what was found with new seeds and test it."""
    if case["way"] == "baseline":
        found = baseline(options)
    else:
        found = search(case["way"], case["search"], options)
    errors = []
    for seed in range(TESTED, TESTED + options.seeds):
        model = build(found["found"], seed)
        for _ in training(model, found["found"], seed, options):
            pass
        errors.append(few_digits.test_error(model))
    model = build(found["found"], SEED)
    count = sum(parameter.numel() for parameter in model.parameters())
    return found | {"parameters": count, "multiply_adds": cost(model), "errors": errors}


def baseline(options: argparse.Namespace) -> dict:
    """The fixed network at its best rate, by as many seeds as there are searches."""
    held_out = {}
    for rate in RATES:
        errors = [judged(BASELINE | {"rate": rate}, n, options) for n in range(options.searches)]
        held_out[rate] = fmean(course[-1] for course in errors)
    rate = min(held_out, key=held_out.__getitem__)
    epochs = len(RATES) * options.searches * options.epochs
    found = {"found": BASELINE | {"rate": rate}, "held_out": round(held_out[rate], 2)}
    return found | {"epochs": epochs, "trials": []}


def search(way: str, number: int, options: argparse.Namespace) -> dict:
    """Draw and train until the epochs are spent."""
    rule = WAYS[way](options)
    sampler = optuna.samplers.RandomSampler(seed=100 * number + list(WAYS).index(way))
    study = optuna.create_study(sampler=sampler, pruner=rule)
    limit = cost(build(BASELINE, SEED))
    trials: list[dict] = []
    while sum(len(trial["held_out"]) for trial in trials) < options.trials * options.epochs:
        trial = study.ask()
        setting = drawn(trial)
        adds = cost(build(setting, SEED))
        if adds > limit:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            continue
        course = judged(setting, number, options, trial)
        finished = len(course) == options.epochs
        state = optuna.trial.TrialState.COMPLETE if finished else optuna.trial.TrialState.PRUNED
        study.tell(trial, course[-1] if finished else None, state=state)
        trials.append({"setting": setting, "multiply_adds": adds, "held_out": course})
    ends = [trial for trial in trials if len(trial["held_out"]) == options.epochs]
    best = min(ends, key=lambda trial: trial["held_out"][-1])
    spent = sum(len(trial["held_out"]) for trial in trials)
    result = {"found": best["setting"], "held_out": best["held_out"][-1]}
    return result | {"epochs": spent, "trials": trials}


def halving(options: argparse.Namespace) -> optuna.pruners.BasePruner:
    """Cuts after 3 and after 9 epochs."""
    return optuna.pruners.SuccessiveHalvingPruner(FIRST_RUNG, FACTOR)


WAYS = {"random": lambda options: optuna.pruners.NopPruner(), "halving": halving}


def drawn(trial: optuna.Trial) -> dict:
    """One setting out of the space."""
    blocks = [trial.suggest_categorical(f"blocks{n}", BLOCKS) for n in (1, 2, 3)]
    widths = [trial.suggest_categorical(f"width{n}", WIDTHS[n - 1]) for n in (1, 2, 3)]
    return {
        "blocks": blocks,
        "widths": widths,
        "kind": trial.suggest_categorical("kind", ("post", "pre")),
        "gate": trial.suggest_categorical("gate", tuple(GATES)),
        "rate": trial.suggest_categorical("rate", RATES),
    }


def build(setting: dict, seed: int) -> nn.Module:
    """The network of a setting, at its start."""
    torch.manual_seed(seed)
    post = setting["kind"] == "post"
    frame = variants.StagedNet if post else variants.PreActNet
    return frame(
        variants.GatedBlock if post else variants.PreActBlock,
        setting["blocks"],
        setting["widths"],
        in_channels=1,
        stem_channels=setting["widths"][0],
        gate=GATES[setting["gate"]],
    )


def cost(model: nn.Module) -> int:
    """Multiply-adds for one digit."""
    return sum(row.multiply_adds for row in probes.layer_costs(model, torch.zeros(1, 1, 8, 8)))


def training(model: nn.Module, setting: dict, seed: int, options: argparse.Namespace):
    """Epoch by epoch, see few_digits.training."""
    return few_digits.training(model, setting["rate"], options.epochs, seed, options.pictures)


def judged(
    setting: dict, number: int, options: argparse.Namespace, trial: optuna.Trial | None = None
) -> list[float]:
    """Held-out errors after each epoch, until the end or until the trial is cut."""
    seed, course = 1000 + number, []
    model = build(setting, seed)
    for epoch, _ in enumerate(training(model, setting, seed, options), start=1):
        course.append(few_digits.held_out_error(model, seed, options.pictures))
        if trial is not None and epoch < options.epochs:
            trial.report(course[-1], epoch)
            if trial.should_prune():
                return course
    return course + [few_digits.GUESSING] * (options.epochs - len(course))


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="architecture_search.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--searches", type=at_least(1), default=2, metavar="N", help="searches of each way (2)")
    add("--trials", type=at_least(1), default=10, metavar="N",
        help="whole trainings that a search may spend (10)")  # fmt: skip
    add("--pictures", type=at_least(few_digits.BATCH), default=300, metavar="N",
        help="digits to learn from (300)")  # fmt: skip
    add("--epochs", type=at_least(1), default=12, metavar="N", help="of a whole training (12)")
    add("--seeds", type=at_least(1), default=6, metavar="N", help="seeds that are tested (6)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "architecture_search.json",
        metavar="FILE.json", help="the record (results/architecture_search.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
