"""Threads side by side that hold up nobody who stops them: one that waits for a silent service is left behind."""

import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

END_SECONDS = 5.0  # What still runs when the work is stopped gets this time to end.

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def map_in_threads(
    function: Callable[[Argument], Result], arguments: Iterable[Argument], threads: int
) -> Generator[Result]:
    """What a function gives for each argument, in their order, at most twice as many ahead as there are threads.

    `ThreadPoolExecutor` would wait for all that runs, however long that takes. These threads are daemons: those that
    have not ended after END_SECONDS end with the process.
    """
    tasks: SimpleQueue[tuple[Future[Result], Argument] | None] = SimpleQueue()

    def work() -> None:
        while task := tasks.get():
            future, argument = task
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function(argument))
                except BaseException as error:
                    future.set_exception(error)

    workers = [Thread(target=work, daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    running: deque[Future[Result]] = deque()
    try:
        for argument in arguments:
            running.append(Future())
            tasks.put((running[-1], argument))
            if len(running) > 2 * threads:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
    finally:
        for future in running:
            future.cancel()
        for _ in workers:
            tasks.put(None)
        deadline = time.monotonic() + END_SECONDS
        for worker in workers:
            worker.join(max(0.0, deadline - time.monotonic()))
