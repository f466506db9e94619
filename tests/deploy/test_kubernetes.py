"""What kustomize makes of the overlays fits Kubernetes' own schemas, and agrees with the service and its image."""

import copy
import re
import subprocess
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
import yaml
from fastapi.testclient import TestClient

from denoise import settings
from denoise.errors import SetupError
from denoise.server.process import SHUTDOWN_S
from denoise.settings import Settings
from tests import tools
from tests.conftest import ROOT

pytestmark = pytest.mark.needs("kubectl")
OVERLAYS = ("cpu", "gpu")
VERSIONS = ("1.32", "1.37")  # of Kubernetes
PROBES = {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")


@cache
def built(overlay: str) -> dict[str, Any]:
    """An overlay's objects by their kind, as kustomize makes them."""
    command = [tools.path("kubectl"), "kustomize", ROOT / "deploy" / "kubernetes" / overlay]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return {each["kind"]: each for each in yaml.safe_load_all(text)}


def pod(overlay: str) -> dict[str, Any]:
    return built(overlay)["Deployment"]["spec"]["template"]["spec"]


def container(overlay: str) -> dict[str, Any]:
    return pod(overlay)["containers"][0]


def environment(overlay: str) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in container(overlay)["env"]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_kubernetes_knows_every_field(overlay: str, version: str) -> None:
    kinds = {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "NetworkPolicy"}
    assert set(built(overlay)) == kinds
    for each in built(overlay).values():
        kubernetes_validate.validate(each, version, strict=True)


def test_a_misspelt_field_is_found() -> None:
    deployment = copy.deepcopy(built("cpu")["Deployment"])
    of_the_pod = deployment["spec"]["template"]["spec"]
    of_the_pod["terminationGracePeriodSecond"] = of_the_pod.pop("terminationGracePeriodSeconds")
    with pytest.raises(kubernetes_validate.ValidationError, match="terminationGracePeriodSecond"):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_is_about_these_pods_and_no_others(overlay: str) -> None:
    objects = built(overlay)
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert labels
    assert objects["Service"]["spec"]["selector"] == labels
    assert objects["NetworkPolicy"]["spec"]["podSelector"] == {"matchLabels": labels}
    assert objects["PodDisruptionBudget"]["spec"]["selector"] == {"matchLabels": labels}
    assert objects["Deployment"]["spec"]["selector"] == {"matchLabels": labels}
    for spread in pod(overlay)["topologySpreadConstraints"]:
        assert spread["labelSelector"] == {"matchLabels": labels}
    target = objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", objects["Deployment"]["metadata"]["name"])
    assert "replicas" not in objects["Deployment"]["spec"]  # which would undo what the autoscaler has done


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_probes_and_scrapes_ask_routes_that_the_service_has(overlay: str, real: TestClient) -> None:
    assert {name: container(overlay)[name]["httpGet"]["path"] for name in PROBES} == PROBES
    annotations = built(overlay)["Deployment"]["spec"]["template"]["metadata"]["annotations"]
    for path in (*PROBES.values(), annotations["prometheus.io/path"]):
        assert real.get(path).is_success
    (port,) = container(overlay)["ports"]
    assert f"DENOISE_PORT={port['containerPort']}" in DOCKERFILE
    assert annotations["prometheus.io/port"] == str(port["containerPort"])
    named = [container(overlay)[name]["httpGet"]["port"] for name in PROBES]
    named += [each["targetPort"] for each in built(overlay)["Service"]["spec"]["ports"]]
    named += [each["port"] for each in built(overlay)["NetworkPolicy"]["spec"]["ingress"][0]["ports"]]
    assert set(named) == {port["name"]}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_service_takes_the_settings(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    told = environment(overlay)
    assert {name.removeprefix("DENOISE_").lower() for name in told} <= set(Settings.model_fields)
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    read = settings.read()
    assert read.workers == 1
    assert read.api_keys == ()  # what comes of no Secret
    assert pod(overlay)["terminationGracePeriodSeconds"] > read.drain_seconds + SHUTDOWN_S


def test_what_kubernetes_would_set_by_itself_is_kept_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Service gives every pod <its name>_PORT=tcp://…, which is a setting's name here."""
    name = built("cpu")["Service"]["metadata"]["name"]
    monkeypatch.setenv(f"{name.upper()}_PORT", "tcp://10.96.0.7:80")
    with pytest.raises(SetupError):
        settings.read()
    assert not any(pod(overlay)["enableServiceLinks"] for overlay in OVERLAYS)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_a_pod_is_confined_as_the_container_is(overlay: str) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)
    assert user
    of_the_pod = pod(overlay)["securityContext"]
    assert (of_the_pod["runAsUser"], of_the_pod["runAsGroup"]) == (int(user[1]), int(user[2]))
    assert of_the_pod["runAsNonRoot"]
    assert of_the_pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(overlay)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert [each["mountPath"] for each in container(overlay)["volumeMounts"]] == ["/tmp"]
    assert not pod(overlay)["automountServiceAccountToken"]
    assert built(overlay)["NetworkPolicy"]["spec"]["egress"] == []


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_the_image_is_a_target_of_the_dockerfile(overlay: str) -> None:
    assert container(overlay)["image"] == f"denoise:{overlay}"
    assert re.search(rf"^FROM service AS {overlay}$", DOCKERFILE, re.MULTILINE)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_no_pod_goes_before_another_serves(overlay: str) -> None:
    assert built(overlay)["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
    budget = built(overlay)["PodDisruptionBudget"]["spec"]
    assert built(overlay)["HorizontalPodAutoscaler"]["spec"]["minReplicas"] > budget["maxUnavailable"]


def test_the_overlays_differ_in_the_device_alone() -> None:
    assert environment("cpu")["DENOISE_DEVICE"] == "cpu"
    assert environment("gpu")["DENOISE_DEVICE"] == "cuda"
    assert "nvidia.com/gpu" not in container("cpu")["resources"]["limits"]
    assert container("gpu")["resources"]["limits"]["nvidia.com/gpu"] == 1
    cpu, gpu = (copy.deepcopy(built(overlay)) for overlay in OVERLAYS)
    for objects in (cpu, gpu):
        of_the_pod = objects["Deployment"]["spec"]["template"]["spec"]
        of_the_pod.pop("tolerations", None)
        (only,) = of_the_pod["containers"]
        del only["image"], only["resources"], only["startupProbe"]["failureThreshold"]
        only["env"] = [each for each in only["env"] if each["name"] != "DENOISE_DEVICE"]
    assert cpu == gpu
