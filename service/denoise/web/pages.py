"""The pages: the playground at `/`, OpenAPI at `/docs`, and the static files that both load from here."""

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

STATIC = Path(__file__).parent / "static"
# Pages run scripts of this service alone, ask nobody else, and are shown in nobody's frame.
POLICY = (
    "default-src 'none'",
    "img-src 'self' blob: data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
)
PLAYGROUND_POLICY = "; ".join((*POLICY, "script-src 'self'", "style-src 'self'"))
# A browser asks each time whether a file is still the same: the parts of a page are all of one version.
REVALIDATED = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


router = APIRouter(include_in_schema=False)


@router.get("/")
async def playground(request: Request) -> Response:
    """The page, or the way to the documentation where the page is turned off."""
    if not request.app.state.service.settings.ui:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")
    headers = {"Content-Security-Policy": PLAYGROUND_POLICY, "Referrer-Policy": "no-referrer", **REVALIDATED}
    return HTMLResponse((STATIC / "playground" / "index.html").read_bytes(), headers=headers)


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """OpenAPI, with forms to try every route."""
    root = request.scope.get("root_path", "")
    page = get_swagger_ui_html(
        title=f"{request.app.title}: OpenAPI",
        openapi_url=f"{root}/openapi.json",
        swagger_js_url=f"{root}/static/swagger-ui/swagger-ui-bundle.js",
        swagger_css_url=f"{root}/static/swagger-ui/swagger-ui.css",
        swagger_favicon_url=f"{root}/static/favicon.svg",
    )
    page.headers["Content-Security-Policy"] = _docs_policy(bytes(page.body).decode())
    return page


def _docs_policy(page: str) -> str:
    """What the page of the documentation may do: the script in it is known by its hash, and Swagger styles elements."""
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return "; ".join((*POLICY, f"script-src 'self' {allowed}", "style-src 'self' 'unsafe-inline'"))


class Files(StaticFiles):
    """What the pages load, each file whole: a range that Starlette cannot serve, it refuses in a form of its own."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = [header for header in scope["headers"] if header[0] != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)

    def file_response(self, *args: Any, **options: Any) -> Response:
        """A file's answer, as Starlette gives it."""
        response = super().file_response(*args, **options)
        response.headers.update({**REVALIDATED, "Accept-Ranges": "none"})
        return response
