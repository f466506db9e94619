"""Requests as the routes know them: HEAD goes where GET goes, and a proxy may have taken a prefix off the path."""

from starlette.types import Scope


def as_routed(scope: Scope, root_path: str) -> Scope:
    """A request's scope with the path that its caller wrote, as ASGI has it, and with GET in the place of HEAD.

    The server itself still sees the HEAD, and sends no body.
    """
    if scope["method"] != "HEAD" and not root_path:
        return scope
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    return {**scope, "method": method, "path": root_path + scope["path"], "root_path": root_path}


def own_path(scope: Scope) -> str:
    """The path as the routes have it, without the prefix."""
    path: str = scope["path"]
    return path.removeprefix(scope.get("root_path", ""))
