"""A signal is heeded whenever it comes."""

import asyncio
import io
import logging
import os
import signal
import sys
from pathlib import Path

import pytest
import uvicorn

from denoise.server.listener import Listener, Slot, bind
from denoise.server.process import Server
from denoise.settings import Settings
from denoise.web.app import create_app


class Interrupted(io.RawIOBase):
    """A place for log lines; while the first one is being written there, SIGTERM comes."""

    came = False

    def writable(self) -> bool:
        """As any such place."""
        return True

    def write(self, line: object) -> int:
        """Takes all of a line."""
        if not self.came:
            self.came = True
            os.kill(os.getpid(), signal.SIGTERM)
        return len(bytes(line))  # type: ignore[arg-type]  # A buffer, whatever its class.


def test_a_process_drains_that_is_stopped_amid_a_line_of_its_log(
    tiny_models: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "denoise")
    settings = Settings(models=tiny_models, port=0, drain_seconds=0)
    app = create_app(settings)
    stream = io.TextIOWrapper(io.BufferedWriter(Interrupted()), line_buffering=True)
    line = logging.LogRecord("denoise", logging.INFO, "", 0, "answered", (), None)
    with bind(settings) as listening:
        server = Server(uvicorn.Config(app), app, Listener(listening, [Slot()], 0))
        before = signal.signal(signal.SIGTERM, server.handle_exit)
        handler = logging.StreamHandler(stream)
        logging.getLogger("denoise").addHandler(handler)
        monkeypatch.setattr(sys, "stderr", stream)  # An error of the log is told there.
        try:
            handler.handle(line)
        finally:
            logging.getLogger("denoise").removeHandler(handler)
            signal.signal(signal.SIGTERM, before)
            monkeypatch.undo()
        assert server.service.draining
        assert asyncio.run(server.on_tick(1))
