"""The score sheet in docs/ shows what is measured, and tuning finds the best there is."""

import numpy as np
import pytest

from benchmarks.quality import __main__ as quality
from benchmarks.quality import figures, sheet
from benchmarks.quality.classical import METHODS, Method, tune
from tests.conftest import ROOT, Pixels

SHEET = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")


def test_measured_again_all_figures_are_as_committed_but_one_that_is_not_true(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    committed = figures.read()
    wrong = figures.Figure(**{**vars(committed[0]), "ssim": committed[0].ssim - 0.006})
    monkeypatch.setattr(figures, "read", lambda: [wrong, *committed[1:]])
    with pytest.raises(SystemExit, match=f"ssim={wrong.ssim}"):
        quality.main(["--quick"])
    assert " 1 of them not as in " in capsys.readouterr().out


def test_the_sheet_has_every_figure_of_its_file() -> None:
    for figure in figures.read():
        assert f" {figure.psnr:.2f} " in SHEET, figure
        assert figure.pictures.split(",")[0].lower() in SHEET.lower()


def test_the_default_model_is_better_than_its_input_and_than_every_classical_method() -> None:
    committed = figures.read()
    for key in {figure.key[:3] for figure in committed if figure.noise != figures.CLEAN}:
        psnr = {figure.method: figure.psnr for figure in committed if figure.key[:3] == key}
        assert psnr[sheet.BEST] > psnr[figures.INPUT], key
        assert psnr[sheet.BEST] > max(psnr[method] for method in METHODS), key


@pytest.mark.parametrize("climb", [False, True])
@pytest.mark.parametrize("best", [0.3, 0.6, 0.9])
def test_tuning_finds_the_best_value(digits: Pixels, best: float, climb: bool) -> None:
    def towards(picture: Pixels, value: float) -> Pixels:
        return (picture + np.float32(abs(value - best))).astype(np.float32)

    value, answer = tune(Method(towards, (0.1, 0.3, 0.6, 0.9), climb), digits[:3], digits[:3] * np.float32(0.99))
    assert value == best
    assert np.allclose(answer[..., 0], digits[:3])


@pytest.mark.parametrize("method", [name for name in METHODS if name != "BM3D"])
def test_every_classical_method_takes_off_some_noise(digits: Pixels, method: str) -> None:
    clean = digits[:3]
    drawn = np.random.default_rng(0).standard_normal(clean.shape, dtype=np.float32)
    noisy = np.clip(clean + np.float32(0.3) * drawn, 0, 1)
    _, answer = tune(METHODS[method], noisy, clean)
    assert np.mean(np.square(answer[..., 0] - clean)) < np.mean(np.square(noisy - clean))
