"""The playground works in a real browser: with mouse, keyboard, clipboard and on a phone, and asks no other host."""

import base64
import io
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, Route, expect

from denoise.settings import Settings
from denoise.web.app import create_app
from tests.conftest import CLEAN_7, NOISY_7, ROOT, Server

WAIT_MS = 20_000
NOISY_PAGE = ROOT / "tests" / "digits" / "noisy_page.png"
REFUSED = "Failed to load resource: the server responded with a status of 4"  # is what some of these tests want
SEND = """([kind, name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, {type}));
    const event = kind === "paste" ? new ClipboardEvent(kind, {clipboardData: data, bubbles: true})
        : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    document.body.dispatchEvent(event);
}"""


HAS_RED = """() => {
    const canvas = document.getElementById("after");
    const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    return data.some((value, i) => i % 4 === 0 && value > data[i + 1] + 100);
}"""


@pytest.fixture
def context(chromium: Browser) -> Iterator[BrowserContext]:
    """A browser that nobody has used yet. Fails when a page in it asks another host or has an error to report."""
    context = chromium.new_context(
        viewport={"width": 1280, "height": 960}, permissions=["clipboard-read", "clipboard-write"]
    )
    context.set_default_timeout(WAIT_MS)
    asked: list[str] = []
    errors: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    context.on("weberror", lambda error: errors.append(str(error.error)))
    context.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    yield context
    hosts = {url.split("/")[2] for url in asked if not url.startswith(("data:", "blob:"))}
    context.close()
    assert len(hosts) == 1
    assert [error for error in errors if not error.startswith(REFUSED)] == []


@pytest.fixture
def page(context: BrowserContext, server: httpx2.Client) -> Page:
    """The playground, with what it shows at first."""
    page = context.new_page()
    page.goto(str(server.base_url))
    told(page, "Denoised by unet_dae")
    return page


def told(page: Page, sentence: str) -> None:
    """Waits until the status begins with the sentence."""
    expect(page.get_by_role("status")).to_have_text(re.compile(f"^{sentence}"), timeout=WAIT_MS)


def model(page: Page, name: str) -> Locator:
    return page.get_by_role("radio", name=name, exact=True).locator("..")


def upload(page: Page, *files: Path) -> None:
    page.get_by_label("Pictures", exact=True).set_input_files(files)


def pixels(canvas: Locator) -> np.ndarray:
    """What a canvas shows, grey, as `[height, width]`."""
    png = canvas.evaluate("canvas => canvas.toDataURL()").split(",")[1]
    with Image.open(io.BytesIO(base64.b64decode(png))) as image:
        return np.asarray(image.convert("L"))


def answered(server: httpx2.Client, file: Path) -> np.ndarray:
    """The service's own answer to a file."""
    with Image.open(io.BytesIO(server.post("/denoise", content=file.read_bytes()).content)) as image:
        return np.asarray(image)


def ratios(page: Page) -> tuple[float, float]:
    """PSNR before and after."""
    expect(page.locator("#psnr")).to_contain_text("→")
    before, after = re.findall(r"[\d.]+", page.locator("#psnr").inner_text())
    return float(before), float(after)


def test_the_clean_picture_appears_as_one_draws(page: Page) -> None:
    page.get_by_role("button", name="Clear").click()
    expect(page.locator("#after")).to_be_hidden()
    box = page.locator("#pad").bounding_box()
    assert box
    page.mouse.move(box["x"] + 168, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 168, box["y"] + 270, steps=8)
    expect(page.locator("#after")).to_be_visible()
    page.mouse.up()
    expect(page.locator("#facts")).to_have_attribute("aria-busy", "false")
    before, after = ratios(page)
    assert after > before + 5
    clean = pixels(page.locator("#after"))
    assert clean[8:20, 13:15].min() > 200
    assert clean[:, :9].max() < 50

    page.get_by_role("button", name="Undo").click()
    expect(page.locator("#after")).to_be_hidden()
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_an_upload_gets_what_the_service_answers(page: Page, server: httpx2.Client) -> None:
    upload(page, NOISY_PAGE)
    expect(page.locator("#polarity")).to_have_text(re.compile("^dark ink"))
    np.testing.assert_array_equal(pixels(page.locator("#after")), answered(server, NOISY_PAGE))


@pytest.mark.parametrize("way", ["paste", "drop"])
def test_a_picture_can_be_pasted_and_dropped(page: Page, server: httpx2.Client, way: str) -> None:
    page.evaluate(SEND, [way, "seven.png", "image/png", base64.b64encode(NOISY_7.read_bytes()).decode()])
    expect(page.get_by_label("The picture seven.png")).to_be_visible()
    expect(page.locator("#polarity")).to_have_text(re.compile("^light ink"))
    expect(page.locator("#psnr")).to_have_text("–")
    np.testing.assert_array_equal(pixels(page.locator("#after")), answered(server, NOISY_7))


