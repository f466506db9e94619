"""The playground shows what the models answer, changes it as one wishes, and gives it away."""

import base64
import io
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Locator, Page, Route, expect

from tests.conftest import CLEAN_7, NOISY_7
from tests.web.playground.conftest import NOISY_PAGE, answered, model, pixels, ratios, told, upload

HAS_RED = """() => {
    const canvas = document.getElementById("after");
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value, i) => i % 4 === 0 && value > data[i + 1] + 100);
}"""


def test_another_model_shows_its_hidden_code(page: Page) -> None:
    model(page, "basic_ae").click()
    told(page, "Given back by basic_ae")
    expect(page.locator("#code-told")).to_have_text(re.compile("^64 numbers are all that the model kept"))
    assert pixels(page.locator("#code")).shape == (8, 8)
    model(page, "conv_dae").click()
    told(page, "Denoised by conv_dae")
    expect(page.locator("#code-told")).to_have_text(re.compile(r"^512 numbers .* 32 maps of 4 × 4\.$"))
    model(page, "unet_dae").click()
    expect(page.locator("#code")).to_be_hidden()


def test_all_models_stand_side_by_side(page: Page) -> None:
    model(page, "All, side by side").click()
    told(page, "4 models have answered")
    for name in ("unet_dae", "conv_dae", "easy_dae", "basic_ae"):
        card = page.locator("#all li").filter(has=page.get_by_role("heading", name=name))
        expect(card.locator(".numbers")).to_have_text(re.compile(r"dB · [\d.]+ ms$"))
        assert pixels(card.locator("canvas")).max() > 200
    page.get_by_role("button", name="Look closer at easy_dae").click()
    told(page, "Denoised by easy_dae")


def test_a_slow_answer_does_not_come_after_a_newer_one(page: Page) -> None:
    held: list[Route] = []
    page.route("**/denoise?model=conv_dae*", lambda route: held.append(route))  # noqa: PLW0108  # Playwright marks it
    model(page, "conv_dae").click()
    model(page, "easy_dae").click()
    told(page, "Denoised by easy_dae")
    assert held
    held[0].continue_()
    page.wait_for_timeout(400)
    told(page, "Denoised by easy_dae")


def test_the_slider_lays_noise_over_the_picture(page: Page) -> None:
    upload(page, CLEAN_7)
    expect(page.locator("#psnr")).to_have_text("–")
    noise = page.get_by_role("slider", name="Lay noise over it")
    noise.fill("0.3")
    little, _ = ratios(page)
    noise.fill("0.6")
    expect(page.locator("#psnr")).not_to_contain_text(f"{little:.1f} →")
    much, after = ratios(page)
    assert much < little
    assert after > much + 5
    first = pixels(page.locator("#before"))
    page.get_by_role("button", name="Draw the noise anew").click()
    expect(page.locator("#psnr")).not_to_contain_text(f"{much:.1f} → {after:.1f}")
    assert (pixels(page.locator("#before")) != first).any()


def test_the_strength_changes_without_another_call(page: Page) -> None:
    upload(page, NOISY_7)
    expect(page.get_by_label("The picture noisy_7.png")).to_be_visible()
    expect(page.locator("#psnr")).to_have_text("–")
    clean = pixels(page.locator("#after")).astype(float)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.get_by_role("slider", name="Strength").fill("0.25")
    sent = pixels(page.locator("#before"))
    assert np.abs(pixels(page.locator("#after")) - (0.25 * clean + 0.75 * sent)).max() <= 2
    assert asked == []
    expect(page.locator("#call-text")).to_contain_text("strength=0.25")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    with Image.open(download.value.path()) as picture:
        assert np.abs(np.asarray(picture.convert("L")) - pixels(page.locator("#after")).astype(float)).max() <= 1


def coloured(canvas: Locator) -> np.ndarray:
    """What a canvas shows, `[height, width, 3]`."""
    png = canvas.evaluate("canvas => canvas.toDataURL()").split(",")[1]
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image.convert("RGB"))


