"""Turn providers' callbacks into events: signature first, and on disk before the answer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from nudges.steps.responses import receive
from nudges.steps.workspace import Workspace
from nudges.studio.guards import body_of

CALLBACK_BYTES = 2_000_000  # SendGrid sends batches of up to 768 kB
EMPTY_TWIML = '<?xml version="1.0" encoding="UTF-8"?><Response/>'


def router(ws: Workspace, clock: Callable[[], datetime]) -> APIRouter:
    """POST /events/{provider}."""
    routes = APIRouter()

    @routes.post("/events/{provider}")
    async def take(provider: str, request: Request) -> Response:
        raw = await body_of(request, most=CALLBACK_BYTES)
        headers = {name.lower(): value for name, value in request.headers.items()}
        await run_in_threadpool(receive, ws, provider, raw, headers, url=_public_url(ws, request), now=clock())
        return Response(EMPTY_TWIML, media_type="text/xml")  # Twilio reads it as "no reply"; others look at the 200

    return routes


def _public_url(ws: Workspace, request: Request) -> str:
    """The address the provider called, from council.toml: a Host header can be forged, and is signed over."""
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{ws.council.public_url}{request.url.path}{query}"
