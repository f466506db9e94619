"""`python -m benchmarks.load.soak`: whether memory stays where it was under a hundred thousand mixed requests.

Starts the service, sends it pictures of many kinds and sizes for every model, whole and broken, and compares the
resident memory of its processes at the end with that after the first requests, when every model has run on every size.
One request in fifty asks for far more work or memory than its bytes are worth, as an attacker would.
"""

import argparse
import base64
import collections
import gzip
import io
import json
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import numpy as np
import psutil
from PIL import Image

from benchmarks.load import service

REQUESTS, FIRST_REQUESTS = 100_000, 5_000
CALLERS = 8
MOST_GROWTH_PERCENT = 10.0
SIDES_PX = ((28, 28), (28, 28), (28, 28), (8, 8), (40, 90), (64, 64), (120, 300), (500, 400))  # height, width
CHARSET = "text/plain; charset=punycode"
KINDS = ("PNG", "PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
MODES = ("L", "L", "RGB", "RGBA", "1", "P")
ROUTES = ("/denoise", "/denoise?model=conv_dae", "/denoise?model=easy_dae", "/denoise?layout=strip", "/reconstruct")
BROKEN_SHARE, HOSTILE_SHARE = 0.1, 0.02
# Before memory is measured: so many large pictures one after another, on new connections, which reach every worker.
LARGE_PICTURES, PAUSE_S = 8, 0.25
# Damaged files that say they are large count as long work: others are refused (429) or wait too long (504) behind them.
ALLOWED = {200, 400, 406, 413, 415, 422, 429, 504}


def main(arguments: Sequence[str] | None = None) -> None:
    """Sends the requests; ends the process with status 1 when memory grew, or when a status is not in ALLOWED."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load.soak", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS)
    parser.add_argument("--first", type=int, default=FIRST_REQUESTS, help="requests before memory is measured first")
    parser.add_argument("--growth", type=float, default=MOST_GROWTH_PERCENT, help="of memory, in percent, at most")
    parser.add_argument("--workers", default="2")
    options = parser.parse_args(arguments)
    with service.start(DENOISE_WORKERS=options.workers) as (process, url):
        before, after, statuses, slowest_s = soak(url, process, options.first, options.requests)
    print(f"answers: {dict(sorted(statuses.items()))}, the slowest after {slowest_s:.1f} s")
    print(
        f"resident memory of {options.workers} workers: {before / 2**20:.0f} MiB after {options.first:,} requests, "
        f"{after / 2**20:.0f} MiB after {options.requests:,}: {after / before - 1:+.1%}"
    )
    if after > (1 + options.growth / 100) * before or not set(statuses) <= ALLOWED:
        sys.exit(1)


def soak(
    url: str, process: psutil.Process, first: int, requests: int
) -> tuple[int, int, collections.Counter[int], float]:
    """Resident bytes after the first requests and after all, how often each status came, and the longest time, s."""
    statuses: collections.Counter[int] = collections.Counter()
    slowest: list[float] = [0.0]
    lock = threading.Lock()

    def call(numbers: range) -> None:
        with httpx2.Client(base_url=url, timeout=60) as client:
            for number in numbers:
                answer = client.post(**request(np.random.default_rng(number)))
                with lock:
                    statuses[answer.status_code] += 1
                    slowest[0] = max(slowest[0], answer.elapsed.total_seconds())

    def send(numbers: range) -> int:
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(call, (numbers[start::CALLERS] for start in range(CALLERS))))
        # A worker may keep what a burst took until the next large picture is done: only what it keeps longer is a leak.
        large = io.BytesIO()
        stroke(SIDES_PX[-1], np.random.default_rng(0)).save(large, "PNG")
        for _ in range(LARGE_PICTURES):
            httpx2.post(f"{url}/denoise", content=large.getvalue(), timeout=60)
            time.sleep(PAUSE_S)
        return service.resident_bytes(process)

    return send(range(first)), send(range(first, requests)), statuses, slowest[0]


def request(random: np.random.Generator) -> dict[str, Any]:
    """What to send, as httpx2 takes it."""
    if random.random() < HOSTILE_SHARE:
        return hostile(random)
    content = picture(random)
    if random.random() < BROKEN_SHARE:
        content = damage(content, random)
    route = str(random.choice(ROUTES))
    form = random.integers(5)
    if form == 0:
        return {"url": route, "content": content, "headers": {"Content-Type": "application/octet-stream"}}
    if form == 1:
        return {"url": route, "files": {"file": ("picture", content)}}
    if form == 2:  # noqa: PLR2004  # the forms are numbered by the order in which they stand here
        return {"url": route, "files": [("file", (name, content)) for name in ("one", "other")]}
    if form == 3:  # noqa: PLR2004  # likewise
        digits = random.random((int(random.integers(1, 9)), 28, 28, 1), np.float32)
        head = {
            "name": "image",
            "datatype": "FP32",
            "shape": digits.shape,
            "parameters": {"binary_data_size": digits.nbytes},
        }
        tensor_head = json.dumps({"inputs": [head], "parameters": {"binary_data_output": True}}).encode()
        length = {"Inference-Header-Content-Length": str(len(tensor_head))}
        return {"url": "/v2/models/conv_dae/infer", "content": tensor_head + digits.tobytes(), "headers": length}
    inputs = base64.b64encode(content).decode()
    return {"url": route, "json": {"inputs": inputs, "parameters": {}}, "headers": {"Accept": "application/json"}}


def hostile(random: np.random.Generator) -> dict[str, Any]:
    """A request that is small, or has a header or a field that is large, and would cost much if it were believed."""
    infer = "/v2/models/unet_dae/infer"
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    screen = bytearray(one_pixel("GIF"))
    screen[6:10] = (4_000).to_bytes(2, "little") * 2
    strings = tensor([1, 28, 28, 1], ["9" * 100_000] + [""] * 783)
    seed = "9" * int(random.integers(20, 20_000))
    requests: list[dict[str, Any]] = [
        {"url": infer, "content": gzip.compress(strings), "headers": packed},
        {"url": infer, "content": gzip.compress(tensor([50, 64, 64, 1], [0] * 50 * 64 * 64)), "headers": packed},
        {"url": infer, "content": tensor([1, 28, 28, 1], [float("nan")] * 784)},
        {"url": infer, "content": b"[" * 50_000, "headers": {"Content-Type": "application/json"}},
        {"url": "/denoise", "content": one_pixel("PNG"), "headers": {"Accept": '";' * random.integers(400, 30_000)}},
        {"url": "/denoise", "content": bytes(screen)},
        {"url": "/denoise", "files": {"file": one_pixel("PNG"), "model": (None, b"-" * 100_000, CHARSET)}},
        {"url": f"/denoise?seed={seed}", "content": one_pixel("PNG")},
    ]
    return requests[random.integers(len(requests))]


def tensor(shape: list[int], data: list[Any]) -> bytes:
    """The body of a tensor request of these numbers, or of what stands where numbers should."""
    return json.dumps({"inputs": [{"name": "image", "datatype": "FP32", "shape": shape, "data": data}]}).encode()


def one_pixel(kind: str) -> bytes:
    """A picture of one pixel."""
    file = io.BytesIO()
    Image.new("L", (1, 1), 128).save(file, kind)
    return file.getvalue()


def picture(random: np.random.Generator) -> bytes:
    """A noisy stroke, in some kind of file."""
    image = stroke(SIDES_PX[random.integers(len(SIDES_PX))], random).convert(str(random.choice(MODES)))
    kind = str(random.choice(KINDS))
    file = io.BytesIO()
    image.convert("RGB" if kind == "JPEG" else image.mode if kind == "PNG" else "L").save(file, kind)
    return file.getvalue()


def stroke(sides_px: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """A noisy stroke, from the left edge to the right one, of this height and width."""
    pixels = 255 * random.random(sides_px) * 0.4
    pixels[sides_px[0] // 3 : sides_px[0] // 2] += 120
    return Image.fromarray(pixels.astype(np.uint8))


def damage(content: bytes, random: np.random.Generator) -> bytes:
    """The bytes, cut at a random place, with one in a hundred changed."""
    changed = np.frombuffer(content, np.uint8).copy()[: random.integers(1, len(content) + 1)]
    places = random.integers(len(changed), size=1 + len(changed) // 100)
    changed[places] = random.integers(256, size=len(places))
    return changed.tobytes()


if __name__ == "__main__":
    main()
