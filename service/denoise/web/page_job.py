"""What is done with each page whose digits are wanted: it goes the way of every picture, and is read at its end."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from denoise import cleaning, metrics
from denoise.cleaning import Prepared
from denoise.metrics import Stages
from denoise.pictures import Pixels, digit_files, uncertainty
from denoise.pictures.digits import Found
from denoise.web import answers, archives
from denoise.web.answers import NPY, Digit, Page
from denoise.web.bodies import JSON
from denoise.web.job import Job, Made


@dataclass(frozen=True, slots=True)
class PageJob(Job):
    """As a Job, but what comes back of a page is its digits."""

    OF_ONE: ClassVar[Sequence[str]] = answers.DIGITS_OF_ONE
    OF_SEVERAL: ClassVar[Sequence[str]] = answers.DIGITS_OF_SEVERAL
    OF_PAGES: ClassVar[Sequence[str]] = answers.DIGITS_OF_SEVERAL

    @property
    def suffix(self) -> str:
        """The digits of each of several pages lie in a folder of its name."""
        return ""

    def _finish(self, prepared: Prepared, answer: Pixels, code: Pixels | None, stages: Stages) -> Made:  # noqa: ARG002  # As a Job's.
        found = cleaning.find_digits(prepared, answer)
        stages.end("digits")
        doubts = uncertainty.judge(prepared.seen, answer, prepared.frame)
        content, files, described = b"", [], None
        if self.media_type == JSON:
            described = self._describe_page(prepared, _digits(found), doubts.warnings, stages)
        elif self.media_type == NPY:
            content = digit_files.as_array(found)
        elif self.among_others:
            files = [(f"/{name}", file) for name, file in digit_files.as_pictures(found)]
        else:
            content = archives.pack(digit_files.as_pictures(found))
        stages.end("encode")
        metrics.count_stages(self.model.name, stages.milliseconds.items())
        return Made(content, prepared.frame.inverted, doubts, described, stages, files)

    def _describe_page(self, prepared: Prepared, digits: list[Digit], warnings: Sequence[str], stages: Stages) -> Page:
        height, width = prepared.picture.grey.shape
        return Page(
            model=self.model.name,
            provider=self.model.provider,
            precision=self.model.precision,
            width=width,
            height=height,
            inverted=prepared.frame.inverted,
            warnings=list(warnings),
            digits=digits,
            timing_ms={name: round(duration, 3) for name, duration in stages.milliseconds.items()},
        )


def _digits(found: Found) -> list[Digit]:
    return [
        Digit(x=x, y=y, width=width, height=height, wide=wide, picture=base64.b64encode(png).decode())
        for (x, y, width, height, wide), png in zip(found.rows(), digit_files.as_pngs(found), strict=True)
    ]
