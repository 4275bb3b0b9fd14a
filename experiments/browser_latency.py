"""What does a network cost in a browser, in bytes and in time?

The book's lab runs in headless Chromium, served from this machine; `make book` must have built it.
Four things are asked:

  size    bytes of what the lab fetches (the runtime as it is and packed, the networks with their
          switches), of the networks alone in single precision and in INT8, and of the digits'
          network by hand: a script, bench/by_hand.js, and its weights
  load    seconds from the click on the button to the first answer, each in a new window
  stroke  milliseconds from an input, a movement of the pen or a click on a picture, until the page
          has been changed for it
  run     milliseconds of one forward pass of one image; all ways take turns, --turns times, each
          --repeats passes a turn:

            torch          PyTorch, the network with switches
            native         ONNX Runtime for Python, the same file as in the lab
            web            ONNX Runtime for the web, all signals of the blocks
            web-scores     the same, the scores alone
            web-int8       the network without switches in INT8, scores alone
            by-hand        the digits' network in plain JavaScript

          and how far each way's scores are from PyTorch's

PyTorch and both runtimes have one thread. INT8's ranges come from the examples of the lab.
"""

import argparse
import base64
import gzip
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import onnxruntime
import torch
from bench import case_by_case, lab_browser, record
from bench.lab_browser import ENTRIES, SETUP, TIME, chromium, opened
from bench.options import at_least, json_file
from torch import Tensor, nn

from resnet_lib import compression, export

sys.path.append(str(record.ROOT / "book" / "_tools"))

import lab_models

SEED = 0
BY_HAND = Path(__file__).parent / "bench" / "by_hand.js"
BINARY = "onnxruntime-web/dist/ort-wasm-simd-threaded.wasm"
WHAT = ("size", "load", "stroke", "run")
NETWORKS = ("digits", "pictures")


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    cases = [{"what": "size"}, {"what": "load"}]
    cases += [{"what": what, "network": name} for what in ("stroke", "run") for name in NETWORKS]
    asked = {"size": size, "load": load, "stroke": stroke, "run": run}
    return case_by_case.carry_out(
        "browser_latency",
        options,
        SEED,
        [{"network": ""} | case for case in cases if case["what"] in options.what],
        lambda case: asked[case["what"]](case, options),
        "{what} {network}",
        lambda row: "",
    )


# The page.


def load(case: dict, options: argparse.Namespace) -> dict:
    """Seconds from the click to the first answer, and the versions of what runs."""
    spent = []
    with chromium() as (browser, address):
        for _ in range(options.turns):
            page = browser.new_page()
            page.goto(address)
            start = time.perf_counter()
            page.click("#lab-load")
            page.get_by_text("It sees a 3").first.wait_for()
            spent.append(round(time.perf_counter() - start, 3))
            page.close()
        package = json.loads((record.ROOT / "book" / "package.json").read_text("utf-8"))
        web = package["dependencies"]["onnxruntime-web"]
        versions = {"chromium": browser.version, "onnxruntime-web": web}
    return {"seconds": spent, "versions": versions | {"onnxruntime": onnxruntime.__version__}}


def stroke(case: dict, options: argparse.Namespace) -> dict:
    """Milliseconds from an input to its answer."""
    with chromium() as (browser, address):
        page = opened(browser, address, case["network"])
        while len(page.evaluate(ENTRIES)) < options.inputs:
            lab_browser.draw(page) if case["network"] == "digits" else lab_browser.choose(page)
        spent = page.evaluate(ENTRIES)[: options.inputs]
    return {"milliseconds": [round(value, 1) for value in spent]}


# Sizes and times.


def lab() -> Path:
    """Where what the lab fetches lies."""
    return lab_browser.PAGES / "_static" / "lab"


def files_of(name: str, folder: Path) -> dict[str, Path]:
    """The network without switches, in single precision and in INT8."""
    images = lab_models.examples(name)
    plain = export.to_onnx(lab_models.NETWORKS[name]().eval(), folder / "plain.onnx", images[:1])
    return {"plain": plain, "int8": export.quantize_onnx(plain, folder / "int8.onnx", [images])}


