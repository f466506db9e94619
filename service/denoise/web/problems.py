"""What went wrong with a request, as an answer: its status, and RFC 9457's problem."""

from http import HTTPStatus

from pydantic import BaseModel, Field

from denoise import errors

MEDIA_TYPE = "application/problem+json"
STATUS: dict[type[Exception], HTTPStatus] = {
    errors.BrokenBody: HTTPStatus.BAD_REQUEST,
    errors.BadTensor: HTTPStatus.BAD_REQUEST,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.UnknownModel: HTTPStatus.NOT_FOUND,
    errors.NotAcceptable: HTTPStatus.NOT_ACCEPTABLE,
    errors.TooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UnsupportedKind: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.BadParameter: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.Busy: HTTPStatus.TOO_MANY_REQUESTS,
    errors.Draining: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Late: HTTPStatus.GATEWAY_TIMEOUT,
}
RETRY_AFTER_S = {HTTPStatus.SERVICE_UNAVAILABLE: "5", HTTPStatus.TOO_MANY_REQUESTS: "1"}


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str = Field(description="a sentence with the offending value and the limit in it")
    instance: str
    request_id: str


def answer(status: int, detail: str, path: str, request_id: str) -> tuple[dict[str, str | int], str]:
    """What is answered at a path, as JSON, and its media type: the Open Inference Protocol has its own form."""
    if path.startswith("/v2"):
        return {"error": _sendable(detail)}, "application/json"
    return problem(status, detail, path, request_id), MEDIA_TYPE


def problem(status: int, detail: str, path: str, request_id: str) -> dict[str, str | int]:
    """The fields of a Problem."""
    return {
        "type": "about:blank",  # the status says it all; the detail is for people
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _sendable(detail),
        "instance": path,
        "request_id": request_id,
    }


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode()  # a caller's lone surrogates are no UTF-8
