"""Turn an opt-out link into a button, and a press of it into no more messages."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse

from nudges.domain import Language
from nudges.steps.responses import opt_out
from nudges.steps.workspace import Workspace
from nudges.studio.guards import FORM_BYTES, Refused, body_of
from nudges.studio.pages import page

_ID = re.compile(r"[a-z0-9_]{4,64}")


def router(ws: Workspace, clock: Callable[[], datetime]) -> APIRouter:
    """GET and POST /s/{message_id}. GET never acts: mail scanners open every link."""
    routes = APIRouter()

    @routes.get("/s/{message_id}")
    def ask(message_id: str) -> Response:
        _guard_id(message_id)
        return _page(ws, "stop.html")

    @routes.post("/s/{message_id}")
    async def act(message_id: str, request: Request) -> Response:
        """The button, and RFC 8058 one-click from a mail program: no cookie, sign-in, redirect or origin asked for."""
        _guard_id(message_id)
        await body_of(request, most=FORM_BYTES)
        if not await run_in_threadpool(opt_out, ws, message_id, now=clock()):
            raise Refused(404, f"We do not know this link. Call {ws.council.phone} and we will stop the messages.")
        return _page(ws, "stopped.html")

    return routes


def _guard_id(message_id: str) -> None:
    if not _ID.fullmatch(message_id):
        raise Refused(404, "We do not know this link.")


def _page(ws: Workspace, name: str) -> Response:
    in_welsh = Language.CY in ws.council.languages
    return HTMLResponse(page(name, title="Messages about your bins", council=ws.council, in_welsh=in_welsh))