def test_ink_keeps_its_colour_where_that_is_wanted(page: Page, tmp_path: Path) -> None:
    ink = np.asarray(Image.open(CLEAN_7).convert("L"))[:, :, None] / 255
    red = np.rint(255 * (1 - ink) + ink * (200, 20, 20)).astype(np.uint8)
    Image.fromarray(red).resize((112, 112)).save(tmp_path / "red.png")
    upload(page, tmp_path / "red.png")
    expect(page.get_by_label("The picture red.png")).to_be_visible()
    page.get_by_role("switch", name="Ink in its colour").click()
    expect(page.locator("#call-text")).to_contain_text("color=keep")
    page.wait_for_function(HAS_RED)
    shown = coloured(page.locator("#after")).astype(int)
    dark = shown.min(axis=2) < 100
    assert (shown[dark][:, 0] > shown[dark][:, 1] + 80).mean() > 0.9
    assert (coloured(page.locator("#before")) == np.asarray(Image.open(tmp_path / "red.png"))).all()


def test_one_may_say_whether_ink_is_dark(page: Page) -> None:
    upload(page, CLEAN_7)
    expect(page.locator("#polarity")).to_have_text("light ink, as it is")
    page.get_by_label("Ink", exact=True).select_option("dark on light")
    expect(page.locator("#polarity")).to_have_text("dark ink, turned over for it")
    expect(page.locator("#call-text")).to_contain_text("invert=true")


def test_warnings_stand_below_the_picture(page: Page) -> None:
    def warn(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"warnings": ["Most of the answer is ink."]})

    page.route("**/denoise?model=unet_dae*", warn)
    upload(page, NOISY_7)
    expect(page.get_by_role("list", name="Warnings")).to_have_text("Most of the answer is ink.")
    page.unroute("**/denoise?model=unet_dae*")
    upload(page, CLEAN_7)
    expect(page.get_by_role("list", name="Warnings")).to_be_hidden()


@pytest.mark.needs("curl")
@pytest.mark.parametrize("language", ["curl", "Python"])
def test_the_copied_call_works(page: Page, tmp_path: Path, language: str) -> None:
    model(page, "conv_dae").click()
    page.get_by_role("tab", name=language).click()
    with page.expect_download() as download:
        page.get_by_text("Save drawing.png").click()
    download.value.save_as(tmp_path / "drawing.png")
    page.get_by_role("button", name="Copy").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert "model=conv_dae&noise=0.4&seed=" in copied
    command = ["bash", "-ec", f"{copied} --fail --silent"] if language == "curl" else [sys.executable, "-c", copied]
    subprocess.run(command, cwd=tmp_path, check=True)
    with Image.open(tmp_path / "clean.png") as picture:
        assert picture.size == (28, 28)


def test_the_answer_can_be_saved(page: Page, server: httpx2.Client) -> None:
    upload(page, NOISY_7)
    expect(page.get_by_label("The picture noisy_7.png")).to_be_visible()
    expect(page.locator("#psnr")).to_have_text("–")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    assert download.value.suggested_filename == "noisy_7-unet_dae.png"
    with Image.open(download.value.path()) as picture:
        np.testing.assert_array_equal(np.asarray(picture), answered(server, NOISY_7))


def test_the_digits_of_a_page_are_shown_where_they_are(page: Page, server: httpx2.Client) -> None:
    upload(page, NOISY_PAGE)
    expect(page.get_by_label("The picture noisy_page.png")).to_be_visible()
    page.get_by_role("button", name="Find digits").click()
    found = server.post("/digits", content=NOISY_PAGE.read_bytes()).json()["digits"]
    told(page, f"{len(found)} digits found")
    boxes = page.locator("#boxes rect")
    expect(boxes).to_have_count(len(found))
    assert [boxes.first.get_attribute(name) for name in ("x", "width")] == [str(found[0]["x"]), str(found[0]["width"])]
    expect(page.get_by_role("img", name=re.compile(r"^digit \d+$"))).to_have_count(len(found))

    page.locator("#noise").fill("0.2")
    expect(boxes).to_have_count(0)
