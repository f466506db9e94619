"""A turn at the threads lasts as long as its thread, work ends with the caller for whom it is done, and is counted."""

import asyncio
import math
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.requests import ClientDisconnect
from starlette.types import Message

from denoise.inference.denoiser import Denoiser
from denoise.inference.gate import DEAR_SHARE
from denoise.inference.turns import FairLimiter
from denoise.pictures import Pixels, framing
from denoise.settings import Settings
from denoise.web.app import create_app
from denoise.web.state import Service, ThreadTurns, while_connected
from tests.web.conftest import check_problem, png


def test_a_turn_that_is_cancelled_is_over_when_its_thread_has_ended() -> None:
    running: list[int] = []
    most: list[int] = []
    lock = threading.Lock()

    def work() -> None:
        with lock:
            running.append(1)
            most.append(len(running))
        time.sleep(0.02)
        with lock:
            running.pop()

    async def hang_up_again_and_again() -> int:
        limiter = FairLimiter(1)
        for _ in range(5):
            task = asyncio.ensure_future(ThreadTurns(limiter, object()).run(work))
            await asyncio.sleep(0.01)
            task.cancel()
        await ThreadTurns(limiter, object()).run(work)
        return limiter.taken

    assert asyncio.run(hang_up_again_and_again()) == 0
    assert max(most) == 1


def test_work_is_cancelled_when_its_caller_goes() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def gone() -> None:
        request = Request({"type": "http"}, receive)
        with pytest.raises(ClientDisconnect):
            await while_connected(request, asyncio.sleep(60))

    asyncio.run(gone())


def test_a_large_picture_of_fine_strokes_is_refused_where_only_an_easy_one_has_room(
    tiny_models: Path, digits: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles = math.ceil(math.sqrt(1.2 * framing.LARGE_PICTURE) / 28)
    content = png(1 - np.tile(digits[0], (tiles, tiles)))
    settings = Settings(models=tiny_models)
    app: FastAPI = create_app(settings)
    with TestClient(app) as client:
        service: Service = app.state.service
        seconds_a_pixel = 5e-6
        monkeypatch.setattr(service.costs, "of_pixel", lambda _: seconds_a_pixel)
        room = service.costs.of_picture(service.model("any"), tiles**2 * 28**2, framing.LARGE_PICTURE) + 0.1
        most = DEAR_SHARE * settings.deadline_seconds * service.threads.most
        with service.work.admit(most - room):
            check_problem(
                client.post("/reconstruct?model=any", content=content), 429, "seconds of work by large requests"
            )
        assert client.post("/reconstruct?model=any", content=content).status_code == 200


def test_every_model_that_had_a_large_picture_gives_its_memory_back(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gave_back: list[str] = []
    monkeypatch.setattr(Denoiser, "give_back", lambda model: gave_back.append(model.name))
    service: Service = create_app(Settings(models=tiny_models)).state.service
    first, second = (Request({"type": "http"}) for _ in range(2))

    async def overlap() -> None:
        async with service.turns(first, service.model("any"), 10_000, service.deadline()):
            async with service.turns(second, service.model("half"), 10_000, service.deadline()):
                pass
            assert not gave_back

    asyncio.run(overlap())
    assert sorted(gave_back) == ["any", "half"]
