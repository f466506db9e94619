"""The service, started to be measured."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def service(before: Sequence[str] = (), **settings: str) -> Iterator[tuple[psutil.Process, str]]:
    """Its process and its URL, for as long as the block runs. `before` is a command that runs what follows it.

    Ends this process when it does not start.
    """
    command = [*before, sys.executable, "-m", "denoise"]
    environment = os.environ | {"DENOISE_PORT": "0", "DENOISE_LOG_REQUESTS": "false"} | settings
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            found = re.search(r"http://[\d.:]+", process.stdout.readline())
            if not found:
                sys.exit("The service does not start.")
            yield psutil.Process(process.pid), found[0]
        finally:
            process.send_signal(signal.SIGINT)
