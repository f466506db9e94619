"""`python -m benchmarks.load.replicas`: whether requests are lost when replicas die, come or restart.

Starts the Compose file's profile `scale`, three replicas behind a balancer, under a project name of its own, and has
callers send pictures the whole time while one replica is killed, others are added, and all are restarted in turn.
Prints for each of these how many requests were sent and what became of them. Needs Docker with Compose v2.
"""

import argparse
import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import httpx2

from benchmarks import DIGIT, PAGE, ROOT

REQUESTS_PER_PAGE = 20  # The other requests are digits.
CALLERS = 16
STEADY_S = 10.0
LONGEST_START_S = 60.0
PROJECT = "denoise-replicas"


class Step(NamedTuple):
    """What became of the requests that were sent during one change of the replicas.

    Attributes:
        outcomes: how often each status came, or each kind of failure.
    """

    name: str
    outcomes: Counter[str]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures; ends the process with status 1 when a request was lost."""
    argparse.ArgumentParser(prog="python -m benchmarks.load.replicas", description=__doc__).parse_args(arguments)
    os.environ |= {"DENOISE_PORT": "0", "DENOISE_BALANCER_PORT": "0"}  # Docker takes ports that are free.
    _compose("up", "--detach", "--build", "--scale", "replica=2")
    try:
        steps = asyncio.run(_measure("http://" + _compose("port", "balancer", "8000").strip()))
    finally:
        _compose("down", "--volumes", "--timeout", "5")
    print(table(steps))
    sys.exit(any(outcome != "200" for step in steps for outcome in step.outcomes))


def table(steps: Sequence[Step]) -> str:
    """The steps as a table in Markdown."""
    rows = ["| what happened | requests | answered with the picture | lost |", "| --- | ---: | ---: | --- |"]
    for name, outcomes in steps:
        lost = ", ".join(f"{count:,} ({outcome})" for outcome, count in outcomes.items() if outcome != "200") or "none"
        rows.append(f"| {name} | {outcomes.total():,} | {outcomes['200']:,} | {lost} |")
    return "\n".join(rows)


async def _measure(address: str) -> list[Step]:
    await _wait_until_healthy()
    limits = httpx2.Limits(max_connections=CALLERS, max_keepalive_connections=CALLERS)
    async with httpx2.AsyncClient(base_url=address, limits=limits, timeout=60) as client:
        expected = {
            picture: (await _send(client, picture)).content for picture in (DIGIT.read_bytes(), PAGE.read_bytes())
        }
        return [
            Step(name, await _under_load(client, expected, change))
            for name, change in (
                ("three replicas, nothing happens", _nothing),
                ("one is killed (SIGKILL)", _kill),
                ("two are started: the killed one, and a fourth", _add),
                ("all four are restarted, one after the other", _restart),
            )
        ]


async def _under_load(
    client: httpx2.AsyncClient, expected: dict[bytes, bytes], change: Callable[[], Awaitable[None]]
) -> Counter[str]:
    """Sends pictures for as long as `change` takes, and counts what comes back."""
    outcomes: Counter[str] = Counter()
    digit, page = expected
    over = asyncio.Event()

    async def call() -> None:
        number = 0
        while not over.is_set():
            number += 1
            picture = digit if number % REQUESTS_PER_PAGE else page
            try:
                response = await _send(client, picture)
            except httpx2.TransportError as error:
                outcomes[type(error).__name__] += 1
            else:
                wrong = response.status_code == httpx2.codes.OK and response.content != expected[picture]
                outcomes["another picture" if wrong else str(response.status_code)] += 1

    async with asyncio.TaskGroup() as callers:
        for _ in range(CALLERS):
            callers.create_task(call())
        try:
            await change()
            await asyncio.sleep(STEADY_S / 2)  # What the change leads to counts as well.
        finally:
            over.set()
    return outcomes


async def _send(client: httpx2.AsyncClient, picture: bytes) -> httpx2.Response:
    return await client.post("/denoise", content=picture, headers={"Content-Type": "image/png"})


async def _nothing() -> None:
    await asyncio.sleep(STEADY_S / 2)


async def _kill() -> None:
    await _run("docker", "kill", "--signal", "KILL", _containers()[-1])


async def _add() -> None:
    await asyncio.to_thread(_compose, "up", "--detach", "--no-recreate", "--scale", "replica=3")
    await _wait_until_healthy()


async def _restart() -> None:
    for container in _containers():
        await _run("docker", "restart", "--time", "20", container)
        await _wait_until_healthy()


async def _wait_until_healthy() -> None:
    """Waits until Docker calls every replica healthy. Raises TimeoutError when one stays ill."""
    async with asyncio.timeout(LONGEST_START_S):
        while any(health != "healthy" for health in await _healths()):  # noqa: ASYNC110  # Docker must be asked again and again
            await asyncio.sleep(0.5)


async def _healths() -> list[str]:
    return (await _run("docker", "inspect", "--format", "{{.State.Health.Status}}", *_containers())).split()


def _containers() -> list[str]:
    return _compose("ps", "--quiet", "api", "replica").split()


async def _run(*command: str) -> str:
    return await asyncio.to_thread(
        lambda: subprocess.run(command, check=True, text=True, stdout=subprocess.PIPE).stdout
    )


def _compose(*command: str) -> str:
    whole = ["docker", "compose", "--project-name", PROJECT, "--profile", "scale", *command]
    return subprocess.run(whole, check=True, text=True, stdout=subprocess.PIPE, cwd=ROOT).stdout


if __name__ == "__main__":
    main()
