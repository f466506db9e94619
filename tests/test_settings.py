"""Settings come from the environment, wrong ones are named, and the container's CPU limit is found."""

from pathlib import Path

import pytest

from denoise import machine, settings
from denoise.errors import SetupError


def test_every_setting_comes_from_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENOISE_PORT", "9000")
    monkeypatch.setenv("DENOISE_DEVICE", "cpu")
    assert settings.read().port == 9000
    assert settings.read().device == "cpu"


@pytest.mark.parametrize(("name", "value"), [("PORT", "far"), ("PORT", "70000"), ("DEVICE", "tpu"), ("THREADS", "0")])
def test_a_wrong_value_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"DENOISE_{name}", value)
    with pytest.raises(SetupError, match=f"DENOISE_{name}={value} cannot be used"):
        settings.read()


def test_what_a_check_says_is_told_in_its_own_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DENOISE_CORS_ORIGINS", "example.org")
    with pytest.raises(SetupError, match=r"cannot be used: 'example\.org' is no origin"):
        settings.read()


def test_a_misspelt_setting_is_told() -> None:
    names = ["DENOISE_WORKER", "DENOISE_PORT", "DENOISE_API_KEY", "PATH", "DENOISE_COLOUR"]
    assert settings.unknown(names) == [
        "There is no setting DENOISE_COLOUR; docs/settings.md lists them.",
        "There is no setting DENOISE_WORKER; the nearest one is DENOISE_WORKERS.",
    ]


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"cpu.max": "250000 100000\n"}, 2.5),
        ({"cpu.max": "max 100000\n"}, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None),
        ({}, None),
    ],
    ids=["v2", "v2 unlimited", "v1", "v1 unlimited", "no control group"],
)
def test_the_quota_of_a_container_is_read(tmp_path: Path, files: dict[str, str], cpus: float | None) -> None:
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content)
    assert machine._quota(tmp_path) == cpus


def test_at_least_one_cpu_is_used() -> None:
    assert machine.cpus() >= 1
