"""What is done with each picture of a request, along `cleaning`: a small one in a batch, a large one in threads."""

import base64
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np
from fastapi import Request

from denoise import cleaning, metrics
from denoise.cleaning import Cleaned, Prepared
from denoise.errors import TooLarge
from denoise.inference.denoiser import Denoiser
from denoise.inference.gate import Work
from denoise.metrics import Stages
from denoise.pictures import SMALL_PICTURE, Pixels, framing, images
from denoise.pictures.parameters import Parameters
from denoise.pictures.uncertainty import Doubts
from denoise.web import answers
from denoise.web.answers import Answer, Page, Psnr
from denoise.web.archives import File
from denoise.web.bodies import JSON
from denoise.web.state import SMALL_BODY, Service


class Made(NamedTuple):
    """The answer to a picture: its file, and its JSON form where that is wanted.

    `files` are what stands for it in a zip where that is not its file alone: the ends of their names, and contents.
    """

    content: bytes
    inverted: bool
    doubts: Doubts
    answer: Answer | Page | None
    stages: Stages
    files: Sequence[tuple[str, bytes]] = ()


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done with each picture of a request.

    OF_ONE, OF_SEVERAL and OF_PAGES are the kinds that an answer can be had in: to one picture, to several, and to all
    pages of one file.
    """

    request: Request
    service: Service
    model: Denoiser
    parameters: Parameters
    media_type: str
    among_others: bool
    OF_ONE: ClassVar[Sequence[str]] = answers.OF_ONE
    OF_SEVERAL: ClassVar[Sequence[str]] = answers.OF_SEVERAL
    OF_PAGES: ClassVar[Sequence[str]] = answers.OF_PAGES

    async def run_small(self, file: File) -> Made | None:
        """The answer by way of a batch, on the event loop; None when the file is not small."""
        if file.size > SMALL_BODY:
            return None
        stages = Stages()
        try:
            prepared = self._prepare(file, min(SMALL_PICTURE, self.service.settings.max_pixels))
        except TooLarge:
            return None
        stages.end("decode")
        ran = await self.service.in_batch(
            self.request, self.model, prepared.seen[np.newaxis], watched=self.among_others
        )
        stages.milliseconds |= {"queue": 1000 * ran.waited_s, "infer": 1000 * ran.run_s}
        stages.start()
        return self._finish(prepared, ran.pixels[0], None if ran.code is None else ran.code[0], stages)

    async def run_large(self, file: File, pixels: int, deadline: float, held: Work | None = None) -> Made:
        """The answer by way of threads, a turn for each tile of the picture, which has so many pixels.

        `deadline` is in the event loop's time; `held` is the work that was expected of this picture alone. Raises Late,
        and Busy when the work is more and there is no room for that.
        """
        stages = Stages()
        async with self.service.turns(self.request, self.model, pixels, deadline) as turns:
            stages.end("queue")
            prepared = await turns.run(self._prepare, file, self.service.settings.max_pixels)
            stages.end("decode")
            if held:
                held.grow(self.service.costs.of_picture(self.model, pixels, prepared.seen.size))
            tiled = cleaning.start(self.model, prepared)
            while await turns.run(tiled.step):
                pass
            metrics.count_run(self.model.name, 1)
            stages.end("infer")
            self.service.costs.observe(self.model, tiled.pixels_run, tiled.seconds)
            return await turns.run(self._finish, prepared, tiled.answer, tiled.code, stages)

    def measure(self, file: File) -> int:
        """How many pixels a file declares. Raises RequestError when they are too many, or the file cannot be read."""
        return images.measure(file.read(), self.service.settings.max_pixels, file.sent)

    def expect(self, pixels: Iterable[int]) -> float:
        """The seconds that pictures of so many pixels are expected to take, unless large ones have fine strokes."""
        seen = math.prod(self.model.size) if self.model.size else framing.LARGE_PICTURE
        return sum(self.service.costs.of_picture(self.model, count, min(count, seen)) for count in pixels)

    @property
    def suffix(self) -> str:
        """The end of an answer's name among others."""
        return f".{answers.KINDS.get(self.media_type, 'png')}"

    def _prepare(self, file: File, max_pixels: int) -> Prepared:
        return cleaning.prepare(file.read(), self.model.size, self.parameters, max_pixels, file.sent)

    def _finish(self, prepared: Prepared, answer: Pixels, code: Pixels | None, stages: Stages) -> Made:
        cleaned = cleaning.finish(prepared, answer, code, self.parameters)
        image = cleaned.encode(answers.KINDS.get(self.media_type, "png"))
        stages.end("encode")
        metrics.count_stages(self.model.name, stages.milliseconds.items())
        doubts = cleaned.judge()
        described = self._describe(cleaned, image, doubts, stages) if self.media_type == JSON else None
        return Made(image, cleaned.inverted, doubts, described, stages)

    def _describe(self, cleaned: Cleaned, image: bytes, doubts: Doubts, stages: Stages) -> Answer:
        height, width = cleaned.shown.shape[:2]
        psnr = cleaned.psnr
        return Answer(
            model=self.model.name,
            provider=self.model.provider,
            precision=self.model.precision,
            width=width,
            height=height,
            inverted=cleaned.inverted,
            image=base64.b64encode(image).decode(),
            code=None if cleaned.code is None else cleaned.code.tolist(),
            uncertainty=doubts.uncertainty,
            warnings=list(doubts.warnings),
            psnr=Psnr(before=psnr[0], after=psnr[1]) if psnr else None,
            timing_ms={name: round(duration, 3) for name, duration in stages.milliseconds.items()},
        )
