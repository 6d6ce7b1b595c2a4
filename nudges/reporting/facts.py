"""Turns a page into the same facts as JSON, with the same counts hidden and rounded."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from nudges.measuring import Effect, Group, Headline, Kind, SampleRatio
from nudges.reporting import effects, worth
from nudges.reporting.checks import hides
from nudges.reporting.disclosure import disclosed_units, is_publishable
from nudges.reporting.dose import dose_json
from nudges.reporting.flow import flow_json
from nudges.reporting.page import ImpactPage, last_year, shows_effects, words
from nudges.reporting.year import entry_json
from nudges.weeks import Week


def impact_json(page: ImpactPage) -> dict[str, Any]:
    """Every fact of the page, ready for JSON."""
    head = page.measured.headline
    valid = shows_effects(head)
    plan = head.registration
    return {
        "campaign": page.campaign.id,
        "title": page.campaign.title,
        "week": str(Week(page.measured.week_no)),
        "first_week": str(Week(head.first_week_no)),
        "last_week": str(Week(head.last_week_no)),
        "unit": head.unit.value,
        "outcome": head.outcome.value,
        "verdict": head.verdict.value,
        "words": words(head),
        "alarms": list(head.alarms),
        "plan": None if plan is None else asdict(plan) | {"is_followed": plan.is_followed},
        "seed": {"salt": page.campaign.salt, "council_salt_sha256": page.salt_sha256},
        **(_found(page) if valid else _NOTHING),
        "flow": flow_json(head),
        "ratios": [_ratio(ratio, head) for ratio in head.ratios],
        "outage": _plain(asdict(head.outage)),
        "doses": dose_json(head),
        "year": last_year(page.measured),
        "campaigns": [entry_json(entry, with_effect=valid) for entry in page.campaigns],
        "data_sha256": page.data_sha256,
        "generated_at": page.generated_at.isoformat(),
    }


def _found(page: ImpactPage) -> dict[str, Any]:
    measured, head = page.measured, page.measured.headline
    low, high = head.interval
    return {
        "effect": _effect(head.effect, head),
        "interval": {"ci_low": low, "ci_high": high},
        "looked": None if head.looked is None else asdict(head.looked),
        "control_mean": head.control_mean,
        "detectable": head.detectable,
        "stated": head.stated,
        "money": worth.money_json(measured),
        "delivered": _effect(head.delivered.effect, head) if head.delivered else None,
        "randomisation": None if head.randomisation is None else _plain(asdict(head.randomisation)),
        "crosscheck": None if head.crosscheck is None else _plain(asdict(head.crosscheck)),
        "half_life_weeks": None if head.half_life_weeks is None else _plain(asdict(head.half_life_weeks)),
        "groups": [each for kind in Kind for each in _groups(measured.of(kind), head)],
    }


_COARSE = 4  # decimals
_NOTHING: dict[str, Any] = {
    "effect": None,
    "interval": None,
    "looked": None,
    "control_mean": None,
    "detectable": None,
    "stated": None,
    "money": None,
    "delivered": None,
    "randomisation": None,
    "crosscheck": None,
    "half_life_weeks": None,
    "groups": [],
}


def _groups(groups: tuple[Group, ...], head: Headline) -> list[dict[str, Any]]:
    hidden = bool(groups) and groups[0].kind in {Kind.ARM, Kind.SEGMENT} and effects.hides_units(groups, head)
    return [
        {
            "kind": group.kind.value,
            "label": group.label,
            "title": group.title,
            "effect": _effect(group.effect, head, hides_units=hidden),
            "pooled": _effect(group.pooled, head, hides_units=hidden),
        }
        for group in groups
        if is_publishable(group.effect, head.unit)
    ]


def _effect(effect: Effect | None, head: Headline, *, hides_units: bool = False) -> dict[str, Any] | None:
    if effect is None or not is_publishable(effect, head.unit):
        return None
    ends = {"estimate": effect.estimate, "ci_low": effect.ci_low, "ci_high": effect.ci_high}
    if hides_units:  # half-width over standard error is a t quantile, and gives the number of units away
        return {name: round(value, _COARSE) for name, value in ends.items()} | {"n_treated": None, "n_control": None}
    return {
        **ends,
        "se": effect.se,
        "p_value": effect.p_value,
        "method": effect.method.value,
        "n_treated": disclosed_units(effect.n_units_treated, head.unit),
        "n_control": disclosed_units(effect.n_units_control, head.unit),
    }


def _ratio(ratio: SampleRatio, head: Headline) -> dict[str, Any]:
    if hides(ratio, head.unit):
        return {"step": ratio.step, "observed": None, "p_value": None, "is_alarm": ratio.is_alarm}
    observed = {name: disclosed_units(count, head.unit) for name, count in ratio.observed.items()}
    return {"step": ratio.step, "observed": observed, "p_value": ratio.p_value, "is_alarm": ratio.is_alarm}


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers that JSON has; what is not known, or has no bound, is null."""
    return {
        name: _plain(value)
        if isinstance(value, dict)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in values.items()
    }
