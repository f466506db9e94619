"""What went wrong with a request, as an answer: one table of statuses, and RFC 9457's problem."""

from http import HTTPStatus

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from denoise import errors, metrics
from denoise.pictures import parameters
from denoise.web.prefix import own_path

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
    errors.DeviceFailed: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.Late: HTTPStatus.GATEWAY_TIMEOUT,
    MemoryError: HTTPStatus.SERVICE_UNAVAILABLE,
}
# nginx logs this status for a caller who has hung up; nobody else reads it.
HUNG_UP = 499
RETRY_AFTER_S = {HTTPStatus.SERVICE_UNAVAILABLE: "5", HTTPStatus.TOO_MANY_REQUESTS: "1"}


class Problem(BaseModel):
    """What went wrong, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str = Field(description="a sentence with the offending value and the limit in it")
    instance: str
    request_id: str


async def respond(request: Request, error: Exception) -> Response:
    """The answer to a request that raised an error, whichever way it came."""
    match error:
        case errors.RequestError() | MemoryError():
            metrics.count_refusal(type(error).__name__)
            return _response(request, *explain(error))
        case RequestValidationError():
            return _response(request, HTTPStatus.UNPROCESSABLE_ENTITY, parameters.sentences(error.errors()))
        case HTTPException():
            return _response(request, error.status_code, _starlettes_detail(request, error), dict(error.headers or {}))
        case ClientDisconnect():
            return Response(status_code=HUNG_UP)
    # This is a bug of ours: the log has the trace, and the caller the id to ask by.
    return _response(request, HTTPStatus.INTERNAL_SERVER_ERROR, "The service failed on this request; its log says why.")


REFUSALS = (errors.RequestError, MemoryError)
EXPECTED = (*REFUSALS, RequestValidationError, HTTPException, ClientDisconnect)
HANDLED = (*EXPECTED, Exception)


def explain(error: Exception) -> tuple[HTTPStatus, str]:
    """The status and the sentence of one of REFUSALS."""
    if isinstance(error, MemoryError):
        return STATUS[MemoryError], "There is not enough memory for this request now."
    return STATUS[type(error)], str(error)


def _starlettes_detail(request: Request, error: HTTPException) -> str:
    """A sentence for what Starlette finds by itself: no such route, no such method."""
    path, root = request.url.path, request.scope.get("root_path", "")
    details = {
        HTTPStatus.NOT_FOUND: f"There is nothing at {path}; {root}/docs lists what there is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not allowed at {path}.",
    }
    return details.get(HTTPStatus(error.status_code), error.detail)


def _response(request: Request, status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    given = headers or {}
    if status == HTTPStatus.UNAUTHORIZED:
        given = {"WWW-Authenticate": "Bearer", "Connection": "close", **given}
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:  # What follows on the connection is no request.
        given = {"Connection": "close", **given}
    if status in RETRY_AFTER_S:
        given = {"Retry-After": RETRY_AFTER_S[HTTPStatus(status)], **given}
    content, media_type = answer(status, detail, own_path(request.scope), request.state.request_id)
    return JSONResponse(content, status, given, media_type=media_type)


def answer(status: int, detail: str, path: str, request_id: str) -> tuple[dict[str, str | int], str]:
    """What is answered at a path, as JSON, and its media type: the Open Inference Protocol has its own form."""
    if path.startswith("/v2"):
        return {"error": _sendable(detail)}, "application/json"
    return problem(status, detail, path, request_id), MEDIA_TYPE


def problem(status: int, detail: str, path: str, request_id: str) -> dict[str, str | int]:
    """The fields of a Problem."""
    return {
        "type": "about:blank",  # The status says it all to programs; the detail is for people.
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _sendable(detail),
        "instance": path,
        "request_id": request_id,
    }


def _sendable(text: str) -> str:
    return text.encode(errors="replace").decode()  # A caller's lone surrogates are no UTF-8.
