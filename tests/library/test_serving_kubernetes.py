"""Servers for a rate of requests, and the manifest that asks for them."""

import json
import os
import subprocess

import pytest

from resnet_lib import serving

RATES = {"rate": 100.0, "per_replica": 40.0}
# Reads a manifest as the models of KServe and Kubernetes, and writes it back.
READ_BACK = """
import json, sys
import kserve
from kubernetes.client import ApiClient, V1Container, V1ObjectMeta, V1Volume

def of_kserve(kind, given, **read):
    names = {name: own for own, name in kind.attribute_map.items()}
    made = kind(**{names[key]: read.get(key, lambda value: value)(value)
                   for key, value in given.items()})
    return {key: back(getattr(made, names[key])) for key in given}

def back(value):
    if isinstance(value, list):
        return [back(one) for one in value]
    model = hasattr(value, "to_dict")
    return ApiClient().sanitize_for_serialization(value) if model else value

def predictor(given):
    containers = lambda those: [V1Container.from_dict(one) for one in those]
    volumes = lambda those: [V1Volume.from_dict(one) for one in those]
    kind = kserve.V1beta1PredictorSpec
    return of_kserve(kind, given, containers=containers, volumes=volumes)

def spec(given):
    return of_kserve(kserve.V1beta1InferenceServiceSpec, given, predictor=predictor)

manifest = json.load(sys.stdin)
found = of_kserve(
    kserve.V1beta1InferenceService, manifest, metadata=V1ObjectMeta.from_dict, spec=spec
)
print(json.dumps(found))
"""


@pytest.mark.parametrize(
    ("rate", "servers"), [(1, 1), (24, 1), (25, 2), (100, 5), (1000, 42), (100_000, 4167)]
)
def test_servers_for_a_rate(rate, servers):
    assert serving.replicas_for(rate, 40) == servers
    assert serving.replicas_for(rate, 40, utilization=1) <= servers


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"rate": 0}, "rate must be a number above 0"),
        ({"per_replica": -1}, "per_replica must be a number above 0"),
        ({"utilization": 1.1}, "utilization must be a number above 0 and at most 1"),
    ],
)
def test_numbers_that_are_not_allowed(changed, words):
    with pytest.raises(ValueError, match=words):
        serving.replicas_for(**(RATES | changed))
    with pytest.raises(ValueError, match=words):
        serving.inference_service("pets", "image", "claim", **(RATES | changed))


def made(**changed):
    return serving.inference_service("pets", "resnet-lib:1", "models", **(RATES | changed))


def test_the_manifest_asks_for_what_was_counted():
    spec = made(cores=2, memory="1Gi", peak=3)["spec"]["predictor"]
    assert (spec["minReplicas"], spec["maxReplicas"], spec["scaleTarget"]) == (5, 13, 24)
    (server,) = spec["containers"]
    assert server["resources"]["limits"] == {"cpu": "2", "memory": "1Gi"}
    assert server["readinessProbe"]["httpGet"]["path"] == "/v2/health/ready"


def test_its_command_is_one_of_the_command_line():
    from resnet_cli.options import make_parser

    (server,) = made()["spec"]["predictor"]["containers"]
    python, flag, module, *words = server["command"]
    assert (python, flag, module) == ("python", "-m", "resnet_lib")
    parser, _ = make_parser()
    given = vars(parser.parse_args(words))
    (mount,) = server["volumeMounts"]
    assert given == {"command": "serve", "repository": mount["mountPath"], "host": "0.0.0.0"}
    (port,) = server["ports"]
    assert port["containerPort"] == serving.ServerSettings().port


@pytest.mark.skipif("KSERVE_PYTHON" not in os.environ, reason="make manifests has KServe")
def test_kserve_knows_every_field():
    words = [os.environ["KSERVE_PYTHON"], "-c", READ_BACK]

    def read_back(manifest):
        text = json.dumps(manifest)
        found = subprocess.run(words, input=text, capture_output=True, text=True)
        return json.loads(found.stdout) if found.returncode == 0 else found.stderr

    assert read_back(made()) == made()
    wrong = made()
    wrong["spec"]["predictor"]["minReplica"] = 1
    assert "KeyError: 'minReplica'" in read_back(wrong)
    wrong = made()
    wrong["spec"]["predictor"]["containers"][0]["readynessProbe"] = {}
    assert read_back(wrong) == made(), "what a container cannot have is gone"
