"""Turn the ledger into the waste team's page, and its form into turns of the stop switch."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, HTMLResponse, PlainTextResponse, RedirectResponse

from nudges.domain import MessageState
from nudges.steps.workspace import Workspace
from nudges.studio.guards import Refused, form_of, guard_same_origin
from nudges.studio.pages import STYLE, page
from nudges.weeks import Week

ALL = "all"
REPORT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; base-uri 'none'"

_COUNTS = "SELECT campaign, week_no, state, COUNT(*) AS n FROM messages GROUP BY campaign, week_no, state"
_RUNS = "SELECT step, week_no, campaign, state, started_at, finished_at FROM runs ORDER BY started_at DESC LIMIT 15"
_STATES = tuple(str(state) for state in MessageState)


def router(ws: Workspace, clock: Callable[[], datetime]) -> APIRouter:
    """GET /, POST /stop and /resume, GET /reports/..."""
    routes = APIRouter()

    @routes.get("/")
    def home() -> Response:
        return HTMLResponse(page("home.html", title=ws.council.name, ws=ws, states=_STATES, **_seen(ws)))

    @routes.post("/stop")
    async def stop(request: Request) -> Response:
        return await _turn(request, ws, clock(), on=True)

    @routes.post("/resume")
    async def resume(request: Request) -> Response:
        return await _turn(request, ws, clock(), on=False)

    @routes.get("/style.css")
    def style() -> Response:
        return PlainTextResponse(STYLE, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    @routes.get("/reports/{name:path}")
    def report(name: str) -> Response:
        if name not in _reports(ws):
            raise Refused(404, "There is no such report.")
        return FileResponse(_folder(ws) / name, headers={"Content-Security-Policy": REPORT_POLICY})

    return routes


async def _turn(request: Request, ws: Workspace, now: datetime, *, on: bool) -> Response:
    guard_same_origin(request)
    form = await form_of(request)
    by, scope, reason = form.get("by", ""), form.get("scope", ALL), form.get("reason", "")
    if not by or len(by) > 100:
        raise Refused(400, "Write your name, so that everybody can see who did this.")
    if scope != ALL and scope not in ws.campaigns:
        raise Refused(400, f"There is no campaign {scope!r}.")
    turn = ws.ledger.stop if on else ws.ledger.resume
    await run_in_threadpool(turn, scope, by, reason[:500], now=now)
    word = "stop" if on else "resume"
    await run_in_threadpool(ws.ledger.audit, by, word, scope, {"reason": reason[:500]}, now=now)
    return RedirectResponse("/", status_code=303)


def _seen(ws: Workspace) -> dict[str, Any]:
    """What the page shows, counted now."""
    stopped = [name for name in sorted(ws.campaigns) if ws.ledger.stopped(name)]
    return {
        "all_stopped": ws.ledger.stopped(),
        "stopped": stopped,
        "plans": _plans(ws),
        "runs": [{**run, "week": Week(run["week_no"])} for run in ws.ledger.select(_RUNS).to_pylist()],
        "reports": _reports(ws),
    }


def _plans(ws: Workspace) -> list[dict[str, Any]]:
    """One line a campaign and week, the newest week first, with messages by state."""
    lines: dict[tuple[int, str], dict[str, Any]] = {}
    for row in ws.ledger.select(_COUNTS).to_pylist():
        key = (-row["week_no"], row["campaign"])
        line = lines.setdefault(key, {"campaign": row["campaign"], "week": Week(row["week_no"]), "counts": {}})
        line["counts"][row["state"]] = row["n"]
    for name in ws.campaigns:
        if not any(campaign == name for _, campaign in lines):
            lines[(0, name)] = {"campaign": name, "week": None, "counts": {}}
    return [lines[key] for key in sorted(lines)][:50]


def _folder(ws: Workspace) -> Path:
    return ws.var / "reports"


def _reports(ws: Workspace) -> list[str]:
    folder = _folder(ws)
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.html"))
