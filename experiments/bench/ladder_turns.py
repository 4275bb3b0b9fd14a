"""All rungs of a ladder, each in a process of its own, measured in turns."""

import argparse
from statistics import median

from bench import ladder_rungs
from bench.numbers import ratio_spread, significant
from bench.partners import Partner, PartnerError

NEEDS = {"cpu": "a CPU", "cuda": "a CUDA GPU"}


def climb_all(network: str, options: argparse.Namespace) -> dict:
    """Measure every rung that there is, in turns."""
    rungs = ladder_rungs.ladder(options.rungs, options.device)
    left_out = {
        name: f"needs {NEEDS[devices[0]]}"
        for name, (_, devices) in ladder_rungs.CHANGES.items()
        if name in options.rungs and options.device not in devices
    }
    partners: dict[str, Partner] = {}
    words = network, options.device, options.threads, options.images, options.data
    try:
        for rung in rungs:
            try:
                partners[rung.name] = Partner(ladder_rungs.climb, rung, *words)
            except PartnerError as error:
                left_out[rung.name] = f"could not be set up ({error.kind})"
        times = in_turns(partners, options)
        peaks = {name: partner.ask("peak") for name, partner in partners.items()}
    finally:
        for partner in partners.values():
            partner.close()
    found = [result(rung, times, peaks) for rung in rungs if rung.name in times]
    return {"rungs": found, "left_out": left_out}


def in_turns(partners: dict[str, Partner], options: argparse.Namespace) -> dict[str, list[float]]:
    """Milliseconds per step of each rung, one value per round; the order turns round."""
    once = {name: partner.ask("milliseconds", 1) for name, partner in partners.items()}
    steps = {name: max(1, round(1000 * options.turn / once[name])) for name in once}
    times: dict[str, list[float]] = {name: [] for name in partners}
    order = list(partners)
    for _ in range(options.rounds):
        for name in order:
            times[name].append(partners[name].ask("milliseconds", steps[name]))
        order.reverse()
    return times


def result(rung: ladder_rungs.Rung, times: dict[str, list[float]], peaks: dict[str, int]) -> dict:
    """A rung's numbers; `times_naive` is its speed as a multiple of the lowest rung's."""
    lowest = next(iter(times))
    per_image = {name: [t / b for t in times[name]] for name, b in
                 ((lowest, ladder_rungs.Rung().batch), (rung.name, rung.batch))}  # fmt: skip
    return {
        "rung": rung.name,
        "batch": rung.batch,
        "milliseconds": significant(median(times[rung.name])),
        "images_per_second": significant(1000 / median(per_image[rung.name])),
        "times_naive": ratio_spread(per_image[lowest], per_image[rung.name]),
        "peak_bytes": peaks[rung.name],
    }
