"""What Compose starts beside the service: HAProxy, run here in front of real servers, and what monitoring shows."""

import contextlib
import json
import re
import shutil
import signal
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from grafana_foundation_sdk.cog import encoder, plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from denoise.metrics import REGISTRY
from tests import tools
from tests.conftest import ROOT, Server, wait_until

DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((DEPLOY / "grafana" / "denoise.json").read_text(encoding="utf-8"))
DIGIT = (ROOT / "tests" / "digits" / "noisy_7.png").read_bytes()
PNG = {"Content-Type": "image/png"}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_confined(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["pids_limit"]


@pytest.mark.parametrize("name", ["api", "api-gpu", "replica"])
def test_a_file_of_keys_becomes_a_secret_of_each_container_of_the_service(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["secrets"] == ["api_keys"]
    assert service["environment"]["DENOISE_API_KEYS_FILE"] == "${DENOISE_API_KEYS_FILE:+/run/secrets/api_keys}"
    assert COMPOSE["secrets"]["api_keys"]["file"].startswith("${DENOISE_API_KEYS_FILE:-")


def test_what_is_scaled_has_no_port_of_the_host_and_goes_by_the_balancers_name_for_it() -> None:
    replica = COMPOSE["services"]["replica"]
    assert "ports" not in replica
    assert replica["networks"]["default"]["aliases"] == ["replicas"]
    assert " replicas:8000\n" in (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "mounted", [volume.split(":")[0] for each in COMPOSE["services"].values() for volume in each.get("volumes", ())]
)
def test_what_is_mounted_is_there(mounted: str) -> None:
    assert (ROOT / mounted).is_file() or mounted in COMPOSE["volumes"]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


@pytest.fixture
def replicas() -> Iterator[list[Server]]:
    running = [Server(DENOISE_WORKERS="1", DENOISE_DRAIN_SECONDS="2") for _ in range(2)]
    yield running
    for each in running:
        if each.process.poll() is None:
            each.ended(signal.SIGKILL)


@pytest.fixture
def balanced(replicas: list[Server], tmp_path: Path) -> Iterator[httpx2.Client]:
    """HAProxy with the committed file, but for the addresses: here are no containers with a DNS of their own."""
    public, own = free_ports(2)
    text = (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    servers = "\n".join(f"    server r{n} {each.url().removeprefix('http://')}" for n, each in enumerate(replicas))
    text = re.sub(r"    server-template .*", servers, text)
    text = text.replace(
        "timeout tunnel", "timeout check 10s\n    timeout tunnel"
    )  # A busy machine has no dead replicas.
    text = text.replace("bind :8000", f"bind 127.0.0.1:{public}").replace("bind :8405", f"bind 127.0.0.1:{own}")
    (tmp_path / "haproxy.cfg").write_text(text, encoding="utf-8")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [tools.path("haproxy"), "-db", "-f", tmp_path / "haproxy.cfg"], stdout=log, stderr=log
        )
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{public}", timeout=60) as client:
            wait_until(lambda: ready(own) == len(replicas))
            yield client
    finally:
        process.terminate()
        process.wait(10)


def ready(port: int) -> int:
    """How many replicas have passed HAProxy's check."""
    with contextlib.suppress(httpx2.TransportError):
        lines = httpx2.get(f"http://127.0.0.1:{port}/metrics").text.splitlines()
        passed = re.compile(r'haproxy_server_check_status\{proxy="replicas",.*state="L7OK".*\} 1$')
        return sum(bool(passed.match(line)) for line in lines)
    return 0


@pytest.mark.needs("haproxy")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_request_is_lost_when_a_replica_dies_or_stops(
    balanced: httpx2.Client, replicas: list[Server], how: signal.Signals
) -> None:
    outcomes: Counter[int] = Counter()
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            outcomes[balanced.post("/denoise", content=DIGIT, headers=PNG).status_code] += 1

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_until(lambda: outcomes.total() > 100)
    replicas[0].ended(how)
    before = outcomes.total()
    wait_until(lambda: outcomes.total() > before + 100)
    over.set()
    for caller in callers:
        caller.join()
    assert set(outcomes) == {httpx2.codes.OK}


@pytest.mark.needs("haproxy")
def test_what_the_balancer_answers_itself(balanced: httpx2.Client, replicas: list[Server]) -> None:
    assert balanced.get("/metrics").json()["status"] == httpx2.codes.NOT_FOUND
    for each in replicas:
        each.ended(signal.SIGKILL)
    answer = balanced.post("/denoise", content=DIGIT, headers=PNG)
    assert answer.status_code == answer.json()["status"] == httpx2.codes.SERVICE_UNAVAILABLE
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.headers["Retry-After"]


def missing(given: Any, known: Any, path: str = "") -> list[str]:
    """Where `given` has what `known` does not."""
    match given, known:
        case dict(), dict():
            return [where for key in given for where in missing(given[key], known.get(key), f"{path}/{key}")]
        case list(), list() if len(given) == len(known):
            return [where for n, one in enumerate(given) for where in missing(one, known[n], f"{path}/{n}")]
    return [] if given == known else [path]


def known_to_grafana(dashboard: dict[str, Any]) -> list[str]:
    """The fields that Grafana's own schema does not have: its library reads what it knows and writes that again."""
    plugins.register_default_plugins()
    return missing(dashboard, json.loads(encoder.JSONEncoder().encode(Dashboard.from_json(dashboard))))


def test_grafana_knows_every_field_of_the_dashboard() -> None:
    assert known_to_grafana(DASHBOARD) == []
    assert known_to_grafana(DASHBOARD | {"pannels": []}) == ["/pannels"]


@pytest.mark.needs("promtool")
def test_prometheus_takes_its_files_and_raises_each_alert_for_what_it_is_for(tmp_path: Path) -> None:
    for name in ("prometheus/prometheus.yml", "prometheus/alerts.yml"):
        shutil.copy(DEPLOY / name, tmp_path)
    shutil.copy(Path(__file__).parent / "alerts_test.yml", tmp_path)
    for words in (("check", "config", "prometheus.yml"), ("test", "rules", "alerts_test.yml")):
        checked = subprocess.run(
            [str(tools.path("promtool")), *words], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_alerts_are_about_what_the_service_tells_and_each_is_tried() -> None:
    text = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    names = {re.sub(r"_(bucket|count)$", "", name) for name in re.findall(r"denoise_\w+", text)}
    assert names <= {each.name for each in REGISTRY.collect()}
    tried = (Path(__file__).parent / "alerts_test.yml").read_text(encoding="utf-8")
    assert set(re.findall(r"alert: (\w+)", text)) == set(re.findall(r"alertname: (\w+)", tried))


def test_the_dashboard_shows_all_that_the_service_tells() -> None:
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    names = {re.sub(r"_(bucket|count|sum|total)$", "", name) for name in re.findall(r"denoise_\w+", shown)}
    assert names == {each.name for each in REGISTRY.collect() if each.name.startswith("denoise_")}
