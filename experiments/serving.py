"""How many requests does one server answer, and how long does each wait?

Users ask a server of the library (MLServer, ONNX Runtime) without a pause: each waits for its
answer and asks again. Users and server share the cores of one machine, so a server alone would
answer more. Each row is a server of its own, started anew.

  form       one user, one picture a request: the same picture as numbers in JSON ("images") and as
             a file ("pictures"), ResNet-20 at 32 pixels and ResNet-18 at 224
  batch      ResNet-20 at 32 pixels: up to 1, 4, 16 requests go through the network together, the
             first waits 5 ms at most; by number of users
  threads    ResNet-18 at 224 pixels, in single precision and in INT8: threads of the network

Weights are random where that changes no time (ResNet-18); pictures are noise, as PNG at 32 pixels
and as JPEG at 224. Measured are the seconds of each answer, after --skipped seconds: median, 95th
and 99th percentile, and answers per second. Counted are failures, and the server's memory. All rows
are measured in --rounds rounds, one after the other: so one sees how far the same row strays.
"""

import argparse
import base64
import io
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import psutil
import torch
from bench import case_by_case, record
from bench.options import at_least, json_file
from PIL import Image
from torch import nn

from resnet_lib import export, nets, serving, weights

SEED = 0
LOAD = Path(__file__).parent / "bench" / "serving_load.py"
BATCH_TIME = 0.005


def main(words: list[str] | None = None) -> int:
    """Run the experiment; return the exit status."""
    options = parse(words)
    return case_by_case.carry_out(
        "serving",
        options,
        SEED,
        [case for case in cases(options) if case["what"] in options.what],
        lambda case: measure(case, options),
        "{round} {what:8} {net:14} {form:9} batch {batch:2} threads {threads} users {users:3}",
        lambda row: f"{row['per_second']:7.1f} /s, p99 {1000 * row['p99']:7.1f} ms",
    )


def cases(options: argparse.Namespace) -> list[dict]:
    """What is measured, in turn."""
    usual = {"form": "pictures", "batch": 1, "threads": 1, "users": 1}
    found = [
        usual | {"what": "form", "net": net, "form": form}
        for net in ("resnet20", "resnet18")
        for form in ("images", "pictures")
    ]
    found += [
        usual | {"what": "batch", "net": "resnet20", "batch": batch, "users": users}
        for batch in options.batches
        for users in options.users
    ]
    found += [
        usual | {"what": "threads", "net": net, "threads": threads, "users": users}
        for net in ("resnet18", "resnet18-int8")
        for threads in (1, 2)
        for users in (1, 8)
    ]
    return [
        {"round": number, "what": case["what"], "net": case["net"], **case}
        for number in range(options.rounds)
        for case in found
    ]


def measure(case: dict, options: argparse.Namespace) -> dict:
    """A server under load."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        card = publish(case, folder)
        body = folder / "body.json"
        size = body.write_text(request(case["form"], card.image))
        with serving.running(folder / "models") as client:
            place = f"{client.url}/v2/models/{case['net']}/infer"
            found = ask(place, body, case["users"], options)
            memory = max(process.memory_info().rss for process in servers())
    answers = np.array(found["answers"])
    shares = {f"p{n}": round(float(np.percentile(answers, n)), 5) for n in (50, 95, 99)}
    return {
        "pixels": card.image[-1],
        "batch_seconds": BATCH_TIME if case["batch"] > 1 else 0,
        "request_bytes": size,
        "answers": len(answers),
        "failed": found["failed"],
        "per_second": round(len(answers) / found["seconds"], 2),
        **shares,
        "server_mib": round(memory / 2**20),
    }


def ask(place: str, body: Path, users: int, options: argparse.Namespace) -> dict:
    """Let users ask, in a process of their own."""
    words = [sys.executable, "-P", str(LOAD), place, str(body), str(users)]
    words += [str(options.seconds), str(options.skipped)]
    return json.loads(subprocess.run(words, stdout=subprocess.PIPE, check=True).stdout)


def servers() -> list[psutil.Process]:
    """The processes that this one started, and theirs."""
    return psutil.Process().children(recursive=True)


def publish(case: dict, folder: Path) -> weights.ModelCard:
    """A repository with the case's network."""
    net, card = network(case["net"])
    plain, made = folder / "plain.onnx", folder / "made.onnx"
    images = torch.randn(8, *card.image, generator=torch.Generator().manual_seed(SEED))
    export.to_onnx(net, plain, images)
    if case["net"].endswith("int8"):
        export.quantize_onnx(plain, made, [images])
    chosen = made if made.exists() else plain
    settings = {"max_batch_size": case["batch"], "max_batch_time": BATCH_TIME}
    serving.publish(
        folder / "models", case["net"], chosen, card, threads=case["threads"], **settings
    )
    return card


def network(name: str) -> tuple[nn.Module, weights.ModelCard]:
    """The network, and what its pictures are."""
    if name == "resnet20":
        return weights.load_network(weights.model_card("resnet20", "cifar10").path)
    torch.manual_seed(SEED)
    classes = tuple(f"class {number}" for number in range(1000))
    imagenet = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    card = weights.ModelCard("resnet18", classes, (3, 224, 224), **imagenet, path=Path())
    return nets.resnet18().eval(), card


def request(form: str, image: tuple[int, ...]) -> str:
    """The body of a request with one picture of noise."""
    channels, size, _ = image
    noise = np.random.default_rng(SEED).integers(0, 256, (size, size, channels), np.uint8)
    if form == "images":
        numbers = noise.transpose(2, 0, 1).ravel().tolist()
        given = {"datatype": "UINT8", "shape": [1, *image], "data": numbers}
    else:
        file = io.BytesIO()
        # Noise would make the JPEG far larger than a photograph; enlarged, it is about as large.
        rough = Image.fromarray(noise[: size // 4, : size // 4]).resize((size, size))
        rough.save(file, "JPEG" if size > 32 else "PNG")
        data = [base64.b64encode(file.getvalue()).decode()]
        given = {"datatype": "BYTES", "shape": [1], "data": data}
    return json.dumps({"inputs": [{"name": form, **given}]})


def parse(words: list[str] | None) -> argparse.Namespace:
    """Read the options."""
    parser = argparse.ArgumentParser(
        prog="serving.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    every = ("form", "batch", "threads")
    add("--what", nargs="+", choices=every, default=list(every), help="what is asked (all three)")
    add("--batches", nargs="+", type=at_least(1), default=[1, 4, 16], metavar="N",
        help="requests that go through the network together (1 4 16)")  # fmt: skip
    add("--users", nargs="+", type=at_least(1), default=[1, 4, 16, 32], metavar="N",
        help="users at once (1 4 16 32)")  # fmt: skip
    add("--rounds", type=at_least(1), default=2, metavar="N", help="rounds (2)")
    add("--seconds", type=at_least(1), default=8, metavar="N", help="seconds of each row (8)")
    add("--skipped", type=at_least(0), default=2, metavar="N",
        help="seconds before that are left out (2)")  # fmt: skip
    add("--threads", type=at_least(1), default=1, metavar="N",
        help="CPU threads of what makes the networks (1)")  # fmt: skip
    add("--out", type=json_file, default=record.ROOT / "results" / "serving.json",
        metavar="FILE.json", help="the record (results/serving.json)")  # fmt: skip
    return parser.parse_args(words)


if __name__ == "__main__":
    sys.exit(main())
