"""One opened workspace: settings, catalogue, warehouse and ledger, handed to every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from nudges.catalogue import load_campaigns, load_segments, load_templates
from nudges.domain import Campaign, Council, Language, Segment, Template
from nudges.errors import ConfigError
from nudges.ledger import Ledger
from nudges.settings import load_council
from nudges.tables import FACTS
from nudges.warehouse import Warehouse
from nudges.weeks import Week


@dataclass(frozen=True, slots=True)
class Workspace:
    """Everything a step may touch. `environment` holds secrets: never log it."""

    home: Path
    council: Council
    campaigns: Mapping[str, Campaign]
    segments: Mapping[str, Segment]
    templates: Mapping[tuple[str, Language], Template]
    warehouse: Warehouse
    ledger: Ledger
    environment: Mapping[str, str]

    @property
    def var(self) -> Path:
        """Where state lives."""
        return self.home / "var"

    def facts(self, week: Week, *, extra: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
        """Views of every fact table as stored up to `week`, and of the derived tables named in `extra`."""
        names = [table.name for table in FACTS] + list(extra)
        return self.warehouse.connect(self.ledger.live_files(upto=week, tables=names))

    def campaign(self, campaign_id: str) -> Campaign:
        """One campaign; raises ConfigError with the choices."""
        try:
            return self.campaigns[campaign_id]
        except KeyError:
            known = ", ".join(self.campaigns) or "none yet"
            raise ConfigError(f"campaign == {campaign_id!r}, must be one of: {known}.") from None

    def running(self, week: Week, only: Sequence[str] | None = None) -> list[Campaign]:
        """Campaigns that choose in `week`, in order of id; `only` narrows to those named."""
        named = [self.campaign(name) for name in only] if only else list(self.campaigns.values())
        return sorted((campaign for campaign in named if campaign.runs_in(week)), key=lambda campaign: campaign.id)


def open_workspace(home: Path, environment: Mapping[str, str]) -> Workspace:
    """Open the workspace in folder `home`, making `var/` and migrating the ledger when needed."""
    council = load_council(home)
    var = home / "var"
    for name in ("inbox", "warehouse", "outbox", "models", "reports"):
        (var / name).mkdir(parents=True, exist_ok=True)
    url = environment.get("NUDGES_LEDGER_URL", f"sqlite:///{var / 'ledger.db'}")
    return Workspace(
        home=home,
        council=council,
        campaigns=load_campaigns(home),
        segments=load_segments(home),
        templates=load_templates(home),
        warehouse=Warehouse(var / "warehouse"),
        ledger=Ledger.open(url),
        environment=environment,
    )
