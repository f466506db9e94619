"""The table shows what was measured."""

from benchmarks.load import ray_cost
from benchmarks.serving.wrk import Measurement


def test_the_table_has_the_faster_one_first() -> None:
    medians = {
        (ray_cost.BY_RAY, 1): Measurement(100, 8, 10, cpu_us=9_000),
        (ray_cost.ALONE, 1): Measurement(1_000, 1, 1.5, cpu_us=900),
    }
    _, _, first, second = ray_cost.table(medians)
    assert first == f"| {ray_cost.ALONE} | 1 | 1,000 | 1.00 | 1.50 | 900 |  |"
    assert second.startswith(f"| {ray_cost.BY_RAY} | 1 | 100 |")


def test_the_page_has_the_place_for_it() -> None:
    text = ray_cost.DOCS.read_text(encoding="utf-8")
    assert text.index(ray_cost.START) < text.index(ray_cost.ALONE) < text.index(ray_cost.END)