def test_several_pictures_each_get_an_answer_and_a_bad_one_spoils_none(page: Page, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("hello")
    upload(page, NOISY_7, text, CLEAN_7, NOISY_PAGE, *[NOISY_7] * 3)
    thumbs = page.locator("#thumbs label")
    expect(thumbs).to_have_count(7)
    expect(thumbs.nth(1)).to_contain_text("failed")
    expect(page.get_by_role("button", name="Save", exact=True)).to_be_enabled()
    thumbs.nth(3).click()
    expect(page.get_by_label("The picture noisy_page.png")).to_be_visible()
    expect(page.locator("#after")).to_have_js_property("width", 168)
    downloads: list[str] = []
    page.on("download", lambda download: downloads.append(download.suggested_filename))
    with page.expect_event("download", lambda _: len(downloads) == 6):
        page.get_by_role("button", name="Save all").click()
    assert set(downloads) == {"clean_7-unet_dae.png", "noisy_7-unet_dae.png", "noisy_page-unet_dae.png"}


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


def test_an_error_is_told_in_the_services_own_words(page: Page, server: httpx2.Client, tmp_path: Path) -> None:
    text = tmp_path / "note.txt"
    text.write_text("hello")
    upload(page, text)
    detail = server.post("/denoise", content=b"hello").json()["detail"]
    expect(page.get_by_role("alert")).to_have_text(detail)
    expect(page.locator("#after")).to_be_hidden()
    upload(page, NOISY_7)
    expect(page.get_by_role("alert")).to_be_hidden()


def test_a_file_over_the_limit_is_not_sent(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.pgm"
    large.write_bytes(b"P5 8000 5000 255\n" + bytes(40_000_000))
    upload(page, large)
    expect(page.get_by_role("alert")).to_have_text("large.pgm has 40 MB; the service takes up to 33.6 MB.")


def test_the_keyboard_is_enough(page: Page) -> None:
    page.locator("body").press("Tab")
    for _ in range(20):
        if page.evaluate("document.activeElement.querySelector('img')?.alt ?? ''").startswith("A five"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_label("The picture salt-and-pepper.png")).to_be_visible()
    told(page, "Denoised by unet_dae")
    split = page.get_by_role("slider", name="Before and after")
    split.press("ArrowRight")
    expect(split).to_have_attribute("aria-valuetext", "51 % before, 49 % after")


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


def test_each_page_of_a_scan_is_a_picture(page: Page, tmp_path: Path) -> None:
    first, second = Image.open(NOISY_PAGE).convert("L"), Image.open(NOISY_7).convert("L")
    first.save(tmp_path / "scan.tif", save_all=True, append_images=[second])
    upload(page, tmp_path / "scan.tif")
    thumbs = page.locator("#thumbs label")
    expect(thumbs).to_have_count(2)
    expect(page.locator("#after")).to_have_js_property("width", first.width)
    thumbs.nth(1).click()
    expect(page.locator("#after")).to_have_js_property("width", 28)
    expect(thumbs.nth(1)).to_contain_text("scan-2.tif")
    expect(page.locator("#call-text")).to_contain_text("@scan.tif")
    expect(page.locator("#call-text")).to_contain_text("page=2")


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


def test_on_a_phone_the_clean_picture_is_as_wide_as_the_pad(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    for file in (NOISY_PAGE, NOISY_7):
        upload(page, file)
        expect(page.get_by_label(f"The picture {file.name}")).to_be_visible()
        pad = page.locator("#pad").bounding_box()
        assert pad
        expect(page.locator("#compare")).to_have_css("width", f"{pad['width']:.0f}px")


@pytest.mark.parametrize("view", ["unet_dae", "All, side by side"])
def test_a_phone_shows_it_in_one_column(page: Page, view: str) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    model(page, view).click()
    told(page, "Denoised" if view == "unet_dae" else "4 models")
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    pad, result = (page.locator(each).bounding_box() for each in ("#pad", ".result"))
    assert pad
    assert result
    assert pad["width"] == result["width"] == 328
    assert pad["y"] + pad["height"] < result["y"]


def test_it_is_dark_where_the_reader_wants_it_dark(page: Page) -> None:
    def tones() -> list[int]:
        colours = page.evaluate(
            "(({color, backgroundColor}) => [color, backgroundColor])(getComputedStyle(document.documentElement))"
        )
        return [int(re.findall(r"\d+", colour)[0]) for colour in colours]

    ink, paper = tones()
    assert max(ink, 255 - paper) < 60
    page.emulate_media(color_scheme="dark")
    ink, paper = tones()
    assert max(paper, 255 - ink) < 60


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


def test_a_key_is_asked_for_where_one_is_needed(context: BrowserContext, tiny_models: Path) -> None:
    running = Server(DENOISE_API_KEYS="open sesame", DENOISE_MODELS=str(tiny_models), DENOISE_WORKERS="1")
    try:
        page = context.new_page()
        page.goto(running.url())
        expect(page.get_by_role("alert")).to_contain_text("A key is needed here")
        page.get_by_label("API key").fill("open sesame")
        page.get_by_label("API key").press("Enter")
        told(page, "Denoised by copy")
        expect(page.locator("#call-text")).to_contain_text("$DENOISE_KEY")
        expect(page.locator("#call-text")).not_to_contain_text("sesame")
    finally:
        running.ended(signal.SIGINT)


def test_the_page_may_load_nothing_from_elsewhere(server: httpx2.Client) -> None:
    page = server.get("/")
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert "style=" not in page.text
    script = server.get("/static/playground/playground.js")
    assert script.headers["Cache-Control"] == "no-cache"  # an old one beside a new page would not fit
    assert script.headers["X-Content-Type-Options"] == "nosniff"
    assert re.findall(r'(?:href|src)="(?:/|\w+:)[^"]*"', page.text) == []  # it works behind any prefix


@pytest.mark.parametrize("prefix", ["", "/digits"])
def test_it_can_be_turned_off(tiny_models: Path, prefix: str) -> None:
    app = create_app(Settings(models=tiny_models, ui=False))
    with TestClient(app, root_path=prefix, follow_redirects=False) as client:
        assert client.get("/").headers["Location"] == f"{prefix}/docs"
