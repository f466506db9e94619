"""What OpenAPI tells beyond the routes themselves: the models' names, whether a key is needed, and examples.

The examples are real: tests/web/test_openapi.py gets them again, and makes them anew when it is run by itself.
"""

import base64
import copy
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fastapi import Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field

from denoise.web import headers
from denoise.web.answers import BYTES, KINDS, NPY, Answer, Batch, Page, Pages
from denoise.web.bodies import JSON, MULTIPART, ZIP, JsonBody
from denoise.web.problems import MEDIA_TYPE, Problem, problem
from denoise.web.state import Service

FOLDER = Path(__file__).parent / "static" / "examples"
# Answers in JSON by method and path, such as "GET /models".
ANSWERS: dict[str, Any] = json.loads((FOLDER / "answers.json").read_text(encoding="utf-8"))
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
    "406": "Accept: text/html leaves nothing; there are image/png, image/webp, image/tiff, image/jpeg, "
    "application/json, application/octet-stream, application/zip.",
    "408": "The body did not come within 30 s.",
    "413": "The body has 40000000 bytes; at most 33,554,432 bytes are taken.",
    "415": "The 10 bytes are no image of a known kind; PNG, JPEG, WebP, AVIF, HEIC, BMP, GIF, TIFF, PGM and PPM are.",
    "422": "noise=2: Input should be less than or equal to 1.",
    "429": "1,024 pictures are being worked on; the limit is 1,024.",
    "503": "The service is stopping and takes no new work soon; another one should be asked.",
    "504": "The picture was not done within 60 s.",
}
TENSOR_DETAILS = DETAILS | {
    "400": "`image` has the shape [1, 28, 28]; easy_dae takes [-1, 28, 28, 1], -1 being any length.",
    "415": "Content-Encoding br is not taken; gzip and deflate are.",
}


def operation_id(route: APIRoute) -> str:
    """What generated clients call the function for a route."""
    return f"v2_{route.name}" if route.path.startswith("/v2") else route.name


def _reference(schema: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{schema}"}


def problem_responses(descriptions: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    """What FastAPI takes as `responses`, for a route whose errors are RFC 9457 problems."""
    content = {MEDIA_TYPE: {"schema": _reference(Problem.__name__)}}
    return {status: {"content": content, "description": description} for status, description in descriptions.items()}


class ProtocolError(BaseModel):
    """What went wrong, as the Open Inference Protocol has it."""

    error: str = Field(description="a sentence with the offending value and the limit in it")


def failure_responses(descriptions: Mapping[int | str, str]) -> dict[int | str, dict[str, Any]]:
    """What FastAPI takes as `responses`, for a route of the Open Inference Protocol."""
    return {
        status: {"model": ProtocolError, "description": description} for status, description in descriptions.items()
    }


UNKNOWN = "No model has that name, or not that version."
_BINARY = {"schema": {"type": "string", "format": "binary"}}
IMAGE_ROUTE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            # openapi-python-client takes the first kind that it knows for all: bytes, since a picture is no JSON.
            "content": dict.fromkeys((*reversed(KINDS), ZIP, BYTES), _BINARY),
            "model": Answer | Batch,
            "description": "The picture; of several, a zip of them.",
        },
        **problem_responses(
            {
                400: "The body is cut, damaged or badly encoded.",
                404: "No model has that name.",
                406: "The answer cannot be had in any kind that `Accept` names.",
                413: "More bytes, pixels or files than the limits allow.",
                415: "The body is no image of a known kind.",
                408: "The body came too slowly.",
                422: "A parameter is outside its choices.",
                429: "Too many pictures are being worked on; `Retry-After` says when to try again.",
                504: "The deadline passed before the picture was done.",
            }
        ),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                MULTIPART: {"schema": _reference("PictureForm")},
                "image/*": _BINARY,
                BYTES: _BINARY,
                ZIP: _BINARY,
                JSON: {"schema": _reference(JsonBody.__name__)},
            },
        }
    },
}
DIGITS_ROUTE: dict[str, Any] = IMAGE_ROUTE | {
    "responses": IMAGE_ROUTE["responses"]
    | {
        200: {
            "content": {NPY: _BINARY, ZIP: _BINARY},
            "model": Page | Pages,
            "description": "The digits; of several pages, those of each.",
        }
    },
    "openapi_extra": copy.deepcopy(IMAGE_ROUTE["openapi_extra"]),
}
# What can be asked of /digits; the other parameters are about a picture that comes back.
PARAMETERS_OF_DIGITS = {"model", "invert", "noise", "seed", "page", "format"}
METRICS_ROUTE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "content": {
                kind: {"schema": {"type": "string"}, "example": 'denoise_waiting_pictures{size="large"} 0.0\n'}
                for kind in ("text/plain", "application/openmetrics-text")
            },
            "description": "One number a line.",
        }
    },
}
INFER_ROUTE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "content": {
                "application/json": {"schema": {"type": "object"}},
                BYTES: _BINARY,
            },
            "description": "The outputs.",
        },
        **failure_responses(
            {
                400: "The body is damaged, sizes do not add up, or the tensor does not fit the model.",
                404: UNKNOWN,
                408: "The body came too slowly.",
                413: "More bytes than the limits allow.",
                415: "A Content-Encoding other than gzip and deflate.",
                429: "Too many pictures are being worked on; `Retry-After` says when to try again.",
                504: "The deadline passed before the pictures were done.",
            }
        ),
    },
    "openapi_extra": {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"type": "object"},
                    "example": {
                        "inputs": [{"name": "image", "datatype": "FP32", "shape": [1, 28, 28, 1], "data": [0.0] * 784}],
                        "outputs": [{"name": "restored"}],
                    },
                },
                BYTES: _BINARY,
            },
        }
    },
}
# What the request bodies above refer to, which FastAPI does not see.
BODIES: dict[str, dict[str, Any]] = {
    JsonBody.__name__: JsonBody.model_json_schema(),
    "PictureForm": {
        "title": "PictureForm",
        "description": "The form of a request; parameters may be fields of it.",
        "type": "object",
        "properties": {
            "file": {
                "type": "array",
                "items": {"type": "string", "format": "binary"},
                "description": "one image, or several",
            }
        },
        "required": ["file"],
    },
}


