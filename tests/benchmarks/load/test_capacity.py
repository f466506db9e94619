"""What a rate takes is cost times rate, by what Kubernetes asks for."""

import pytest
import yaml

from benchmarks.load import capacity
from benchmarks.load.capacity import Cost
from tests.conftest import ROOT

BASE = ROOT / "deploy" / "kubernetes" / "base"


def test_the_published_costs_are_found() -> None:
    assert all(100 < capacity.published_us(model) < 5000 for model in capacity.MODELS)


@pytest.mark.parametrize(("rate", "pods"), [(1, 2), (1_200, 2), (6_000, 10)])
def test_pods_are_cost_times_rate_at_the_target_and_two_at_least(rate: int, pods: int) -> None:
    assert capacity.pods_for(rate, cpu_us=1000) == pods


def test_pods_are_what_kubernetes_asks_for() -> None:
    spec = yaml.safe_load((BASE / "autoscaler.yaml").read_text(encoding="utf-8"))["spec"]
    assert spec["minReplicas"] == capacity.LEAST_PODS
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 100 * capacity.TARGET_UTILIZATION
    deployment = yaml.safe_load((BASE / "deployment.yaml").read_text(encoding="utf-8"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": f"{capacity.POD_MIB}Mi"}


def test_the_page_shows_what_was_measured() -> None:
    text = "\n".join(capacity.report([Cost("`unet_dae`, a digit", 1800.0, 1500.0, 800, 1200)], load=0.5))
    assert "| `unet_dae`, a digit | 1,800 | 1,500 | 800 | 1,200 |" in text
    assert "| `unet_dae`, a digit | 1,000 | 1.5 | 3 | 2 | 6 | 10 |" in text


def test_the_script_finds_where_its_part_of_the_page_begins() -> None:
    assert capacity.DOCS.read_text(encoding="utf-8").count(capacity.FIRST_HEADING) == 1
