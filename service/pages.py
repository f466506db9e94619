"""The playground: one page at `/` that draws, uploads and shows what the models make of it; its files are static."""

from pathlib import Path
from typing import Any

from fastapi import Request, Response
from fastapi.responses import FileResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles

STATIC = Path(__file__).parent / "static"
# The page runs its own scripts and styles, asks this service alone, and is shown in nobody's frame.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob: data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
# A browser asks each time whether a file is still the same: the parts of a page are all of one version.
REVALIDATED = {"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"}


async def playground(request: Request) -> Response:
    """The page, or the way to the documentation where the page is turned off."""
    if not request.app.state.service.settings.ui:
        return RedirectResponse(f"{request.scope.get('root_path', '')}/docs")
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer", **REVALIDATED}
    return FileResponse(STATIC / "playground" / "index.html", headers=headers)


class Files(StaticFiles):
    """What the pages load."""

    def file_response(self, *args: Any, **options: Any) -> Response:
        """A file's answer, as Starlette gives it."""
        response = super().file_response(*args, **options)
        response.headers.update(REVALIDATED)
        return response
