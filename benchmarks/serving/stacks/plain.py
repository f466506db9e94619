"""Starlette and FastAPI by hand: the least that any server can do, the best inline handler, and the tutorials' one."""

from typing import Annotated

from fastapi import FastAPI, File, UploadFile
from fastapi.responses import Response as FastResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.serving.stacks import work

MODEL = work.session()
FIXED = work.encode(work.run(MODEL, work.np.zeros((1, work.SIDE, work.SIDE), work.np.float32))[0])


async def fixed(request: Request) -> Response:
    """Reads the body and gives a PNG that was there before."""
    await request.body()
    return Response(FIXED, media_type="image/png")


async def inline(request: Request) -> Response:
    """Does all of the work where it stands."""
    pixels = work.decode(await request.body())
    return Response(work.encode(work.run(MODEL, pixels[None])[0]), media_type="image/png")


bare = Starlette(routes=[Route("/denoise", fixed, methods=["POST"])])
by_hand = Starlette(routes=[Route("/denoise", inline, methods=["POST"])])
tutorial = FastAPI()


@tutorial.post("/denoise")
def denoise(file: Annotated[UploadFile, File()]) -> FastResponse:
    """As tutorials have it: a form, and FastAPI's threads."""
    pixels = work.decode(file.file.read())
    return FastResponse(work.encode(work.run(MODEL, pixels[None])[0]), media_type="image/png")
