"""What the files of a workspace say, as frozen dataclasses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from nudges.domain.vocabulary import CONTROL, Language, Lead, Medium, Outcome, Purpose, Reach, Stream, Unit
from nudges.weeks import Week

FLOOR_SHARE = 0.02
"""Floor of a campaign that names none: every arm keeps at least one unit in fifty outside the control lane."""


@dataclass(frozen=True, slots=True)
class QuietHours:
    """Local wall-clock span in which nothing is sent; may wrap midnight."""

    start: time
    end: time


@dataclass(frozen=True, slots=True)
class Route:
    """One disposal route of residual waste."""

    name: str
    share: float
    gate_fee_pence_per_tonne: int
    landfill: bool


@dataclass(frozen=True, slots=True)
class ColumnRule:
    """Where a table's column comes from in a drop: `column` times `times`, words by `values`."""

    column: str
    times: float = 1.0
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IngestRule:
    """Files whose name matches `match` are drops of `table`, columns renamed by `columns`."""

    match: str
    table: str
    columns: Mapping[str, ColumnRule]


@dataclass(frozen=True, slots=True)
class Council:
    """`council.toml`: this council. Money in pence, shares 0-1."""

    name: str
    nation: str
    phone: str
    website: str
    public_url: str  # where `nudges serve` is reachable by residents; opt-out links start with it
    timezone: str
    languages: tuple[Language, ...]
    live: bool
    allow_list: tuple[str, ...]
    holdout_share: float
    salt: str
    quiet_hours: QuietHours
    send_times: Mapping[Lead, time]
    cap_messages: int
    cap_weeks: int
    late_after_minutes: int
    channels: Mapping[Medium, str]
    pence_per_fragment: float
    pence_per_email: float
    routes: tuple[Route, ...]
    recycling_fee_pence_per_tonne: int
    tag_cost_pence: int
    ingest: tuple[IngestRule, ...]


@dataclass(frozen=True, slots=True)
class Arm:
    """One nudge of a campaign: a template over one or more media, best first."""

    id: str
    template: str
    media: tuple[Medium, ...]
    reach: Reach = Reach.FIRST
    most: int | None = None  # households a week at most; None for as many as the money reaches


@dataclass(frozen=True, slots=True)
class Shares:
    """Lanes of a campaign as shares of units outside the holdout; they sum to 1."""

    control: float
    learn: float
    best: float


@dataclass(frozen=True, slots=True)
class Campaign:
    """`campaigns/<id>.toml`: a dated experiment. `arms` excludes control."""

    id: str
    title: str
    segments: tuple[str, ...]
    arms: tuple[Arm, ...]
    unit: Unit
    outcome: Outcome
    starts: Week
    weeks: int
    shares: Shares
    budget_pence: int
    every_weeks: int
    estimator: str
    stated_effect_share: float
    source: str  # the file's text, for the approval's fingerprint
    floor_share: float = FLOOR_SHARE  # smallest probability of any arm outside the control lane
    capacity: Mapping[Medium, int] = field(default_factory=dict)  # messages a week at most, by medium
    coverage: Mapping[str, float] = field(default_factory=dict)  # share of a segment that gets some message in a turn

    @property
    def salt(self) -> str:
        """Salt of this campaign's draws."""
        return f"campaign:{self.id}"

    @property
    def arm_ids(self) -> tuple[str, ...]:
        """Control first, then the arms in file order."""
        return (CONTROL, *(arm.id for arm in self.arms))

    @property
    def turns(self) -> int:
        """Turns of `every_weeks` weeks that the campaign is cut into, the last perhaps shorter."""
        return -(-self.weeks // self.every_weeks)

    def runs_in(self, week: Week) -> bool:
        """Whether the run of `week` (data to its end) chooses for this campaign."""
        return self.starts <= week < self.starts + self.weeks

    def turn_of(self, week: Week) -> int:
        """Number of the turn that `week` is in, from 0; weeks before the start count to the first."""
        return max((week.number - self.starts.number) // self.every_weeks, 0)

    def turn_starts(self, turn: int) -> Week:
        """First week of a turn: arms outside the control lane are drawn anew in it, and the policy may change."""
        return self.starts + turn * self.every_weeks

    def turn_ends(self, turn: int) -> Week:
        """Last week of a turn in which the campaign runs."""
        return min(self.turn_starts(turn + 1), self.starts + self.weeks) - 1


@dataclass(frozen=True, slots=True)
class Segment:
    """`segments/<id>.sql`: three header lines and one SELECT of household_id."""

    id: str
    title: str
    why: str
    expect_low: float  # share of households, 0-1
    expect_high: float
    sql: str


@dataclass(frozen=True, slots=True)
class Template:
    """`templates/<id>.j2` (or `<id>.cy.j2`): front matter and raw Jinja blocks."""

    id: str
    language: Language
    title: str
    mechanism: str
    purpose: Purpose
    stream: Stream
    lead: Lead
    source: str  # everything after the front matter, with its blocks
    raw: str  # the whole file, for the approval's fingerprint