def picture() -> str:
    """A noisy seven, base64 of a PNG."""
    return base64.b64encode((FOLDER / "noisy_7.png").read_bytes()).decode()


def describe(schema: dict[str, Any], service: Service) -> None:
    """Puts it all into an OpenAPI schema."""
    components = schema["components"]
    components["schemas"] |= BODIES
    components["headers"] = headers.HEADERS
    for path, method, operation in _operations(schema):
        if "{name}" in path:
            operation["parameters"][0] |= {
                "schema": _choice(list(service.denoisers)),
                "description": "a model's name",
            }
            operation["responses"].pop("422", None)  # FastAPI adds it, and it never comes.
        if service.settings.api_keys and method == "post":
            operation["security"] = [{"key": []}]
            kind, schema_of = (JSON, "ProtocolError") if path.startswith("/v2") else (MEDIA_TYPE, "Problem")
            operation["responses"]["401"] = {
                "description": "A key is needed, and the request has none or a wrong one.",
                "content": {kind: {"schema": _reference(schema_of)}},
            }
        if path in PICTURES and PICTURES[path] not in operation["description"]:
            operation["description"] += f"\n\n{PICTURES[path]}"
        for parameter in operation.get("parameters", ()):
            _forget_null(parameter["schema"])
        for status, response in operation["responses"].items():
            headers.declare(path, status, response)
        _exemplify(path, method, operation)
    for task, default in service.defaults.items():
        if default is None:  # No model has that task.
            continue
        operation = schema["paths"][f"/{task}"]["post"]
        operation["requestBody"]["content"][JSON]["example"] = {"inputs": picture(), "parameters": {"model": default}}
        for parameter in operation["parameters"]:
            if parameter["name"] == "model":
                names = [name for name, model in service.denoisers.items() if model.task == task]
                parameter["schema"] = _choice(names) | {"default": default}
    _describe_digits(schema["paths"]["/digits"]["post"], service)
    for unused in ("HTTPValidationError", "ValidationError"):
        components["schemas"].pop(unused, None)
    if service.settings.api_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}


def _describe_digits(operation: dict[str, Any], service: Service) -> None:
    """The parameters of `/digits` are some of those of `/denoise`, and its models those that take any size."""
    operation["parameters"] = [each for each in operation["parameters"] if each["name"] in PARAMETERS_OF_DIGITS]
    names = [name for name, model in service.denoisers.items() if model.task == "denoise" and model.size is None]
    (parameter,) = (each for each in operation["parameters"] if each["name"] == "model")
    (form,) = (each for each in operation["parameters"] if each["name"] == "format")
    form["schema"] = _choice(["json", "zip"])
    if names:
        parameter["schema"] = _choice(names)
        operation["requestBody"]["content"][JSON]["example"] = {"inputs": picture(), "parameters": {"model": names[0]}}


def _operations(schema: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def _forget_null(schema: dict[str, Any]) -> None:
    """A parameter that may be left out is never null in a query, for which generators would make classes."""
    choices = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(choices) == 1:
        del schema["anyOf"]
        schema |= choices[0]


def _choice(names: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": names}


def _exemplify(path: str, method: str, operation: dict[str, Any]) -> None:
    """An example for each answer that is no picture."""
    for status, response in operation["responses"].items():
        for kind, content in response.get("content", {}).items():
            if kind == MEDIA_TYPE:
                content["example"] = problem(int(status), DETAILS[status], path, REQUEST_ID)
            elif kind == JSON and status in TENSOR_DETAILS:
                content["example"] = {"error": TENSOR_DETAILS[status]}
            elif kind == JSON:
                content["example"] = ANSWERS.get(f"{method.upper()} {path}")
