"""How many servers a rate of requests needs, and what KServe on Kubernetes is told."""

import math
from typing import Any

from resnet_lib.arguments import check_number, check_positive
from resnet_lib.serving.names import check_name

__all__ = ["inference_service", "replicas_for"]

MOUNT = "/mnt/models"
PORT = 8080


def replicas_for(rate: float, per_replica: float, *, utilization: float = 0.6) -> int:
    """How many servers answer `rate` requests per second, each no busier than `utilization`.

    Args:
        rate: requests per second.
        per_replica: how many one server answers at most, measured.
        utilization: share of that which it is to be given. The nearer to 1, the longer the queue:
            for requests that come at random times the mean wait grows as u / (1 - u).

    Raises:
        TypeError, ValueError: an argument is no number above 0, or the share is above 1.
    """
    check_number("rate", rate, 0, above=True)
    check_number("per_replica", per_replica, 0, above=True)
    check_number("utilization", utilization, 0, 1, above=True)
    return math.ceil(rate / (per_replica * utilization))


def inference_service(
    name: str,
    image: str,
    claim: str,
    *,
    rate: float,
    per_replica: float,
    peak: float = 2.0,
    utilization: float = 0.6,
    cores: int = 1,
    memory: str = "2Gi",
) -> dict[str, Any]:
    """A manifest for KServe: servers of one repository, more of them when more is asked.

    `json.dump` writes it, and `kubectl apply` takes it. The numbers come from a load test.

    Args:
        name: the service's name.
        image: a container image in which `python -m resnet_lib serve` runs.
        claim: name of the persistent volume claim that holds the repository.
        rate: requests per second on an ordinary day.
        per_replica: how many one server answers at most.
        peak: how many times the rate is to be borne by adding servers.
        utilization: see `replicas_for`.
        cores: CPU cores of each server.
        memory: memory of each, in the units of Kubernetes.

    Raises:
        TypeError, ValueError: the name or a number is not allowed.
    """
    check_name(name)
    check_positive(cores=cores)
    check_number("rate", rate, 0, above=True)
    check_number("peak", peak, 1)
    least, most = (
        replicas_for(one, per_replica, utilization=utilization) for one in (rate, rate * peak)
    )
    volume = {"name": "models", "persistentVolumeClaim": {"claimName": claim, "readOnly": True}}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": name},
        "spec": {
            "predictor": {
                "minReplicas": least,
                "maxReplicas": most,
                "scaleMetric": "rps",
                "scaleTarget": max(1, int(per_replica * utilization)),
                "containers": [_container(image, cores, memory)],
                "volumes": [volume],
            }
        },
    }


def _container(image: str, cores: int, memory: str) -> dict[str, Any]:
    needed = {"cpu": str(cores), "memory": memory}
    return {
        "name": "kserve-container",
        "image": image,
        "command": ["python", "-m", "resnet_lib", "serve", MOUNT, "--host", "0.0.0.0"],
        "ports": [{"containerPort": PORT, "protocol": "TCP"}],
        "readinessProbe": _probe("ready"),
        "livenessProbe": _probe("live", after=30),
        "resources": {kind: dict(needed) for kind in ("requests", "limits")},
        "volumeMounts": [{"name": "models", "mountPath": MOUNT, "readOnly": True}],
    }


def _probe(question: str, after: int = 5) -> dict[str, Any]:
    path = f"/v2/health/{question}"
    return {"httpGet": {"path": path, "port": PORT}, "initialDelaySeconds": after}
