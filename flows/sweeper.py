"""Mark flow runs as crashed whose process died together with its worker: they would read Running for ever."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from prefect import flow, get_run_logger
from prefect.client.orchestration import get_client
from prefect.client.schemas.events import EventPage
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterState, FlowRunFilterStateType
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.filters import EventFilter, EventNameFilter, EventOccurredFilter, EventResourceFilter
from prefect.runtime import flow_run as this_run
from prefect.settings import get_current_settings
from prefect.states import Crashed

HEARTBEAT = "prefect.flow-run.heartbeat"
DEFAULT_SECONDS = 60
MISSED = 3
_PAGE = 50  # events the server gives at once, at most


def dead_runs(runs: Iterable[FlowRun], alive: set[UUID], *, now: datetime, silence: timedelta) -> list[FlowRun]:
    """Runs that began (or were handed to a worker) longer than `silence` ago and have not been heard since."""
    return [
        run
        for run in runs
        if run.id not in alive
        and run.state is not None
        and now - (run.start_time or run.state.timestamp).astimezone(UTC) > silence
    ]


async def _heard_since(moment: datetime, runs: list[FlowRun]) -> set[UUID]:
    wanted = EventFilter(
        event=EventNameFilter(name=[HEARTBEAT]),
        occurred=EventOccurredFilter.model_validate({"since": moment}),
        resource=EventResourceFilter(id=[f"prefect.flow-run.{run.id}" for run in runs]),
    )
    heard: set[UUID] = set()
    async with get_client() as client:
        page: EventPage | None = await client.read_events(filter=wanted, limit=_PAGE)
        while page is not None:
            heard |= {UUID(event.resource.id.rsplit(".", 1)[1]) for event in page.events}
            page = await page.get_next_page(client)
    return heard


@flow(name="sweeper", retries=0)
async def sweeper() -> int:
    """Crash runs that read Running or Pending without a heartbeat for three beats; returns how many."""
    now = datetime.now(UTC)
    beat = get_current_settings().flows.heartbeat_frequency or DEFAULT_SECONDS
    silence = timedelta(seconds=MISSED * max(beat, 30))
    state = FlowRunFilterState(type=FlowRunFilterStateType(any_=[StateType.RUNNING, StateType.PENDING]))
    async with get_client() as client:
        runs = [
            run
            for run in await client.read_flow_runs(flow_run_filter=FlowRunFilter(state=state))
            if str(run.id) != this_run.id
        ]
    if not runs:
        return 0
    dead = dead_runs(runs, await _heard_since(now - silence, runs), now=now, silence=silence)
    async with get_client() as client:
        for run in dead:
            message = f"No heartbeat for {silence.total_seconds():.0f} s: the process and its worker are gone."
            await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            get_run_logger().warning("Swept %s (%s)", run.name, run.id)
    return len(dead)
