"""Calls the service at an address with a picture, by what openapi-python-client has made, which lies in `client`."""

import base64
import io
import json
import sys
from pathlib import Path

from client import Client
from client.api.images import denoise, digits, reconstruct
from client.api.service import info, models
from client.models import Answer, DenoiseFormat, JsonBody, PictureForm, Problem
from client.types import File

PNG, ZIP = b"\x89PNG", b"PK"
client = Client(sys.argv[1], raise_on_unexpected_status=True)
picture = Path(sys.argv[2]).read_bytes()


def sent() -> File:
    return File(io.BytesIO(picture), "noisy_7.png", "image/png")


cleaned = denoise.sync_detailed(client=client, body=sent(), noise=0.1)
assert cleaned.content.startswith(PNG)
assert cleaned.parsed.payload.read() == cleaned.content
assert cleaned.headers["X-Model"] == "unet_dae"
assert denoise.sync(client=client, body=PictureForm([sent()])).payload.read().startswith(PNG)
assert reconstruct.sync(client=client, body=PictureForm([sent(), sent()])).payload.read().startswith(ZIP)

asked = JsonBody.from_dict({"inputs": base64.b64encode(picture).decode(), "parameters": {"seed": 1}})
told = denoise.sync(client=client, body=asked, format_=DenoiseFormat.JSON)
assert Answer.from_dict(json.load(told.payload)).width == 28

seven = digits.sync(client=client, body=PictureForm([sent()]))
assert len(seven.digits) == 1

problem = denoise.sync(client=client, body=File(io.BytesIO(b"no picture")))
assert isinstance(problem, Problem)
assert (problem.status, problem.title) == (415, "Unsupported Media Type")
assert "no image" in problem.detail

assert {card.name: card.task.value for card in models.sync(client=client).models}["basic_ae"] == "reconstruct"
assert info.sync(client=client).limits.max_files > 1