def size(case: dict, options: argparse.Namespace) -> dict:
    """Bytes, by what they are for."""
    binary = record.ROOT / "book" / "node_modules" / BINARY
    found = {
        "runtime": binary.stat().st_size,
        "runtime-packed": (lab() / "ort.wasm.gzip").stat().st_size,
        "runtime-script": (lab() / "ort.mjs").stat().st_size,
        "lab-scripts": sum(path.stat().st_size for path in lab().glob("lab.css"))
        + sum(path.stat().st_size for path in lab().glob("*.js")),
        "by-hand-script": BY_HAND.stat().st_size,
        "by-hand-script-packed": len(gzip.compress(BY_HAND.read_bytes(), mtime=0)),
    }
    for name in NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            made = {
                kind: path.stat().st_size for kind, path in files_of(name, Path(folder)).items()
            }
        made["switched"] = (lab() / f"{name}.onnx").stat().st_size
        found |= {f"{name}-{kind}": value for kind, value in made.items()}
    layers = layers_of(lab_models.NETWORKS["digits"]().eval())
    parts = [*layers["convolutions"], layers["head"]]
    numbers = sum(len(part["weight"]) + len(part["bias"]) for part in parts)
    return {"bytes": found | {"by-hand-weights": 4 * numbers}}


def layers_of(network: nn.Module) -> dict:
    """The folded convolutions in the order in which they run, and the head."""

    def numbers(layer: nn.Module, stride: int) -> dict:
        weight, bias = layer.weight.flatten().tolist(), layer.bias.flatten().tolist()
        return {"weight": weight, "bias": bias, "stride": stride}

    light = compression.fold_batch_norm(network)
    convolutions = [part for part in light.modules() if isinstance(part, nn.Conv2d)]
    return {
        "convolutions": [numbers(part, part.stride[0]) for part in convolutions],
        "head": numbers(light.fc, 1),
    }


def here(name: str, image: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The ways that run in Python."""
    network = lab_models.switched(name)
    on = torch.ones(len(network.names))
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(lab() / f"{name}.onnx", settings)
    given = {"images": image.numpy(), "skips": on.numpy(), "branches": on.numpy()}
    return {
        "torch": lambda: network(image, on, on)[0],
        "native": lambda: torch.from_numpy(session.run(None, given)[0]),
    }


@torch.no_grad()
def run(case: dict, options: argparse.Namespace) -> dict:
    """Milliseconds of a forward pass, turn by turn, and the largest difference of the scores."""
    name = case["network"]
    image = lab_models.examples(name)[:1]
    python = here(name, image)
    ways = [*python, "web", "web-scores", "web-int8", *(["by-hand"] if name == "digits" else [])]
    layers = layers_of(lab_models.NETWORKS[name]().eval()) if name == "digits" else None
    spent: dict[str, list[float]] = {way: [] for way in ways}
    wanted, apart = python["torch"](), {}
    with tempfile.TemporaryDirectory() as folder, chromium() as (browser, address):
        page = opened(browser, address, name)
        page.add_script_tag(path=BY_HAND)
        int8 = base64.b64encode(files_of(name, Path(folder))["int8"].read_bytes()).decode()
        page.evaluate(SETUP, [name, image.flatten().tolist(), int8, layers])

        def once(way: str) -> tuple[float, Tensor]:
            if way not in python:
                milliseconds, scores = page.evaluate(TIME, [way, options.repeats])
                return milliseconds, torch.tensor([scores])
            start = time.perf_counter()
            for _ in range(options.repeats):
                scores = python[way]()
            return 1000 * (time.perf_counter() - start) / options.repeats, scores

        for turn in range(-1, options.turns):  # the first is not kept: it compiles
            for way in ways:
                milliseconds, scores = once(way)
                if turn >= 0:
                    spent[way].append(round(milliseconds, 3))
                    apart[way] = round((scores - wanted).abs().max().item(), 7)
    return {"milliseconds": spent, "apart": apart}


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="browser_latency.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--what", nargs="+", choices=WHAT, default=list(WHAT), help="what is asked (all four)")
    add("--turns", type=at_least(1), default=15, metavar="N",
        help="windows that load, and turns of the forward passes (15)")  # fmt: skip
    add("--repeats", type=at_least(1), default=20, metavar="N", help="passes in a turn (20)")
    add("--inputs", type=at_least(1), default=300, metavar="N", help="inputs to answer (300)")
    add("--threads", type=at_least(1), default=1, metavar="N", help="CPU threads of PyTorch (1)")
    add("--out", type=json_file, default=record.ROOT / "results" / "browser_latency.json",
        metavar="FILE.json", help="the record (results/browser_latency.json)")  # fmt: skip
    options = parser.parse_args(words)
    if words is None and not lab().is_dir():
        parser.error(f"{lab_browser.PAGES} has no lab: run make book first")
    return options


if __name__ == "__main__":
    sys.exit(main())
