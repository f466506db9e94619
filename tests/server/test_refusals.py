"""Pictures that there is no room for are known before the app has seen those that came with them."""

import asyncio
from types import SimpleNamespace
from typing import cast

from denoise.inference.gate import Gate
from denoise.server.refusals import Refusals
from denoise.settings import Settings
from denoise.web.state import Service


def room_for(pictures: int, **settings: object) -> Refusals:
    """The refusals of a service that takes so many."""
    gate = Gate(pictures, "pictures")
    service = SimpleNamespace(pictures=gate, draining=False, settings=Settings.model_validate(settings))
    return Refusals(cast("Service", service), ["/denoise"])


def test_pictures_that_came_in_this_turn_of_the_loop_are_counted() -> None:
    async def coming() -> list[bool]:
        refusals, loop, full = room_for(3), asyncio.get_running_loop(), []
        with refusals.service.pictures.admit(1):
            for _ in range(2):
                full.append(refusals.full)
                refusals.count_arrival(loop)
            full.append(refusals.full)
            await asyncio.sleep(0)
            return [*full, refusals.full]

    assert asyncio.run(coming()) == [False, False, True, False]


def test_a_picture_that_needs_a_key_is_never_refused_for_want_of_room() -> None:
    assert room_for(0).full
    assert not room_for(0, api_keys="secret").full


def test_a_refusal_is_a_problem_with_the_callers_id() -> None:
    head, _, body = room_for(1).refuse_picture("/denoise", "mine", keep_alive=True).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/problem+json\r\n")
    assert f"content-length: {len(body)}\r\n".encode() in head
    assert b"\r\nx-request-id: mine\r\n" in head
    assert b'"request_id":"mine"' in body
