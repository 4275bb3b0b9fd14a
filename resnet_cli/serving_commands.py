"""The commands publish and serve."""

import tempfile
from pathlib import Path

from resnet_cli.errors import Failure
from resnet_cli.serving_settings import PublishSettings, ServeSettings
from resnet_cli.text import say
from resnet_lib import serving


def publish(settings: PublishSettings) -> None:
    """Export a trained network and put it into a repository.

    Raises:
        Failure: the weights cannot be used, a package is missing, or the name is not allowed.
    """
    # Here, because serve needs none of it and should start fast.
    import torch

    from resnet_cli import trained
    from resnet_cli.library_errors import expected
    from resnet_lib import export

    with expected(), tempfile.TemporaryDirectory() as folder:
        weights = trained.of(settings)
        card = trained.completed_card(settings, weights)
        if not card.classes:
            raise Failure(f"{weights.what} does not name its classes")
        path = Path(folder) / "network.onnx"
        try:
            export.to_onnx(weights.network().eval(), path, torch.zeros(1, *card.image))
            made = serving.publish(
                Path(settings.repository).expanduser(),
                settings.name,
                path,
                card,
                note=settings.note,
                max_batch_size=settings.max_batch_size,
                threads=settings.threads or 1,
            )
        except (ImportError, ValueError) as error:
            raise Failure(str(error)) from None
    say(f"{settings.name} has version {made.number}: {made.folder}")


def serve(settings: ServeSettings) -> None:
    """Serve a repository until Ctrl-C.

    Raises:
        Failure: a package is missing, or the server dies again and again.
    """
    own = serving.ServerSettings(
        settings.host, settings.port, settings.grpc_port, settings.metrics_port
    )
    say(f"Serving {settings.repository} on http://{own.host}:{own.port}/v2 until Ctrl-C.")
    try:
        serving.serve(Path(settings.repository).expanduser(), own)
    except (ImportError, RuntimeError) as error:
        raise Failure(str(error)) from None
