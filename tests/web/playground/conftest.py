"""What tests of the playground share: its page in an unused browser, and what one does and sees there."""

import base64
import io
import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from tests.conftest import ROOT

WAIT_MS = 20_000
NOISY_PAGE = ROOT / "tests" / "digits" / "noisy_page.png"
# The browser's own words for a request that is refused, which some of these tests want.
REFUSED = "Failed to load resource: the server responded with a status of 4"


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
