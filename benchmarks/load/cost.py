"""`python -m benchmarks.load.cost`: the most CPU time that a small valid file can take.

One worker is sent small files made at random, one after another (see `small_files`). Prints the worst ratios of CPU
seconds to bytes, and the dearest files.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import httpx2
import numpy as np
import psutil

from benchmarks.load import service, small_files
from benchmarks.load.small_files import MOST_BYTES, Sample

FILES = 2_000
SEED = 7
SHOWN = 5
NOISE_SIDE_PX = 512


class Cost(NamedTuple):
    """What a file took.

    Attributes:
        sample: the file.
        status: of the answer.
        seconds: CPU time of the service.
    """

    sample: Sample
    status: int
    seconds: float

    def __str__(self) -> str:
        size = len(self.sample.content)
        return (
            f"{1000 * self.seconds / size:.2f} ms a byte, {self.seconds:.2f} s, {size:,} bytes, status {self.status}: "
            f"{self.sample.description} {self.sample.query} {self.sample.accept}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints what the files took."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.cost", description=__doc__)
    parser.add_argument("--files", type=int, default=FILES)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args(arguments)
    random = np.random.default_rng(options.seed)
    with service.start(DENOISE_WORKERS="1") as (process, url), httpx2.Client(base_url=url, timeout=None) as client:
        noise = small_files.noise(random, NOISE_SIDE_PX)
        per_pixel = min(measure(client, process, noise).seconds for _ in range(SHOWN)) / NOISE_SIDE_PX**2
        costs = [measure(client, process, small_files.make(random)) for _ in range(options.files)]
    print(f"A picture of {NOISE_SIDE_PX}×{NOISE_SIDE_PX} pixels of noise takes {1e6 * per_pixel:.2f} µs a pixel here.")
    print(f"{len(costs):,} files; answers: {dict(Counter(cost.status for cost in costs))}")
    for name, most in (("below 1 kB", 1000), ("below 10 kB", MOST_BYTES)):
        small = [cost for cost in costs if len(cost.sample.content) < most]
        print(f"\n{len(small):,} files {name}, the most CPU time a byte:")
        print(*sorted(small, key=lambda cost: cost.seconds / len(cost.sample.content))[: -SHOWN - 1 : -1], sep="\n")
        print("the most CPU time:")
        print(*sorted(small, key=lambda cost: cost.seconds)[: -SHOWN - 1 : -1], sep="\n")


def measure(client: httpx2.Client, process: psutil.Process, sample: Sample) -> Cost:
    """Sends a file and reads the CPU time that the service took for it."""
    before = cpu_seconds(process)
    answer = client.post(f"/denoise{sample.query}", content=sample.content, headers={"Accept": sample.accept})
    return Cost(sample, answer.status_code, cpu_seconds(process) - before)


def cpu_seconds(process: psutil.Process) -> float:
    """CPU time of a process so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    main()
