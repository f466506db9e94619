"""The pictures that a network is trained on, drawn anew for every epoch, part by part.

A part depends on the seed, the epoch and its own number alone, so other processes can draw it, in any order.
"""

import multiprocessing
import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass

import numpy as np

from training import mixtures, noise, pages, photos
from training.mnist import Pixels

# A page and a piece of a photo have so many pixels along each side.
SIDE_PX = 96
# Digits on pages are drawn at these scales; larger strokes are scaled down before a model sees them.
PAGE_SCALES = (0.7, 3.0)
NEAR_SCALES = (0.8, 1.35)
# So many parts for each process are drawn ahead of the network.
DRAWN_AHEAD = 2

Pictures = tuple[Pixels, Pixels]


@dataclass(frozen=True)
class Blend:
    """What a blind denoiser sees: single digits, pages of them, and pieces of synthetic photos.

    Attributes:
        parts: of an epoch.
        digits: single ones in each part, drawn from all.
        pages: in each part.
        photos: pieces in each part.
        on_digits: the mixture of noise on digits.
        on_pages: the mixture of noise on pages.
        near: share of the pages whose digits are about as large as MNIST's.
    """

    parts: int
    digits: int
    pages: int
    photos: int
    on_digits: mixtures.Mixture
    on_pages: mixtures.Mixture
    near: float


def noisy_digits(clean: Pixels, factor: float, seed: tuple[int, int]) -> Pictures:
    """All digits in a new order, with Gaussian noise and without; `seed` is the recipe's, and the epoch."""
    random = np.random.default_rng(seed)
    target = clean[random.permutation(len(clean))]
    return noise.gaussian(target, factor, random), target


def part(clean: Pixels, blend: Blend, seed: tuple[int, int, int]) -> list[Pictures]:
    """What the network sees of digits, of pages and of photos, each with what it is to answer.

    Args:
        clean: digits `[count, 28, 28, 1]`, 0 … 1, to draw from.
        blend: how many of each.
        seed: the recipe's, the epoch, and the number of the part in it.
    """
    random = np.random.default_rng(seed)
    digits = clean[random.choice(len(clean), min(blend.digits, len(clean)), replace=False)]
    drawn = [(mixtures.spoil(digits, blend.on_digits, random), digits)]
    if blend.pages:
        sheets = _pages(clean, blend.pages, blend.near, random)
        drawn.append((mixtures.spoil(sheets, blend.on_pages, random), sheets))
    if blend.photos:
        drawn.append(photos.photos(clean, blend.photos, SIDE_PX, random))
    return drawn


def draw(clean: Pixels, blend: Blend, seed: int, epochs: Iterable[int]) -> Iterator[list[Pictures]]:
    """All parts of these epochs, in their order, drawn ahead by as many processes as there are CPUs."""
    processes = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    seeds = ((seed, epoch, number) for epoch in epochs for number in range(blend.parts))
    # A process that is forked off while the network's threads run could wait for a lock for ever.
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, spawning, _keep, (clean, blend)) as pool:
        drawing: deque[Future[list[Pictures]]] = deque()
        try:
            for each in seeds:
                drawing.append(pool.submit(_part, each))
                if len(drawing) > DRAWN_AHEAD * processes:
                    yield drawing.popleft().result()
            while drawing:
                yield drawing.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


_kept: list[tuple[Pixels, Blend]] = []


def _keep(clean: Pixels, blend: Blend) -> None:
    """Has a process keep what all parts are drawn from."""
    _kept[:] = [(clean, blend)]


def _part(seed: tuple[int, int, int]) -> list[Pictures]:
    """A part, drawn from what the process keeps."""
    return part(*_kept[0], seed)


def _pages(clean: Pixels, count: int, near: float, random: np.random.Generator) -> Pixels:
    """New pages, a share `near` of them at about the size of the digits that they are made of."""
    of_near = round(near * count)
    drawn = pages.pages(clean, count - of_near, SIDE_PX, PAGE_SCALES, random)
    return np.concatenate([drawn, pages.pages(clean, of_near, SIDE_PX, NEAR_SCALES, random)])[random.permutation(count)]
