"""A picture comes to the playground by mouse, file, clipboard or drop, and errors are told."""

import base64
import re
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.conftest import CLEAN_7, NOISY_7
from tests.web.playground.conftest import NOISY_PAGE, answered, pixels, ratios, upload

SEND = """([kind, name, type, base64]) => {
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], name, {type}));
    const event = kind === "paste" ? new ClipboardEvent(kind, {clipboardData: data, bubbles: true})
        : new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    document.body.dispatchEvent(event);
}"""


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
