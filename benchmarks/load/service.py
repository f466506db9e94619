"""Starts the service so that it can be measured."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psutil

from benchmarks.checkouts import THIS, Checkout


@contextmanager
def start(
    before: Sequence[str] = (), checkout: Checkout = THIS, **settings: str
) -> Iterator[tuple[psutil.Process, str]]:
    """The service's process and its URL, for as long as the block runs. Ends this process when it does not start.

    Args:
        before: a command that runs the command that follows it, such as `taskset`.
        checkout: the version of the project that serves.
        settings: environment variables.
    """
    command = [*before, *checkout.command]
    quiet = {"DENOISE_PORT": "0", "DENOISE_LOG_REQUESTS": "false"}
    environment = os.environ | checkout.environment | quiet | settings
    with subprocess.Popen(command, cwd=checkout.folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            address = re.search(r"http://[\d.:]+", process.stdout.readline())
            if not address:
                sys.exit(f"The service in {checkout.folder} does not start.")
            yield psutil.Process(process.pid), address[0]
        finally:
            process.send_signal(signal.SIGINT)


def resident_bytes(process: psutil.Process) -> int:
    """Resident memory of a process and of all that it has started."""
    return sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])
