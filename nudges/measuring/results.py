"""Everything measured of a campaign in a week, as frozen values: the headline, its checks, and the rows beside it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nudges.domain import Outcome, Unit, Verdict
from nudges.measuring.diagnostics import Attrition, Balance, OutageGap, Reached, SampleRatio, Spillover
from nudges.measuring.effect import Effect
from nudges.measuring.randomisation import Randomisation
from nudges.measuring.registration import Registration
from nudges.measuring.weighbridge import Crosscheck
from nudges.money import Range, Savings


class Kind(StrEnum):
    """What a row beside the headline is about."""

    ARM = "arm"
    SEGMENT = "segment"
    WEEK = "week"  # calendar week
    ROBUSTNESS = "robustness"  # the headline's question answered another way
    DECAY = "decay"  # weeks since the unit was first drawn into the campaign, while it runs
    AFTER = "after"  # weeks since the campaign's last message
    GUARDRAIL = "guardrail"  # an outcome the campaign was not meant to change, where a harm would show


class LookRule(StrEnum):
    """How an interval is made right for being read every week."""

    OBRIEN_FLEMING = "O'Brien-Fleming error spending over the planned weeks"
    CONFIDENCE_SEQUENCE = "confidence sequence: right however long it is read"


@dataclass(frozen=True, slots=True)
class Group:
    """The effect in one arm, segment, week or other row. `pooled` is the partially pooled effect of arms and segments.

    Without an effect, `note` says why there is none.
    """

    kind: Kind
    label: str
    title: str
    effect: Effect | None
    pooled: Effect | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Flow:
    """Households (not units) of one arm at each step, each a subset of the one before it but `accepted`, `delivered`.

    Those two count households of the arm that a message reached; weighed and analysed start from contactable again.
    `stores` counts the units that several households share.
    """

    arm: str
    assigned: int
    contactable: int
    accepted: int
    delivered: int
    weighed: int
    analysed: int
    units: int
    stores: int = 0


@dataclass(frozen=True, slots=True)
class Looked:
    """The headline's interval, right at every weekly look up to this one together.

    `look` of `looks` planned ones; `boundary` is in standard errors; the interval is in the outcome's unit.
    """

    look: int
    looks: int
    boundary: float
    ci_low: float
    ci_high: float
    rule: LookRule


@dataclass(frozen=True, slots=True)
class Delivered:
    """Effect on those a message was delivered to, by instrument: as drawn, divided by the share delivered.

    `treated_share` and `control_share` are shares of analysed households with at least one message delivered.
    """

    effect: Effect
    treated_share: float
    control_share: float


@dataclass(frozen=True, slots=True)
class Shared:
    """Tickets of lorries that covered several rounds: their share of the grams, and by what rule it was shared out."""

    grams_share: float
    rule: str


@dataclass(frozen=True, slots=True)
class Headline:
    """In the campaign against control at the end of a week, per household and week, with every check that can void it.

    `effect` is right for one look, `looked` for all weekly ones so far: the verdict and the money go by `looked`.
    `detectable` is the smallest effect it could have seen; `stated` the effect the campaign was meant to have (outcome
    units). `treated_household_weeks` holds the analysed treated household-weeks by calendar week as (week_no, count).
    """

    outcome: Outcome
    verdict: Verdict
    words: str
    alarms: tuple[str, ...]
    effect: Effect
    control_mean: float
    stated: float
    detectable: float
    first_week_no: int
    last_week_no: int
    households_treated: int
    households_control: int
    treated_household_weeks: tuple[tuple[int, int], ...]
    ratios: tuple[SampleRatio, ...]
    outage: OutageGap
    balance: Balance
    placebo: Effect | None
    flows: tuple[Flow, ...]
    messages: int
    cost_pence: float
    unit: Unit = Unit.HOUSEHOLD
    looked: Looked | None = None
    randomisation: Randomisation | None = None  # of rounds
    delivered: Delivered | None = None
    doses: tuple[tuple[int, int], ...] = ()  # messages delivered to a household in the campaign, such households
    attrition: Attrition | None = None
    reached: Reached | None = None
    spillover: Spillover | None = None
    crosscheck: Crosscheck | None = None  # against the weighbridge
    shared: Shared | None = None  # of rounds weighed by lorry
    registration: Registration | None = None
    half_life_weeks: Range | None = None  # after the last message

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval to show, low below high: right for every look so far."""
        return (self.looked or self.effect).ci_low, (self.looked or self.effect).ci_high

    @property
    def share(self) -> float | None:
        """Effect as a share of the control mean; None when that is zero."""
        return self.effect.estimate / self.control_mean if self.control_mean > 0 else None

    @property
    def household_weeks(self) -> int:
        """Analysed treated households times the weeks each was measured."""
        return sum(count for _, count in self.treated_household_weeks)


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything measured of one campaign at the end of one week; `money_note` says why there is no money."""

    campaign: str
    week_no: int
    headline: Headline
    groups: tuple[Group, ...]
    money: Savings | None
    money_note: str = ""

    def of(self, kind: Kind) -> tuple[Group, ...]:
        """Groups of one kind, in order."""
        return tuple(group for group in self.groups if group.kind == kind)
