"""Starts a stack's server, waits until it answers, and ends it with every process that it has started."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import psutil

from benchmarks.checkouts import THIS
from benchmarks.serving import requests
from benchmarks.serving.lineup import Stack

LONGEST_START_S = 60
SETTLE_S = 1  # After the first answer, a stack's other processes start as well.
STOP_S = 10
QUIET = {
    "OMP_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "BENTOML_DO_NOT_TRACK": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Unset, Ray leaves loopback on some systems.
}


@contextmanager
def start(stack: Stack) -> Iterator[tuple[psutil.Process, str]]:
    """The stack's process and its URL, for as long as the block runs. Ends this process when it does not answer."""
    port = free_port()
    command = [part.replace("PORT", port) for part in stack.command]
    with (
        tempfile.TemporaryFile("w+") as log,
        subprocess.Popen(
            command, cwd=stack.folder, env=environment(stack, port), stdout=log, stderr=log, start_new_session=True
        ) as server,
    ):
        process = psutil.Process(server.pid)
        url = f"http://127.0.0.1:{port}{stack.path}"
        try:
            _wait_for_answer(stack, url, server, log)
            time.sleep(SETTLE_S)
            yield process, url
        finally:
            _end(process)


def free_port() -> str:
    """A port of loopback on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def environment(stack: Stack, port: str) -> dict[str, str]:
    """The variables that the stack's server starts with."""
    model = stack.folder / "models" / f"{stack.model or 'conv_dae'}.onnx"
    own = {name: value.replace("PORT", port) for name, value in stack.environment.items()}
    return os.environ | THIS.environment | QUIET | {"PORT": port, "MODEL": str(model)} | own


def _wait_for_answer(stack: Stack, url: str, server: subprocess.Popen[bytes], log: IO[str]) -> None:
    until = time.monotonic() + LONGEST_START_S
    while requests.answer(stack, url) is None:
        if server.poll() is not None or time.monotonic() > until:
            log.seek(0)
            sys.exit(f"{stack.row} does not answer:\n{log.read()[-3000:]}")
        time.sleep(0.2)


def _end(process: psutil.Process) -> None:
    family = [process]
    with contextlib.suppress(psutil.NoSuchProcess):
        family = [*process.children(recursive=True), process]
        process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(family, timeout=STOP_S)
    for member in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            member.kill()
