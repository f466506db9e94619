"""The denoisers that need no training, each with the one number that is tuned: what the models are measured against.

All take and give a picture `[height, width]`, 0 … 1.
"""

from collections.abc import Callable
from typing import NamedTuple

import bm3d as bm3d_package
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import restoration

Picture = NDArray[np.float32]
Pictures = NDArray[np.float32]  # [count, height, width]

MEANS_PATCH_PX, MEANS_DISTANCE_PX = 5, 6  # Non-local means compares patches that are so large and so far apart.
WAVELET_SHIFTS_PX = 3  # The wavelet denoiser is averaged over shifts of up to so many pixels along each axis.


class Method(NamedTuple):
    """A denoiser and the values of its number that are tried, from the gentlest."""

    run: Callable[[Picture, float], NDArray[np.floating]]
    values: tuple[float, ...]
    climb: bool = False  # A slow method tries no more of them than lead uphill.


def median(picture: Picture, side: float) -> NDArray[np.floating]:
    """The median of a square of `side` px."""
    median: NDArray[np.floating] = ndimage.median_filter(picture, int(side))
    return median


def gaussian(picture: Picture, sigma: float) -> NDArray[np.floating]:
    """Blurred by a standard deviation of `sigma` px."""
    blurred: NDArray[np.floating] = ndimage.gaussian_filter(picture, sigma)
    return blurred


def total_variation(picture: Picture, weight: float) -> NDArray[np.floating]:
    """Chambolle, 2004."""
    smooth: NDArray[np.floating] = restoration.denoise_tv_chambolle(picture, weight)  # type: ignore[no-untyped-call]
    return smooth


def non_local_means(picture: Picture, h: float) -> NDArray[np.floating]:
    """Buades, Coll and Morel, 2005."""
    means: NDArray[np.floating] = restoration.denoise_nl_means(
        picture, MEANS_PATCH_PX, MEANS_DISTANCE_PX, h=h, fast_mode=True
    )
    return means


def wavelet(picture: Picture, sigma: float) -> NDArray[np.floating]:
    """BayesShrink (Chang, Yu and Vetterli, 2000), averaged over shifts (Coifman and Donoho, 1995)."""
    options = {"sigma": sigma, "rescale_sigma": True}
    shrunk: NDArray[np.floating] = restoration.cycle_spin(
        picture, restoration.denoise_wavelet, WAVELET_SHIFTS_PX, func_kw=options, workers=1
    )
    return shrunk


def bm3d(picture: Picture, sigma: float) -> NDArray[np.floating]:
    """Dabov et al., 2007, in its authors' own package; on one thread, so that it repeats."""
    profile = bm3d_package.BM3DProfile()
    profile.num_threads = 1
    filtered: NDArray[np.floating] = bm3d_package.bm3d(picture, sigma, profile)
    return filtered


STRENGTHS = (0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.7, 1.0)
METHODS = {
    "median": Method(median, (3, 5, 7, 9, 11, 13)),
    "Gaussian": Method(gaussian, (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 5.0)),
    "total variation": Method(total_variation, STRENGTHS),
    "non-local means": Method(non_local_means, STRENGTHS),
    "wavelet": Method(wavelet, STRENGTHS),
    "BM3D": Method(bm3d, STRENGTHS, climb=True),
}


def tune_by_name(name: str, noisy: Pictures, clean: Pictures) -> tuple[float, Pictures]:
    """As `tune`, by a name of METHODS, which another process can be told."""
    return tune(METHODS[name], noisy, clean)


def tune(method: Method, noisy: Pictures, clean: Pictures) -> tuple[float, Pictures]:
    """The value with the highest mean PSNR on these very pictures, and what it makes of them, `[count, h, w, 1]`.

    A method that climbs starts at the value nearest to the noise that is really there, and goes on as long as it gets
    better.
    """
    answers: dict[int, Pictures] = {}

    def psnr(place: int) -> float:
        if place not in answers:
            value = method.values[place]
            answers[place] = np.clip([method.run(picture, value) for picture in noisy], 0, 1).astype(np.float32)
        errors = np.mean(np.square(answers[place] - clean), axis=(1, 2))
        return float(np.mean(-10 * np.log10(errors)))

    if not method.climb:
        place = max(range(len(method.values)), key=psnr)
        return method.values[place], answers[place][..., np.newaxis]
    error = float(np.sqrt(np.mean(np.square(noisy - clean))))
    place = int(np.argmin(np.abs(np.array(method.values) - error)))
    for step in (1, -1):
        while 0 <= place + step < len(method.values) and psnr(place + step) > psnr(place):
            place += step
    psnr(place)
    return method.values[place], answers[place][..., np.newaxis]
