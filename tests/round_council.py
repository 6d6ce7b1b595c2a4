"""A made-up council that weighs lorries and nothing else: households, a calendar, contacts and weighbridge tickets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from nudges.demo import Loop
from nudges.sources.synthetic import Borough, Effects, Planted, WeekFacts
from nudges.starter import copy_starter
from nudges.steps.workspace import open_workspace
from nudges.weeks import Week

START = Week.parse("2026-W05")
CAMPAIGN = """
title = "Bins out on the right day"
segments = ["every_household"]
unit = "round"
outcome = "{outcome}"
starts = "{starts}"
weeks = {weeks}
every_weeks = 4
budget_pence = 500_000
stated_effect_share = -0.05

[shares]
control = 0.5
learn = 0.0
best = 0.5

[arms.collection_day]
template = "collection_day"
media = ["sms", "email"]
"""


class TicketLoop(Loop):
    """A loop whose borough drops no lifts and no tags: nobody weighs or counts a bin."""

    __slots__ = ()

    def begin(self) -> None:
        super().begin()
        self._only_loads()

    def live(self, week: Week) -> None:
        super().live(week)
        self._only_loads()

    def _only_loads(self) -> None:
        for path in (self.ws.var / "inbox").iterdir():
            if path.name.startswith(("lifts", "tags")):
                path.unlink()


class TicketBorough:
    """A borough seen from its weighbridge: some tickets are of two rounds, some name none, some are lost."""

    def __init__(self, borough: Borough, *, joined: float = 0.1, blank: float = 0.1, lost: float = 0.03) -> None:
        self._borough, self._rng = borough, np.random.default_rng(5)
        self.joined, self.blank, self.lost = joined, blank, lost

    def __getattr__(self, name: str) -> object:
        return getattr(self._borough, name)

    def week(self, week: Week, exposures: pa.Table | None = None) -> WeekFacts:
        facts = self._borough.week(week, exposures)
        return WeekFacts(facts.lifts.slice(0, 0), facts.tags.slice(0, 0), self._tickets(facts.loads))

    def _tickets(self, loads: pa.Table) -> pa.Table:
        frame = loads.to_pandas().sort_values(["stream", "weighed_at"], ignore_index=True)
        draw, again = self._rng.random((2, len(frame)))
        gone = set(frame.index[(draw > 1 - self.lost) & frame["stream"].notna()])
        frame.loc[draw < self.blank, "round_id"] = None
        for row in range(1, len(frame)):
            one, other = frame.loc[row - 1], frame.loc[row]
            names = {name for name in (one["round_id"], other["round_id"]) if isinstance(name, str)}
            is_pair = one["stream"] == other["stream"] and len(names) == 2 and not {row - 1, row} & gone
            if again[row] < self.joined and is_pair:
                frame.loc[row, "round_id"] = f"{one['round_id']} + {other['round_id']}"
                frame.loc[row, "weight_g"] += one["weight_g"]
                gone.add(row - 1)
        return pa.Table.from_pandas(frame.drop(index=list(gone)), schema=loads.schema, preserve_index=False)


def settle(
    home: Path,
    *,
    households: int = 1_500,
    history: int = 26,
    weeks: int = 12,
    seed: int = 3,
    share: float = 0.5,
    outcome: str = "residual_kg",
    **tickets: float,
) -> TicketLoop:
    """A workspace with one campaign that draws rounds; `share` of residual is what a reader who responds leaves out."""
    copy_starter(home)
    for path in (home / "campaigns").glob("*.toml"):
        path.unlink()
    starts = START + (history - 1)
    (home / "campaigns" / "right_day.toml").write_text(CAMPAIGN.format(starts=starts, weeks=weeks, outcome=outcome))
    effects = Effects(planted={"collection_day": Planted(residual_share=share, half_life_weeks=52)}, spread=0.1)
    total = history + weeks + 1
    borough = Borough.make(households=households, seed=seed, start=START, weeks=total, effects=effects)
    return TicketLoop(open_workspace(home, {}), TicketBorough(borough, **tickets), START, history, total)
