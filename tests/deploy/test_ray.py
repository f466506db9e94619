"""The service on a real Ray cluster of two nodes, as deploy/ray/serve.yaml has it: the same answers from either."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml
from fastapi.testclient import TestClient

from tests.conftest import NOISY_7, ROOT, START_S, RayCluster, wait_until
from tests.deploy.test_compose import PNG, free_ports

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::DeprecationWarning", "ignore::FutureWarning"
)
CONFIG = yaml.safe_load((ROOT / "deploy" / "ray" / "serve.yaml").read_text(encoding="utf-8"))
DIGIT = NOISY_7.read_bytes()


@pytest.fixture(scope="module")
def served(ray_cluster: RayCluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """The committed file, but for the port, and one proxy: two nodes of one machine would share its port."""
    (port,) = free_ports(1)
    config = CONFIG | {"proxy_location": "HeadOnly", "http_options": CONFIG["http_options"] | {"port": port}}
    config["applications"][0]["deployments"][0] |= {"max_replicas_per_node": 1}
    config["applications"][0]["deployments"][0]["autoscaling_config"] |= {"max_replicas": 2}
    path = tmp_path_factory.mktemp("serve") / "serve.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    program = Path(sys.executable).with_name("serve")
    with (path.parent / "log").open("w") as log:
        running = subprocess.Popen([program, "run", path, "--address", ray_cluster.address], stdout=log, stderr=log)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=START_S) as client:
        deadline = time.monotonic() + 2 * START_S
        while not ready(client) or len(replicas(client)) < 2:
            assert time.monotonic() < deadline, (path.parent / "log").read_text()
            assert running.poll() is None, (path.parent / "log").read_text()
            time.sleep(0.2)
        yield client
    running.send_signal(2)
    running.wait(START_S)


def ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/readyz").status_code == httpx2.codes.OK
    except httpx2.TransportError:
        return False


def replicas(client: httpx2.Client) -> set[str]:
    lines = client.get("/metrics").text.splitlines()
    return {
        line.partition('replica="')[2].partition('"')[0] for line in lines if line.startswith("denoise_model_info{")
    }


def test_the_answers_are_the_services_own(served: httpx2.Client, real: TestClient) -> None:
    there, here = (client.post("/denoise", content=DIGIT, headers=PNG) for client in (served, real))
    assert there.content == here.content
    assert there.headers["X-Model"] == here.headers["X-Model"]
    assert served.get("/docs").text == real.get("/docs").text
    assert served.get("/openapi.json").json() == real.get("/openapi.json").json()
    assert served.get("/readyz").json() == {"ready": True}
    there, here = (client.post("/denoise", content=b"x" * 40_000_000, headers=PNG) for client in (served, real))
    assert there.status_code == here.status_code == httpx2.codes.REQUEST_ENTITY_TOO_LARGE
    assert there.json()["detail"] == here.json()["detail"]


def test_metrics_are_told_of_all_replicas(served: httpx2.Client) -> None:
    before = answered(served)
    for _ in range(20):
        served.post("/denoise", content=DIGIT, headers=PNG)
    assert answered(served) == before + 20


def answered(client: httpx2.Client) -> float:
    """Pictures that all replicas tell of."""
    lines = client.get("/metrics").text.splitlines()
    counts = [line for line in lines if line.startswith("denoise_request_duration_seconds_count{")]
    return sum(float(line.split()[-1]) for line in counts if 'route="/denoise",status="200"' in line)


def test_a_node_that_is_lost_is_missed_for_a_moment(served: httpx2.Client, ray_cluster: RayCluster) -> None:
    outcomes: Counter[str] = Counter()
    over = threading.Event()
    expected = served.post("/denoise", content=DIGIT, headers=PNG).content

    def call() -> None:
        while not over.is_set():
            answer = served.post("/denoise", content=DIGIT, headers=PNG)
            outcomes[str(answer.status_code) if answer.content == expected else answer.text] += 1

    callers = [threading.Thread(target=call) for _ in range(4)]
    for caller in callers:
        caller.start()
    wait_until(lambda: outcomes["200"] > 20)
    ray_cluster.lose()
    time.sleep(2)  # The health checks of RayCluster need one second to find the loss.
    before = outcomes.copy()
    wait_until(lambda: outcomes.total() > before.total() + 20)
    over.set()
    for caller in callers:
        caller.join()
    ray_cluster.another()
    assert before.total() - before["200"] <= len(callers)  # what the node had is all that can be lost
    assert outcomes - before == Counter({"200": outcomes["200"] - before["200"]})
