"""Trained networks behind a server: a versioned repository, the server, and what asks it.

The server is MLServer, which speaks the Open Inference Protocol (V2); the package mlserver is asked
for where it is needed.
"""

from resnet_lib.serving.client import Client, ServerError
from resnet_lib.serving.kubernetes import inference_service, replicas_for
from resnet_lib.serving.repository import Version, fault_of, publish, roll_back, versions
from resnet_lib.serving.server import running, serve
from resnet_lib.serving.settings import ServerSettings

__all__ = [
    "Client",
    "ServerError",
    "ServerSettings",
    "Version",
    "fault_of",
    "inference_service",
    "publish",
    "replicas_for",
    "roll_back",
    "running",
    "serve",
    "versions",
]
