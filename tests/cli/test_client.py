"""A service is believed nothing: what is no picture, no tensor or no list of models is an error in a sentence."""

import json
from typing import Any

import numpy as np
import pytest

from denoise.cli import client
from denoise.cli.client import HttpClient, Unanswered
from denoise.errors import BadParameter
from denoise.pictures import images
from denoise.pictures.parameters import Parameters
from tests.cli.conftest import Answer, Fake
from tests.conftest import CLEAN_7

PICTURE = images.encode(np.full((28, 28), 0.5, np.float32), "png")
PNG = {"Content-Type": "image/png"}
OCTETS = {"Content-Type": "application/octet-stream"}
CARD = {"name": "m", "default": True, "task": "denoise", "title": "t", "scores": {"psnr": 1.0}}
CARD |= {"inputs": [{"name": "image", "shape": ["batch", 28, 28, 1]}]}


def clean(fake: Fake, *answers: Answer) -> bytes:
    fake.answers = list(answers)
    return HttpClient(fake.url).clean(CLEAN_7.read_bytes(), "png", "denoise", Parameters(model="m", noise=0.5)).content


def run(fake: Fake, answer: Answer) -> Any:
    fake.answers = [answer]
    return HttpClient(fake.url).run("m", np.zeros((2, 28, 28, 1), np.float32)).pixels


def test_a_picture_is_asked_for_with_its_parameters(fake: Fake) -> None:
    assert clean(fake, (200, PNG, PICTURE)) == PICTURE
    assert fake.asked == ["/denoise?model=m&noise=0.5"]


def test_how_sure_an_answer_is_is_believed_where_it_can_be(fake: Fake) -> None:
    for told, number in (("0.25", 0.25), ("", None), ("no number", None), ("nan", None), ("7", None)):
        fake.answers = [(200, PNG | {"X-Uncertainty": told}, PICTURE)]
        assert HttpClient(fake.url).clean(b"", "png", "denoise", Parameters()).uncertainty == number


def test_other_kinds_are_known_by_how_they_begin_and_end(fake: Fake) -> None:
    pixels = np.full((28, 28), 0.5, np.float32)
    for kind in ("jpeg", "webp", "tiff"):
        whole = images.encode(pixels, kind)
        fake.answers = [(200, {"Content-Type": f"image/{kind}"}, whole)]
        assert HttpClient(fake.url).clean(b"", kind, "denoise", Parameters()).content == whole
        fake.answers = [(200, {"Content-Type": f"image/{kind}"}, whole[3:])]
        with pytest.raises(Unanswered, match=f"bytes that are no {kind.upper()}"):
            HttpClient(fake.url).clean(b"", kind, "denoise", Parameters())


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((302, {"Location": "/elsewhere"}, b"moved"), "The service answers 302 Found."),
        ((204, PNG, b""), "The service answers 204 No Content."),
        ((206, PNG, PICTURE), "The service answers 206"),
        ((200, {"Content-Type": "text/html"}, b"<html>log in</html>"), "with text/html, not with image/png"),
        ((200, {"Content-Type": "application/json"}, b"{}"), "with application/json, not with image/png"),
        ((200, {}, PICTURE), "with no Content-Type, not with image/png"),
        ((200, PNG, b""), "with 0 bytes that are no PNG"),
        ((200, PNG, b"no picture"), "with 10 bytes that are no PNG"),
        ((200, PNG, PICTURE[:-1]), "bytes that are no PNG"),
        ((200, PNG | {"Content-Length": "9999"}, PICTURE[:500]), "bytes that are no PNG"),
        ((400, {}, b'{"detail": "The image is cut."}'), "^The image is cut.$"),
        ((400, {}, b'{"detail": {"a": 1}}'), "The service answers 400 Bad Request."),
        ((500, {}, b"[" * 50_000), "The service answers 500 Internal Server Error."),
    ],
)
def test_what_is_no_picture_is_an_error(fake: Fake, answer: Answer, words: str) -> None:
    if "9999" in answer[1].values():
        fake.server.RequestHandlerClass.protocol_version = "HTTP/1.0"  # type: ignore[attr-defined]  # It hangs up.
    with pytest.raises(Unanswered, match=words):
        clean(fake, answer)
    assert len(fake.asked) == 1


