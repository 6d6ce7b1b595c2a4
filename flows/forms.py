"""The forms a waste team fills in on Prefect's own page, one model a flow."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from nudges.errors import ConfigError
from nudges.weeks import Week

ALL = "all"
LONDON = ZoneInfo("Europe/London")


def _campaign_choices() -> list[JsonValue]:
    """Drop-down of the workspace's campaigns, read when the flow is deployed."""
    folder = Path(os.environ.get("NUDGES_HOME") or ".") / "campaigns"
    return [ALL, *sorted(path.stem for path in folder.glob("*.toml"))]


class WeeklyForm(BaseModel):
    """What to run for one week."""

    model_config = ConfigDict(extra="forbid", title="Weekly run")

    campaign: str = Field(
        default=ALL,
        title="Campaign",
        description="One campaign, or all that run this week.",
        json_schema_extra={"enum": _campaign_choices()},
    )
    week: str = Field(
        default="",
        title="Week",
        description="ISO week whose data is used, like 2026-W48. Empty: the last whole week.",
        pattern=r"^(\d{4}-W\d{2})?$",
    )
    dry_run: bool = Field(
        default=True,
        title="Dry run",
        description="Only plan: who would get what and what it costs. Nothing is chosen, rendered or sent.",
    )
    send_from: str = Field(
        default="",
        title="Send from (London time)",
        description="Nothing of this run is sent before, like 2026-11-30 18:00. Empty: as templates say.",
        pattern=r"^(\d{4}-\d{2}-\d{2}[ T]\d{2}:\d{2})?$",
    )
    even_if_late: bool = Field(
        default=False,
        title="Go ahead although late",
        description="A run that starts hours after its time stops and asks. Tick to run it all the same.",
    )

    def campaigns(self) -> list[str] | None:
        """Campaigns asked for; None for all."""
        return None if self.campaign == ALL else [self.campaign]

    def not_before(self) -> datetime | None:
        """`send_from` as an aware moment; raises ConfigError when it is no date."""
        return london_moment(self.send_from) if self.send_from else None


class DeliverForm(BaseModel):
    """One delivery run."""

    model_config = ConfigDict(extra="forbid", title="Delivery")

    limit: int = Field(
        default=0, title="At most", description="Most messages this run hands over. 0: all that are due.", ge=0
    )
    even_if_late: bool = Field(
        default=False,
        title="Go ahead although late",
        description="A delivery that starts hours after its time stops and asks. Tick to send all the same.",
    )


class BackfillForm(BaseModel):
    """Weeks whose features, segments and measurement are made again. Never chooses, never sends."""

    model_config = ConfigDict(extra="forbid", title="Backfill")

    first_week: str = Field(title="First week", description="Like 2026-W20.", pattern=r"^\d{4}-W\d{2}$")
    last_week: str = Field(title="Last week", description="Like 2026-W30.", pattern=r"^\d{4}-W\d{2}$")


def week_of(text: str, now: datetime) -> Week:
    """The week asked for, or the last whole week before `now` in London."""
    return Week.parse(text) if text else Week.containing(now.astimezone(LONDON).date()) - 1


def london_moment(text: str) -> datetime:
    """Read `2026-11-30 18:00` as London time; raises ConfigError."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=LONDON).astimezone(UTC)
    except ValueError:
        raise ConfigError(f"send_from == {text!r}, must be a day and time. Write 2026-11-30 18:00.") from None
