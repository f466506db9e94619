"""The documentation pages work in a browser that reaches no other host; an upload through them shows the picture."""

import re

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import CLEAN_7, NOISY_7

WAIT_MS = 30_000


@pytest.fixture(scope="module")
def page(chromium: Browser) -> Page:
    """A page in it."""
    page = chromium.new_page()
    page.set_default_timeout(WAIT_MS)
    return page


def test_the_page_names_and_asks_no_other_host(server: httpx2.Client, page: Page) -> None:
    asked: list[str] = []
    errors: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(f"{server.base_url}/docs")
    expect(page.get_by_text("Take the noise off a picture of a digit").locator("visible=true").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    others = [url for url in asked if not url.startswith((str(server.base_url), "data:", "blob:"))]
    assert others == []
    assert errors == []
    hosts = re.findall(r"https?://[^\"'\s<]*", server.get("/docs").text)
    assert hosts == []


def test_an_upload_through_try_it_out_shows_the_picture(server: httpx2.Client, page: Page) -> None:
    page.goto(f"{server.base_url}/docs")
    operation = page.locator("#operations-images-denoise")
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.locator("input[type=file]").set_input_files(NOISY_7)
    operation.get_by_role("button", name="Execute").click()
    picture = operation.locator(".response-col_description img").first
    expect(picture).to_be_visible()
    expect(picture).to_have_js_property("naturalWidth", 28)
    expect(picture).to_have_js_property("naturalHeight", 28)
    expect(operation.locator(".live-responses-table .response .response-col_status").first).to_contain_text("200")


def test_several_files_through_try_it_out_give_a_zip(server: httpx2.Client, page: Page) -> None:
    page.goto(f"{server.base_url}/docs")
    operation = page.locator("#operations-images-denoise")
    operation.locator(".opblock-summary").click()
    operation.get_by_role("button", name="Try it out").click()
    for number, picture in enumerate((NOISY_7, CLEAN_7)):
        if number:
            operation.get_by_role("button", name="Add string item").click()
        operation.locator("input[type=file]").nth(number).set_input_files(picture)
    operation.get_by_role("button", name="Execute").click()
    live = operation.locator(".live-responses-table")
    expect(live.locator(".response .response-col_status").first).to_contain_text("200")
    expect(live).to_contain_text("application/zip")
    expect(live.get_by_text("Download file")).to_be_visible()
    expect(live).to_contain_text("x-failed-items: 0")


@pytest.mark.parametrize("path", ["/", "/static/swagger-ui/LICENSE"])
@pytest.mark.parametrize("wanted", ["bytes=0-9", "bytes=999999999-", "no range"])
def test_a_file_comes_whole_whatever_range_is_asked_for(server: httpx2.Client, path: str, wanted: str) -> None:
    whole = server.get(path)
    part = server.get(path, headers={"Range": wanted})
    assert (part.status_code, part.content) == (200, whole.content)
    assert "bytes" not in part.headers.get("Accept-Ranges", "")
