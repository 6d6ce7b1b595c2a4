"""Turn a workspace into a web application."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from nudges.errors import ConfigError, DataError, SignatureError
from nudges.steps.workspace import Workspace
from nudges.studio import officers, providers, residents
from nudges.studio.guards import Refused
from nudges.studio.pages import page

POLICY = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; img-src 'self'"
)


def _now() -> datetime:
    return datetime.now(UTC)


def create_app(ws: Workspace, *, clock: Callable[[], datetime] = _now) -> FastAPI:
    """The application. Officers' pages have no sign-in yet: keep them on the council's own network."""
    app = FastAPI(title=f"{ws.council.name}: nudges", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(officers.router(ws, clock))
    app.include_router(providers.router(ws, clock))
    app.include_router(residents.router(ws, clock))
    app.middleware("http")(_with_headers)
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(SignatureError, _says(403))
    app.add_exception_handler(DataError, _says(400))
    app.add_exception_handler(ConfigError, _says(404))
    return app


async def _with_headers(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
    response = await go_on(request)
    response.headers.setdefault("Content-Security-Policy", POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Cache-Control", "no-store")
    return response


async def _refused(_request: Request, error: Exception) -> Response:
    status = error.status if isinstance(error, Refused) else 400
    return HTMLResponse(page("refused.html", title="That did not work", words=str(error)), status_code=status)


def _says(status: int) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def say(_request: Request, error: Exception) -> Response:
        return PlainTextResponse(str(error), status_code=status)

    return say
