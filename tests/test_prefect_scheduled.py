"""A real Prefect server and worker on loopback run what prefect.yaml schedules.

Some pairs of versions start flows but never insert a scheduled run, and say so only in the server's log:
so the proof is a run that the scheduler itself made, finished by a worker, with its work in our ledger.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import pytest
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterName, FlowRunFilter, FlowRunFilterState
from prefect.client.schemas.filters import FlowRunFilterStateType as StateTypes
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.events.filters import EventFilter, EventNameFilter, EventResourceFilter
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Running, Scheduled
from tiny_council import drop_all

import flows.sweeper as sweeping
from nudges.ledger import Ledger
from nudges.steps.weekly import STEPS
from nudges.weeks import Week

pytestmark = pytest.mark.timeout(420)
SECONDS = 150  # for one scheduled run on a loaded machine
SPARE = 10  # seconds between a beat and the limit of silence


@dataclass
class Prefect:
    home: Path
    url: str
    environment: dict[str, str]

    def cli(self, *words: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", *words],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, f"prefect {' '.join(words)}\n{done.stdout}\n{done.stderr}"

    def runs(self, deployment: str, *types: StateType) -> list[FlowRun]:
        async def ask() -> list[FlowRun]:
            async with PrefectClient(self.url) as client:
                return await client.read_flow_runs(
                    deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[deployment])),
                    flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=StateTypes(any_=list(types)))),
                )

        return asyncio.run(ask())

    def start(self, deployment: str, *, due: datetime) -> str:
        async def ask() -> str:
            async with PrefectClient(self.url) as client:
                found = await client.read_deployment_by_name(deployment)
                run = await client.create_flow_run_from_deployment(found.id, state=Scheduled(scheduled_time=due))
                return str(run.id)

        return asyncio.run(ask())

    def read_running(self, *run_ids: str) -> None:
        """Have the server believe that these run."""

        async def tell() -> None:
            async with PrefectClient(self.url) as client:
                for run_id in run_ids:
                    await client.set_flow_run_state(UUID(run_id), Running(), force=True)

        asyncio.run(tell())

    def hears(self, run_id: str) -> bool:
        """Whether the server gives a heartbeat of this run back."""
        wanted = EventFilter(
            event=EventNameFilter(name=[sweeping.HEARTBEAT]),
            resource=EventResourceFilter(id=[f"prefect.flow-run.{run_id}"]),
        )

        async def ask() -> bool:
            async with PrefectClient(self.url) as client:
                return bool((await client.read_events(filter=wanted, limit=1)).events)

        return asyncio.run(ask())

    def run(self, run_id: str) -> FlowRun:
        async def ask() -> FlowRun:
            async with PrefectClient(self.url) as client:
                return await client.read_flow_run(run_id)  # type: ignore[arg-type]

        return asyncio.run(ask())


@pytest.fixture(scope="module")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    home = tmp_path_factory.mktemp("council")
    drop_all(home, week=Week.containing(datetime.now(UTC).date()) - 1, households=300)
    _every_minute(home / "prefect.yaml")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    repo = str(Path(__file__).parent.parent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "NUDGES_HOME": str(home),
        "PYTHONPATH": repo,
        "PREFECT_HOME": str(tmp_path_factory.mktemp("prefect")),
        "PREFECT_API_URL": url,
        "PREFECT_SERVER_API_HOST": "127.0.0.1",
        "PREFECT_SERVER_API_PORT": str(port),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "3",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "PREFECT_CLI_PROMPT": "false",
    }
    folder = tmp_path_factory.mktemp("logs")
    running: list[subprocess.Popen[bytes]] = []

    def launch(*words: str) -> None:
        log = (folder / f"{words[0]}.log").open("wb")
        running.append(
            subprocess.Popen(
                [sys.executable, "-m", "prefect", *words],
                cwd=home,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        )

    try:
        launch("server", "start")
        wait(lambda: _healthy(url), seconds=150, what="the server")
        council = Prefect(home, url, environment)
        council.cli("work-pool", "create", "nudges", "--type", "process")
        council.cli("work-queue", "create", "weekly", "--pool", "nudges", "--limit", "1")
        council.cli("--no-prompt", "deploy", "--all")
        launch("worker", "start", "--pool", "nudges", "--name", "test")
        yield council
    finally:
        for process in reversed(running):
            os.killpg(process.pid, signal.SIGTERM)
        for process in running:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
        for log in folder.iterdir():
            sys.stdout.write(f"--- {log.name}\n{log.read_text(errors='replace')[-4000:]}\n")


def _every_minute(path: Path) -> None:
    text = path.read_text()
    assert 'cron: "0 6 * * 1"' in text
    path.write_text(text.replace('cron: "0 6 * * 1"', 'cron: "* * * * *"'))


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def wait(met: Callable[[], object], *, seconds: float, what: str) -> None:
    until = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < until, f"{what} not there after {seconds} s"
        time.sleep(1)


DONE = (StateType.COMPLETED, StateType.FAILED, StateType.CRASHED)


def test_the_scheduler_inserts_a_run_and_a_worker_finishes_it(prefect: Prefect) -> None:
    wait(lambda: prefect.runs("weekly", *DONE), seconds=SECONDS, what="a finished scheduled run")
    run = prefect.runs("weekly", *DONE)[0]
    assert run.state is not None
    assert run.state.type is StateType.COMPLETED, run.state.message
    assert run.auto_scheduled
    assert run.state.name == "Degraded"  # the borough's drops hold bad rows, and nobody has approved
    assert "nobody has approved this campaign" in (run.state.message or "")
    ledger = Ledger.open(f"sqlite:///{prefect.home / 'var' / 'ledger.db'}")
    done = ledger.select("SELECT step FROM runs WHERE state = 'done'").column("step").to_pylist()
    assert set(done) >= set(STEPS)
    assert ledger.select("SELECT COUNT(*) FROM assignments").column(0)[0].as_py() > 200
    planned = ledger.select("SELECT DISTINCT state FROM messages").column("state").to_pylist()
    assert planned == ["planned"]


def test_a_run_that_fires_hours_late_asks(prefect: Prefect) -> None:
    run_id = prefect.start("deliver/deliver", due=datetime.now(UTC) - timedelta(hours=5))
    wait(lambda: (state := prefect.run(run_id).state) and state.is_final(), seconds=SECONDS, what="the late run's end")
    state = prefect.run(run_id).state
    assert state is not None
    assert state.type is StateType.FAILED
    assert "minutes late" in (state.message or "")
    assert "Go ahead although late" in (state.message or "")


def test_schedules_made_by_the_waste_team_survive_the_next_deploy(prefect: Prefect) -> None:
    async def schedules(*, add: bool) -> int:
        async with PrefectClient(prefect.url) as client:
            found = await client.read_deployment_by_name("weekly/on-request")
            if add:
                from prefect.client.schemas.schedules import RRuleSchedule

                rule = "DTSTART:20300305T100000\nRRULE:FREQ=WEEKLY;COUNT=6"
                schedule = RRuleSchedule(rrule=rule, timezone="Europe/London")
                await client.create_deployment_schedules(found.id, [(schedule, True)])
            return len((await client.read_deployment(found.id)).schedules)

    assert asyncio.run(schedules(add=True)) == 1
    prefect.cli("--no-prompt", "deploy", "--all")
    assert asyncio.run(schedules(add=False)) == 1


def test_the_sweeper_crashes_the_silent_and_leaves_those_whose_heart_beats(
    prefect: Prefect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs read Running and have no process; one of them is heard of.

    The silence allowed is taken from the clock, so that a slow machine neither ages the beat nor spares the silent.
    """
    silent, beating = (prefect.start("sweeper/sweeper", due=datetime.now(UTC) + timedelta(days=1)) for _ in range(2))
    prefect.read_running(silent, beating)
    time.sleep(2 * SPARE)
    occurred = datetime.now(UTC)
    beat = {
        "id": str(uuid4()),
        "occurred": occurred.isoformat(),
        "event": sweeping.HEARTBEAT,
        "resource": {"prefect.resource.id": f"prefect.flow-run.{beating}"},
    }
    httpx.post(f"{prefect.url}/events", json=[beat], timeout=10).raise_for_status()
    wait(lambda: prefect.hears(beating), seconds=60, what="the beat")  # the server writes events behind the call
    silence = (datetime.now(UTC) - occurred).total_seconds() + SPARE
    monkeypatch.setattr(sweeping, "MISSED", silence / 30)
    settings = {PREFECT_API_URL: prefect.url, PREFECT_FLOWS_HEARTBEAT_FREQUENCY: 30}
    with temporary_settings(settings), disable_run_logger():
        assert asyncio.run(sweeping.sweeper.fn()) >= 1
    states = {name: prefect.run(run_id).state for name, run_id in (("silent", silent), ("beating", beating))}
    assert {name: state.type for name, state in states.items() if state} == {
        "silent": StateType.CRASHED,
        "beating": StateType.RUNNING,
    }
