"""What OpenAPI tells beyond the routes themselves: the models' names, whether a key is needed, and examples.

The examples are real: tests/web/test_openapi.py gets them again, and makes them anew when it is run by itself.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from denoise.web.bodies import JSON
from denoise.web.problems import MEDIA_TYPE, problem
from denoise.web.state import Service

FOLDER = Path(__file__).parent / "static" / "examples"
ANSWERS: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))  # by method and path
REQUEST_ID = "0b96c3dd5ab54c8fa4aa72ec2cbfba5b"
TAGS = [
    {"name": "images", "description": "Pictures in, pictures out."},
    {"name": "open inference protocol", "description": "Tensors in, tensors out, for clients of KServe and Triton."},
    {"name": "service", "description": "What is served here, and how it is doing."},
]
PICTURES = {
    "/denoise": "What comes back for `layout=strip`: ![what was sent, what the model saw, its answer, and the "
    "difference](static/examples/denoise.png)",
    "/reconstruct": "What comes back for `layout=strip`: ![what was sent, what the model saw, its hidden code, its "
    "answer, and the difference](static/examples/reconstruct.png)",
}
DETAILS = {
    "400": "The image is cut or damaged: image file is truncated.",
    "401": "A key is needed here: send the header `Authorization: Bearer <key>`.",
    "404": "There is no model named 'cnov'; there are: basic_ae, conv_dae, easy_dae, unet_dae.",
    "406": "Accept: text/html leaves nothing; there are image/png, image/webp, application/json.",
    "408": "The body did not come within 30 s.",
    "413": "The body has 9000000 bytes; at most 8,388,608 bytes are taken.",
    "415": "The 10 bytes are no image of a known kind; PNG, JPEG, WebP, BMP, GIF, TIFF, PGM and PPM are.",
    "422": "noise=2: Input should be less than or equal to 1.",
    "429": "1,024 pictures are being worked on; the limit is 1,024.",
    "503": "The service is stopping and takes no new work soon; another one should be asked.",
    "504": "The picture waited for 30 s without its turn.",
}
TENSOR_DETAILS = DETAILS | {
    "400": "`image` has the shape [1, 28, 28]; easy_dae takes [-1, 28, 28, 1], -1 being any length.",
    "415": "Content-Encoding br is not taken; gzip and deflate are.",
}


def picture() -> str:
    """A noisy seven, base64 of a PNG."""
    return base64.b64encode((FOLDER / "noisy_7.png").read_bytes()).decode()


def describe(schema: dict[str, Any], service: Service) -> None:
    """Puts it all into an OpenAPI schema."""
    for path, method, operation in _operations(schema):
        if "{name}" in path:
            operation["parameters"][0] |= {
                "schema": _choice(list(service.denoisers)),
                "description": "a model's name",
            }
            if path.startswith("/v2"):
                operation["responses"].pop("422", None)  # FastAPI's own, which never comes
        if service.settings.api_keys and method == "post":
            operation["security"] = [{"key": []}]
            kind, schema_of = (JSON, "Failure") if path.startswith("/v2") else (MEDIA_TYPE, "Problem")
            operation["responses"]["401"] = {
                "description": "A key is needed, and the request has none or a wrong one.",
                "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema_of}"}}},
            }
        if path in PICTURES and PICTURES[path] not in operation["description"]:
            operation["description"] += f"\n\n{PICTURES[path]}"
        _exemplify(path, method, operation)
    for task, default in service.defaults.items():
        if default is None:  # nothing to choose from
            continue
        operation = schema["paths"][f"/{task}"]["post"]
        operation["requestBody"]["content"][JSON]["example"] = {"inputs": picture(), "parameters": {"model": default}}
        for parameter in operation["parameters"]:
            if parameter["name"] == "model":
                names = [name for name, model in service.denoisers.items() if model.task == task]
                parameter["schema"] = _choice(names) | {"default": default}
    if service.settings.api_keys:
        schema["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _choice(names: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": names}


def _exemplify(path: str, method: str, operation: dict[str, Any]) -> None:
    """An example for each answer that is no picture."""
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            status_told = "404" if status == "4XX" else status
            if kind == MEDIA_TYPE:
                content["example"] = problem(int(status_told), DETAILS[status_told], path, REQUEST_ID)
            elif kind == JSON and status_told in TENSOR_DETAILS:
                content["example"] = {"error": TENSOR_DETAILS[status_told]}
            elif kind == JSON:
                content["example"] = ANSWERS.get(f"{method.upper()} {path}")
