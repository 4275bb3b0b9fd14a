"""The command predict."""

import csv
import io
import json
from pathlib import Path

from resnet_cli import trained
from resnet_cli.errors import Failure
from resnet_cli.library_errors import expected
from resnet_cli.machine import check_device
from resnet_cli.settings import PredictSettings
from resnet_cli.text import in_columns, percent, say
from resnet_lib import prediction
from resnet_lib.prediction import Prediction
from resnet_lib.train import pick_device


def predict(settings: PredictSettings) -> None:
    """Print what a trained network takes pictures for.

    Raises:
        Failure: the weights cannot be used, there is no picture, or some cannot be read; the
            others' predictions are printed before.
    """
    trained.set_threads(settings.threads)
    check_device(settings.device)
    with expected():
        weights = trained.of(settings)
        card = trained.completed_card(settings, weights)
        pictures = [Path(name).expanduser() for name in settings.pictures]
        try:
            found = prediction.predict(
                weights.network(),
                pictures,
                card,
                top=settings.top,
                batch_size=settings.batch_size,
                device=pick_device(settings.device),
            )
        except ValueError as error:  # no picture in the folders, or another number of channels
            raise Failure(str(error)) from None
    say(_as_json(found) if settings.json else _as_csv(found) if settings.csv else _as_table(found))
    if faults := sum(bool(one.fault) for one in found):
        raise Failure(f"{faults} of {len(found)} pictures cannot be read")


def _as_table(found: list[Prediction]) -> str:
    rows = [("picture", "class", "probability", "then")]
    for one in found:
        if one.fault:
            rows.append((one.source, f"cannot be read: {one.fault}", "", ""))
            continue
        others = zip(one.classes[1:], one.probabilities[1:], strict=True)
        then = ", ".join(f"{name} {percent(share)}" for name, share in others)
        rows.append((one.source, one.classes[0], percent(one.probabilities[0]), then))
    return "\n".join(in_columns(rows, right={2}))


def _as_json(found: list[Prediction]) -> str:
    """In ASCII, so that no console changes a name."""
    content = []
    for one in found:
        pairs = zip(one.classes, one.probabilities, strict=True)
        top = [{"class": name, "probability": share} for name, share in pairs]
        content.append(
            {"picture": one.source} | ({"fault": one.fault} if one.fault else {"top": top})
        )
    return json.dumps(content, indent=1)


def _as_csv(found: list[Prediction]) -> str:
    """One line for each picture and class, the likeliest first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["picture", "rank", "class", "probability", "fault"])
    for one in found:
        if one.fault:
            writer.writerow([one.source, "", "", "", one.fault])
        for rank, (name, share) in enumerate(zip(one.classes, one.probabilities, strict=True), 1):
            writer.writerow([one.source, rank, name, f"{share:.6g}", ""])
    return text.getvalue().rstrip("\n")
