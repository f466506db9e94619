"""The playground works by keyboard, on a phone and in the dark, with a key, and loads nothing from elsewhere."""

import re
import signal
from pathlib import Path

import httpx2
import pytest
from fastapi.testclient import TestClient
from playwright.sync_api import BrowserContext, Page, expect

from denoise.settings import Settings
from denoise.web.app import create_app
from tests.conftest import NOISY_7, Server
from tests.web.playground.conftest import NOISY_PAGE, model, told, upload


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
