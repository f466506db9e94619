"""Several pictures of one request: worked on side by side, answered together, and none spoils another."""

import asyncio
import time
from collections.abc import Sequence

from fastapi import Response
from pydantic_core import to_json
from starlette.concurrency import run_in_threadpool

from denoise import metrics
from denoise.errors import RequestError
from denoise.web import answers, archives, problems
from denoise.web.archives import File
from denoise.web.bodies import JSON, ZIP
from denoise.web.job import Job, Made

ARCHIVE = "pictures.zip"
PICTURES_PER_TURN = 8  # are decoded before the event loop looks at other requests

Problem = dict[str, str | int]  # the fields of RFC 9457


async def answer(job: Job, files: Sequence[File]) -> Response:
    """The answer to all files in their order: a zip, or JSON. One that fails is told as a problem among the others."""
    started = time.perf_counter()
    results = await _run_all(job, files)
    failed = sum(not isinstance(result, Made) for result in results)
    headers = answers.headers(job.model, f"total;dur={1000 * (time.perf_counter() - started):.3f}")
    headers["X-Failed-Items"] = str(failed)
    if job.media_type == JSON:
        content = await run_in_threadpool(_as_json, files, results)
        return Response(content, media_type=JSON, headers=headers)
    headers["Content-Disposition"] = f'attachment; filename="{ARCHIVE}"'  # browsers, and /docs, offer it as a file
    content = await run_in_threadpool(_as_zip, job, files, results)
    return Response(content, media_type=ZIP, headers=headers)


async def _run_all(job: Job, files: Sequence[File]) -> list[Made | Problem]:
    """What became of each file, in their order."""
    large = asyncio.Semaphore(int(job.service.large.total_tokens))  # the others' turns start their deadline later
    running = []
    try:
        for file in files:
            running.append(asyncio.ensure_future(_run(job, file, large)))
            if len(running) % PICTURES_PER_TURN == 0:
                await asyncio.sleep(0)
        return await asyncio.gather(*running)
    except BaseException:  # the caller has gone, or there is a bug: the others' work would be for nobody
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        raise


async def _run(job: Job, file: File, large: asyncio.Semaphore) -> Made | Problem:
    try:
        if (made := await job.run_small(file)) is not None:
            return made
        async with large:
            return await job.run_large(file)
    except RequestError as error:
        metrics.count_refusal(type(error).__name__)
        path, request_id = job.request.scope["path"], job.request.state.request_id
        return problems.problem(problems.STATUS[type(error)], str(error), path, request_id)


def _as_json(files: Sequence[File], results: Sequence[Made | Problem]) -> bytes:
    return to_json({"results": [_entry(file, result) for file, result in zip(files, results, strict=True)]})


def _entry(file: File, result: Made | Problem) -> dict[str, object]:
    if not isinstance(result, Made):
        return {"filename": file.name, "problem": result}
    return {"filename": file.name, **(result.answer.fields() if result.answer else {})}


def _as_zip(job: Job, files: Sequence[File], results: Sequence[Made | Problem]) -> bytes:
    names = archives.names([file.name for file in files], f".{answers.KINDS.get(job.media_type, 'png')}")
    members = [(name, result.image) for name, result in zip(names, results, strict=True) if isinstance(result, Made)]
    failed = [_entry(file, result) for file, result in zip(files, results, strict=True) if not isinstance(result, Made)]
    if failed:
        members.append((answers.PROBLEMS, to_json(failed, indent=2)))
    return archives.pack(members)
