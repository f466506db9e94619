"""What every answer bears and leaves behind: the request's id, a line in the log, its place in the metrics."""

import logging
import random
import re
import time
from collections.abc import Iterable

from starlette.types import Message, Scope, Send

from denoise import metrics
from denoise.web import tracing
from denoise.web.state import Service

REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
# All paths that are none of ours share one label: a label for each would have no end.
UNKNOWN_ROUTE = "other"
LOGGED = {
    b"x-model": "model",
    b"x-execution-provider": "provider",
    b"x-precision": "precision",
    b"server-timing": "stages",
}

log = logging.getLogger("denoise.requests")


def request_id(sent: str) -> str:
    """The caller's own id for a request where it is a plain token, else a new one."""
    return sent if REQUEST_ID.fullmatch(sent) else f"{random.getrandbits(128):032x}"


def tag(service: Service, scope: Scope, send: Send) -> Send:
    """A `send` that gives an answer its request's id, and logs and counts it when it begins."""
    start = time.perf_counter()
    own_id = scope["state"]["request_id"]
    tags = [(b"x-request-id", own_id.encode())]
    if service.draining:  # The caller is to open its next connection to another process.
        tags.append((b"connection", b"close"))

    async def tagged(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *tags]
            route = getattr(scope.get("route"), "path", UNKNOWN_ROUTE)
            seconds = time.perf_counter() - start
            log_answer(service, route, own_id, message["status"], message["headers"], seconds)
        await send(message)

    return tagged


def log_answer(
    service: Service, route: str, own_id: str, status: int, headers: Iterable[tuple[bytes, bytes]], seconds: float
) -> None:
    """Counts an answer that is about to go out, and logs it; `own_id` is the request's."""
    metrics.count_answer(route, status, seconds)
    if service.settings.log_requests or tracing.is_wanted():
        line = {"request_id": own_id, "route": route, "status": int(status), "ms": round(1000 * seconds, 3)}
        line |= {LOGGED[name]: value.decode("latin-1") for name, value in headers if name in LOGGED}
        if service.settings.log_requests:
            log.info("answered", extra=line)
        if tracing.is_wanted():
            tracing.note(line)
