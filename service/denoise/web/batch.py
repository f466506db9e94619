"""Several pictures of one request: worked on side by side, answered together, and none spoils another."""

import asyncio
import time
from collections.abc import Sequence

from fastapi import Response
from pydantic_core import to_json

from denoise import metrics
from denoise.errors import RequestError, TooLarge
from denoise.pictures import tiff, uncertainty
from denoise.web import answers, archives, problems
from denoise.web.answers import TIFF
from denoise.web.archives import File
from denoise.web.bodies import JSON, ZIP
from denoise.web.job import Job, Made
from denoise.web.prefix import own_path
from denoise.web.state import while_connected

# Browsers offer what has several pictures as a file.
AS_FILE, AS_PAGES = (f'attachment; filename="{name}"' for name in ("pictures.zip", "pictures.tif"))
# A zip may pack the same blank page many times into next to nothing: each byte of a body is good for so many pixels.
PIXELS_PER_BYTE = 1000
# So many pictures are decoded before the event loop looks at other requests.
PICTURES_PER_TURN = 8

Result = Made | Exception
"""What became of a file; the exception is one of `problems.REFUSALS`."""


async def answer(job: Job, files: Sequence[File], size: int) -> Response:
    """The answer to all files in their order: a zip, JSON, or a TIFF.

    In the first two one that fails is told as a problem among the others. A TIFF has no place for that, and fails as a
    whole.

    Raises:
        TooLarge: the pictures have more pixels together than a request may have whose body has `size` bytes.
        RequestError: a TIFF is wanted, and a picture failed: the first one's error.
    """
    started = time.perf_counter()
    deadline, turns = job.service.deadline(), job.service.thread_turns(job.request)
    pixels = await turns.run(_measure, job, files, size)
    with job.service.work.admit(job.expect(pixels)):
        results = await while_connected(job.request, _run_all(job, files, pixels, deadline))
    failed = sum(not isinstance(result, Made) for result in results)
    headers = answers.headers(job.model, f"total;dur={1000 * (time.perf_counter() - started):.3f}")
    headers["X-Failed-Items"] = str(failed)
    if doubts := [result.doubts for result in results if isinstance(result, Made)]:
        headers |= answers.doubt_headers(uncertainty.join(doubts))
    if job.media_type == JSON:
        content = await turns.run(_as_json, job, files, results)
        return Response(content, media_type=JSON, headers=headers)
    if job.media_type == TIFF:
        headers["Content-Disposition"] = AS_PAGES
        return Response(await turns.run(_as_tiff, files, results), media_type=TIFF, headers=headers)
    headers["Content-Disposition"] = AS_FILE
    content = await turns.run(_as_zip, job, files, results)
    return Response(content, media_type=ZIP, headers=headers)


def _measure(job: Job, files: Sequence[File], size: int) -> list[int]:
    """How many pixels each file declares; 0 where it cannot be read, which is told when its turn comes."""
    settings = job.service.settings
    pixels: list[int] = []
    most = min(settings.max_request_pixels, settings.max_pixels + PIXELS_PER_BYTE * size)
    for file in files:
        try:
            pixels.append(job.measure(file))
        except RequestError:
            pixels.append(0)
        if sum(pixels) > most:
            reason = "a request" if most == settings.max_request_pixels else f"{size:,} bytes"
            raise TooLarge(f"The pictures have more than {most:,} pixels together, the most that {reason} may have.")
    return pixels


async def _run_all(job: Job, files: Sequence[File], pixels: Sequence[int], deadline: float) -> list[Result]:
    """What became of each file, in their order."""
    running = []
    # No more large pictures are begun than there are threads, so that the first ones are done when it gets late.
    large = asyncio.Semaphore(job.service.threads.most)
    try:
        for file, count in zip(files, pixels, strict=True):
            running.append(asyncio.ensure_future(_run(job, file, count, deadline, large)))
            if len(running) % PICTURES_PER_TURN == 0:
                await asyncio.sleep(0)
        return await asyncio.gather(*running)
    except BaseException:  # The caller has gone, or there is a bug: the others' work would be for nobody.
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


async def _run(job: Job, file: File, pixels: int, deadline: float, large: asyncio.Semaphore) -> Result:
    try:
        if (made := await job.run_small(file)) is not None:
            return made
        async with large:
            return await job.run_large(file, pixels, deadline)
    except problems.REFUSALS as error:
        metrics.count_refusal(type(error).__name__)
        return type(error)(str(error))  # One that was raised holds on to its traceback, and so to the file.


def _as_json(job: Job, files: Sequence[File], results: Sequence[Result]) -> bytes:
    return to_json({"results": [_entry(job, file, result) for file, result in zip(files, results, strict=True)]})


def _entry(job: Job, file: File, result: Result) -> dict[str, object]:
    if isinstance(result, Made):
        return {"filename": file.name, **(result.answer.fields() if result.answer else {})}
    problem = problems.problem(*problems.explain(result), own_path(job.request.scope), job.request.state.request_id)
    return {"filename": file.name, "problem": problem}


def _as_zip(job: Job, files: Sequence[File], results: Sequence[Result]) -> bytes:
    names = archives.names([file.name for file in files], job.suffix)
    members = [
        (name + end, content)
        for name, result in zip(names, results, strict=True)
        if isinstance(result, Made)
        for end, content in result.files or (("", result.content),)
    ]
    failed = [
        _entry(job, file, result) for file, result in zip(files, results, strict=True) if not isinstance(result, Made)
    ]
    if failed:
        members.append((answers.PROBLEMS_IN_ZIP, to_json(failed, indent=2)))
    return archives.pack(members)


def _as_tiff(files: Sequence[File], results: Sequence[Result]) -> bytes:
    pages = []
    for number, (file, result) in enumerate(zip(files, results, strict=True), 1):
        if not isinstance(result, Made):
            raise type(result)(f"{file.name or f'Picture {number}'}: {result} (A zip and JSON have the others.)")
        pages.append(result.content)
    return tiff.join(pages)
