"""`python -m benchmarks.load.ray_cost`: what Ray Serve costs a request, beside the service by itself.

The same app, in one process (`python -m denoise`) and in one replica of Ray Serve's on a cluster of this machine alone,
answers the same 28×28 PNG. They take turns, a round each, with 1 and with 16 callers, and their medians go into the
table in docs/ray.md. Needs wrk and the extra `ray`.
"""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence

from benchmarks import ROOT
from benchmarks.serving import requests, servers, wrk
from benchmarks.serving.lineup import Stack
from benchmarks.serving.table import median
from benchmarks.serving.wrk import Measurement

DOCS = ROOT / "docs" / "ray.md"
START, END = "<!-- python -m benchmarks.load.ray_cost writes from here -->", "<!-- to here -->"
CALLERS = (1, 16)
ROUNDS = 3
MODEL = "conv_dae"
STORE_BYTES = 100 * 1024 * 1024

ALONE = "the service by itself, one process"
BY_RAY = "the same under Ray Serve, one replica"


def stacks() -> list[Stack]:
    """The service by itself and under Ray Serve."""
    quiet = {"DENOISE_PORT": "PORT", "DENOISE_LOG_REQUESTS": "false", "DENOISE_WORKERS": "1", "DENOISE_THREADS": "1"}
    path = f"/denoise?model={MODEL}"
    return [
        Stack(ALONE, MODEL, (sys.executable, "-m", "denoise"), path=path, environment=quiet),
        Stack(
            BY_RAY, MODEL, (sys.executable, "-m", "benchmarks.load.ray_cost", "--serve"), path=path, environment=quiet
        ),
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures both."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.ray_cost", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--serve", action="store_true", help="serve by Ray on the port PORT, and measure nothing")
    options = parser.parse_args(arguments)
    if options.serve:
        serve()
        return
    measured: dict[tuple[str, int], list[Measurement]] = {}
    for number in range(options.rounds):
        for stack in stacks():
            with servers.start(stack) as (process, url):
                requests.check_pixels(stack, url)
                for callers in CALLERS:
                    figure = wrk.drive(stack, process, url, callers)
                    measured.setdefault((stack.name, callers), []).append(figure)
                    print(f"round {number + 1}, {stack.name}, {callers} callers: {figure}", flush=True)
    text = "\n".join(table({key: median(figures) for key, figures in measured.items()}))
    print(text)
    page = DOCS.read_text(encoding="utf-8")
    before, after = page[: page.index(START)], page[page.index(END) :]
    DOCS.write_text(f"{before}{START}\n{text}\n{after}", encoding="utf-8")


def table(medians: dict[tuple[str, int], Measurement]) -> Iterator[str]:
    """The figures, in Markdown."""
    yield "| | callers | requests/s | p50, ms | p99, ms | CPU of all processes, µs a request | failed |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for (name, callers), middle in sorted(medians.items(), key=lambda one: (one[0][1], -one[1].requests_s)):
        failed = f"{middle.failed:.0%}" if middle.failed else ""
        yield (
            f"| {name} | {callers} | {middle.requests_s:,.0f} | {middle.p50_ms:.2f} | {middle.p99_ms:.2f} | "
            f"{middle.cpu_us:,.0f} | {failed} |"
        )


def serve() -> None:
    """The service under Ray Serve, until the process is ended."""
    import ray  # noqa: PLC0415  # the service by itself is measured without Ray
    from ray import serve as ray_serve  # noqa: PLC0415  # likewise

    from denoise.server.ray_serve import Replica  # noqa: PLC0415  # likewise

    ray.init(
        "local",
        num_cpus=2,
        object_store_memory=STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
    )
    ray_serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    replica = Replica.options(  # type: ignore[attr-defined]  # the decorator makes a deployment of it
        num_replicas=1, max_ongoing_requests=64, logging_config={"enable_access_log": False}
    )
    ray_serve.run(replica.bind(), name="denoise", route_prefix="/")
    while True:
        time.sleep(1)


if __name__ == "__main__":
    main()
