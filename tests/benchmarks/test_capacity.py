"""The simulation keeps to the formulas that are known, and to what Kubernetes is told."""

import numpy as np
import pytest
import yaml

from benchmarks import capacity
from benchmarks.capacity import Autoscaler, Cost
from benchmarks.serving import Measured
from tests.conftest import ROOT

BASE = ROOT / "deploy" / "kubernetes" / "base"


@pytest.mark.parametrize("utilization", [0.3, 0.6, 0.8])
def test_one_pod_waits_as_a_queue_with_random_arrivals_and_equal_services_does(utilization: float) -> None:
    """Pollaczek and Khinchine: the mean wait of M/D/1 is ρs / 2(1 − ρ)."""
    service_s = 0.002
    run = capacity.steady(1, utilization, service_s, seconds=1200)
    assert run.refused == 0
    assert run.waits_s.mean() == pytest.approx(utilization * service_s / (2 * (1 - utilization)), rel=0.1)


def test_pods_that_share_the_work_wait_less_than_one_alone() -> None:
    alone, together = (capacity.steady(pods, 0.8, 0.002).wait_ms(99) for pods in (1, 10))
    assert together < alone / 3


def test_what_is_too_much_is_refused() -> None:
    fixed = Autoscaler(least=1, most=1)
    run = capacity.simulate([2000.0] * 60, 0.001, fixed, queue=100)
    assert run.refused_share == pytest.approx(0.5, abs=0.02)
    assert run.waits_s.max() <= 0.1


def test_the_same_seed_gives_the_same_run() -> None:
    first, again, other = (capacity.simulate([500.0] * 60, 0.002, Autoscaler(), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.waits_s, again.waits_s)
    assert not np.array_equal(first.waits_s, other.waits_s)


@pytest.mark.parametrize(
    ("current", "use", "desired"),
    [
        (4, 0.6, 4),
        (4, 0.65, 4),  # within a tenth of the target
        (4, 0.9, 6),
        (3, 1.0, 5),  # use ends at one: no more than 1.67 times as many
        (4, 0.3, 2),
        (2, 0.1, 2),
        (9, 1.0, 10),
    ],
)
def test_desired_is_what_would_bring_use_to_the_target(current: int, use: float, desired: int) -> None:
    assert Autoscaler().desired(current, use) == desired


def test_pods_come_at_once_and_go_slowly() -> None:
    autoscaler = Autoscaler(most=100)
    assert autoscaler.step(2, [50], before=2) == 6
    assert autoscaler.step(20, [50], before=20) == 40
    assert autoscaler.step(20, [18, 5], before=20) == 18  # the highest wish of the window
    assert autoscaler.step(20, [5, 5], before=20) == 16  # a fifth in a minute
    assert autoscaler.step(16, [5, 5], before=20) == 16


def test_pods_follow_the_load_up_and_down() -> None:
    rates = [400.0] * 60 + [3000.0] * 300 + [400.0] * 900
    pods = capacity.simulate(rates, 0.001, Autoscaler()).pods
    assert pods[0] == 2
    assert max(pods) in (5, 6)
    assert pods[-1] == 2


def test_callers_who_wait_for_their_answers_wait_for_all_others() -> None:
    told = capacity.closed(1, 16, 0.001)
    assert told.rate == pytest.approx(1000, rel=0.01)
    assert (told.p50_ms, told.p99_ms) == pytest.approx((16, 16))
    assert capacity.closed(2, 64, 0.001).rate == pytest.approx(2000, rel=0.01)


def test_the_published_costs_are_found() -> None:
    assert all(100 < capacity.told_us(model) < 5000 for model in capacity.MODELS)


def test_what_a_rate_takes() -> None:
    assert capacity.pods_for(1, 1000) == 2
    assert capacity.pods_for(1_200, 1000) == 2
    assert capacity.pods_for(6_000, 1000) == 10


def test_it_is_the_autoscaler_that_kubernetes_gets() -> None:
    spec = yaml.safe_load((BASE / "autoscaler.yaml").read_text(encoding="utf-8"))["spec"]
    ours, down = Autoscaler(), spec["behavior"]["scaleDown"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (ours.least, ours.most)
    assert spec["metrics"][0]["resource"]["target"]["averageUtilization"] == 100 * ours.target
    assert down["stabilizationWindowSeconds"] == ours.window_s
    (policy,) = down["policies"]
    assert policy == {"type": "Percent", "value": 100 * ours.fewer, "periodSeconds": capacity.FEWER_S}
    deployment = yaml.safe_load((BASE / "deployment.yaml").read_text(encoding="utf-8"))
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["requests"] == {"cpu": "1", "memory": f"{capacity.POD_MIB}Mi"}


def test_the_page_tells_what_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "STEADY_S", 5)
    monkeypatch.setattr(capacity, "BASE", 0.02)
    costs = [Cost("`unet_dae`, a digit", 1800.0, 1500.0, 800, 1200)]
    text = "\n".join(capacity.report(costs, [(1, 16, Measured(640, 24.0, 30.0, 1800))], load=0.5))
    assert "| `unet_dae`, a digit | 1,800 | 1,500 | 800 | 1,200 |" in text
    assert "| `unet_dae`, a digit | 1,000 | 1.5 | 3 | 2 | 6 | 10 |" in text
    assert "| 1 | 16 | 556, 640 | 28.8, 24.0 | 28.8, 30.0 |" in text


def test_the_script_finds_where_its_part_of_the_page_begins() -> None:
    assert capacity.DOCS.read_text(encoding="utf-8").count(capacity.TOLD) == 1
