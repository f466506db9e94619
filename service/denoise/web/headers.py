"""The headers of answers, as OpenAPI declares them; those that every HTTP server sends are not among them."""

from typing import Any

Declaration = dict[str, Any]


def _text(description: str, example: str) -> Declaration:
    return {"description": description, "schema": {"type": "string"}, "example": example}


HEADERS: dict[str, Declaration] = {
    "X-Request-ID": _text("The caller's own id for the request where it is a plain token, else a new one.", "scan-17"),
    "Server-Timing": _text("Milliseconds of each stage; of several pictures `total`.", "decode;dur=0.2, infer;dur=1.1"),
    "X-Model": _text("The model that answered.", "unet_dae"),
    "X-Execution-Provider": _text("Where the model really ran.", "CPUExecutionProvider"),
    "X-Precision": _text("How the model multiplied: in `float32`, `bfloat16` or `tfloat32` (TF32).", "float32"),
    "X-Input-Inverted": {
        "description": "Of one picture: whether its ink was taken to be dark on light paper.",
        "schema": {"type": "boolean"},
        "example": False,
    },
    "X-Uncertainty": {
        "description": "0 (sure) … 1, which ranks answers by their error; of several pictures the largest.",
        "schema": {"type": "number", "minimum": 0, "maximum": 1},
        "example": 0.0123,
    },
    "X-Warning": _text(
        "Where there is any: what may be wrong with an answer, in sentences; of several pictures the first ten.",
        "The picture was shrunk by 2.4, to 628 by 472 pixels, for the model.",
    ),
    "X-Failed-Items": {
        "description": "Of several pictures: how many failed.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 0,
    },
    "Content-Disposition": _text(
        "Of a zip, or a TIFF of several pages: the name for its file.", 'attachment; filename="pictures.zip"'
    ),
    "Cache-Control": _text("No cache is to keep it.", "no-store"),
    "X-Content-Type-Options": _text("It is of the kind that it is said to be.", "nosniff"),
    "Vary": _text("The headers of the request that the answer depends on.", "Accept"),
    "Inference-Header-Content-Length": {
        "description": "Of binary tensors: how many bytes of JSON stand before them.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 161,
    },
    "Retry-After": {
        "description": "Seconds until it is worth trying again.",
        "schema": {"type": "integer", "minimum": 0},
        "example": 1,
    },
    "WWW-Authenticate": _text("How a request bears a key.", "Bearer"),
}
OF_PICTURES = (
    "Server-Timing",
    "X-Model",
    "X-Execution-Provider",
    "X-Precision",
    "X-Input-Inverted",
    "X-Uncertainty",
    "X-Warning",
    "X-Failed-Items",
    "Content-Disposition",
    "Vary",
    "Cache-Control",
    "X-Content-Type-Options",
)
OF_TENSORS = ("Server-Timing", "X-Model", "X-Execution-Provider", "X-Precision", "Inference-Header-Content-Length")
OF_STATUS = {"401": ("WWW-Authenticate",), "429": ("Retry-After",), "503": ("Retry-After",)}


def declare(path: str, status: str, response: dict[str, Any]) -> None:
    """Adds to a response of an operation the headers that it may have."""
    names = ["X-Request-ID", *OF_STATUS.get(status, ())]
    if status == "200" and path in ("/denoise", "/reconstruct", "/digits"):
        names += OF_PICTURES
    elif status == "200" and path.endswith("/infer"):
        names += OF_TENSORS
    response["headers"] = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