def test_an_endless_answer_is_read_to_the_limit(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PICTURE_BYTES", 100_000)
    with pytest.raises(Unanswered, match="answers with more than 100,000 bytes"):
        clean(fake, (200, PNG, PICTURE + bytes(10_000_000)))
    with pytest.raises(Unanswered, match="The service answers 500"):
        clean(fake, (500, PNG, bytes(10_000_000)))


@pytest.mark.parametrize("value", ["0", "0.01", "-1", "²", "nan", "1e3", "", "9" * 5000, "soon", "\x1b[31m"])
def test_whatever_retry_after_says_the_wait_is_sane(value: str) -> None:
    assert 0 <= client._wait_seconds(value) <= client.LONGEST_WAIT_SECONDS


def test_a_date_to_retry_after_is_understood() -> None:
    assert client._wait_seconds("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert client._wait_seconds("Wed, 21 Oct 2065 07:28:00 GMT") == client.LONGEST_WAIT_SECONDS


def test_a_busy_service_is_asked_again_and_given_up(fake: Fake) -> None:
    busy = (429, {"Retry-After": "0"}, b'{"detail": "Too many."}')
    assert clean(fake, busy, busy, (200, PNG, PICTURE)) == PICTURE
    fake.asked.clear()
    with pytest.raises(Unanswered, match=r"Too many\."):
        clean(fake, *[busy] * (client.MOST_TRIES + 5))
    assert len(fake.asked) == client.MOST_TRIES


@pytest.mark.parametrize(
    "content",
    [
        b'{"models": [{"name": 1}]}',
        b'{"models": "abc"}',
        b'{"models": {"a": 1}}',
        json.dumps({"models": [CARD | {"task": "../v2"}]}).encode(),
        json.dumps({"models": [CARD | {"name": "m" * 1000}]}).encode(),
        b"null",
        b"",
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_odd_models_are_an_error(fake: Fake, content: bytes) -> None:
    fake.answers = [(200, {}, content)]
    with pytest.raises(Unanswered, match="it lists no models"):
        HttpClient(fake.url).models()


def test_an_address_without_models_below_it_is_told(fake: Fake) -> None:
    fake.answers = [(404, {"Content-Type": "application/problem+json"}, b'{"detail": "Not Found"}')]
    with pytest.raises(Unanswered, match=r"is no service's address: there is no .*/denoise/models"):
        HttpClient(f"{fake.url}/denoise").models()


def test_a_service_tells_its_version(fake: Fake) -> None:
    fake.answers = [(200, {}, b'{"versions": {"denoise": "7.1", "python": "3"}, "device": "cpu"}')]
    assert HttpClient(fake.url).version() == "7.1"
    assert fake.asked == ["/info"]


@pytest.mark.parametrize("status", [200, 401, 404])
@pytest.mark.parametrize(
    "content",
    [
        b'{"versions": {"denoise": 7}}',
        b'{"versions": {"denoise": ""}}',
        json.dumps({"versions": {"denoise": "7" * 1000}}).encode(),
        b'{"versions": {"denoise": "\\ud800"}}',
        b'{"versions": "7.1"}',
        b'{"models": []}',
        b"null",
        b"",
        b"<html>",
        b"[" * 50_000,
        b"\xff",
    ],
)
def test_a_service_that_tells_no_version_has_an_unknown_one(fake: Fake, status: int, content: bytes) -> None:
    fake.answers = [(status, {}, content)]
    assert HttpClient(fake.url).version() == client.UNKNOWN_VERSION


def test_a_service_at_fault_is_asked_for_no_more(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "INFO_BYTES", 100_000)
    for answer, words in (
        ((500, {}, b'{"detail": "It broke."}'), r"^It broke\.$"),
        ((502, {}, b"<html>"), "The service answers 502 Bad Gateway"),
        ((200, {}, bytes(10_000_000)), "answers with more than 100,000 bytes"),
    ):
        fake.answers = [answer]
        with pytest.raises(Unanswered, match=words):
            HttpClient(fake.url).version()


def test_a_card_tells_the_size_of_pictures(fake: Fake) -> None:
    odd = CARD | {"inputs": []}
    fake.answers = [(200, {}, json.dumps({"models": [CARD, odd]}).encode())]
    assert [card.size for card in HttpClient(fake.url).models()] == [(28, 28), None]


def test_a_tensor_is_taken_whole_and_within_its_range(fake: Fake) -> None:
    values = np.full((2, 28, 28, 1), 0.25, "<f4")
    head = {"Inference-Header-Content-Length": "2"}
    np.testing.assert_array_equal(run(fake, (200, OCTETS | head, b"{}" + values.tobytes())), values)
    for answer in (
        (200, OCTETS | head, b"{}" + values.tobytes()[:-4]),
        (200, OCTETS | {"Inference-Header-Content-Length": "-2"}, b"{}" + values.tobytes()),
        (200, OCTETS | {"Inference-Header-Content-Length": "\xb2"}, b"{}" + values.tobytes()),
        (200, OCTETS, b"{}" + values.tobytes()),
        (200, {"Content-Type": "application/json"} | head, b"{}" + values.tobytes()),
    ):
        with pytest.raises(Unanswered, match="not with the tensor"):
            run(fake, answer)
    for odd in (np.nan, np.inf, 255):
        with pytest.raises(Unanswered, match="answers with values from"):
            run(fake, (200, OCTETS | head, b"{}" + (values * np.float32(odd)).tobytes()))


def test_a_connection_that_was_closed_meanwhile_is_opened_again(fake: Fake) -> None:
    fake.answers = [(200, PNG | {"Connection": "close"}, PICTURE)]
    service = HttpClient(fake.url)
    for _ in range(3):
        assert service.clean(b"", "png", "denoise", Parameters()).content == PICTURE


@pytest.mark.parametrize("key", ["line\nbreak", "schlüssel", "\x00"])
def test_a_key_that_no_header_can_carry_is_told(key: str) -> None:
    with pytest.raises(BadParameter, match="The key cannot be sent"):
        HttpClient("http://127.0.0.1:9", key)


def test_what_is_wrong_with_the_connection_is_told_in_words(fake: Fake) -> None:
    with pytest.raises(Unanswered, match=r"No service answers at http://127.0.0.1:9: Connection refused\."):
        HttpClient("127.0.0.1:9").models()
    fake.server.RequestHandlerClass.do_GET = lambda handler: handler.wfile.write(b"SSH-2.0\r\n")  # type: ignore[attr-defined]
    with pytest.raises(Unanswered, match="No service answers at"):
        HttpClient(fake.url).models()
