"""First assignments of every turn → evidence: what was known, what was drawn with which chances, what came of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from nudges.domain import Campaign, Shares
from nudges.draws import propensities
from nudges.steps.choose.policy import allowed_arms, fixed_policy
from nudges.steps.groups import group_flags
from nudges.steps.learn.outcomes import turn_outcomes
from nudges.steps.learn.rows import PastChoice, Rows, first_rows, past_choices
from nudges.steps.matrix import feature_matrix, sharing_homes
from nudges.steps.workspace import Workspace
from nudges.uplift import LONGEST_OUTCOME_WEEKS, OUTCOME_WEEKS, Evidence
from nudges.weeks import Week

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

_SAME = 1e-9  # a propensity worked out again is the logged one, but for rounding


def window_weeks(campaign: Campaign) -> int:
    """Weeks of a row's outcome, beginning the week after its run: what a turn lasts, 4 to 12."""
    return min(max(campaign.every_weeks, OUTCOME_WEEKS), LONGEST_OUTCOME_WEEKS)


def evidence_of(ws: Workspace, campaign: Campaign, week: Week, columns: tuple[str, ...]) -> tuple[Evidence, int]:
    """Closed rows of the campaign's turns, and how many of them are left out because their chances are not known.

    Rows without a valid reading are left out, and those of units that some arm was stopped for: they can say nothing
    of it. A row whose logged propensity cannot be worked out again from the choice and today's segments of that week
    is left out too.
    """
    choices = past_choices(ws, campaign, week)
    length = window_weeks(campaign)
    rows = first_rows(ws, campaign, choices, closed=week.number - length)
    n, n_arms = len(rows.arm), len(campaign.arm_ids)
    matrix, chance = np.full((n, len(columns)), np.nan), np.zeros((n, n_arms))
    sharing, is_known = rows.households.astype(np.float64), np.zeros(n, dtype=bool)
    segments: dict[str, Flags] = {}
    with ws.facts(week, extra=["features", "membership"]) as connection:
        for number in np.unique(rows.week_no):
            here = np.flatnonzero(rows.week_no == number)
            homes = rows.home.take(pa.array(here))
            matrix[here] = feature_matrix(connection, homes, int(number), columns)
            sharing[here] = sharing_homes(connection, homes, int(number), sharing[here])
            groups = group_flags(connection, homes, int(number))
            for name, flags in groups.items():
                segments.setdefault(name, np.zeros(n, dtype=bool))[here] = flags
            chance[here], is_known[here] = _chances(rows, here, choices[int(number)], campaign, groups)
        y = turn_outcomes(connection, campaign.outcome, rows, households=sharing, weeks=length)
    has_outcome = np.isfinite(y)
    kept = np.flatnonzero(has_outcome & is_known & (chance > 0).all(axis=1))
    evidence = Evidence(
        X=matrix[kept],
        y=y[kept],
        given=rows.arm[kept],
        propensity=chance[kept],
        groups=rows.unit[kept],
        households=rows.households[kept].astype(np.float64),
        arms=campaign.arm_ids,
        batch=rows.turn[kept],
        segments={name: flags[kept] for name, flags in sorted(segments.items()) if _is_group(flags[kept])},
        columns=columns,
    )
    return evidence, int((has_outcome & ~is_known).sum())


def _is_group(flags: Flags) -> bool:
    """Whether somebody is in it and somebody is not: what an arm does to everybody is no question of groups."""
    return bool(flags.any() and not flags.all())


def _chances(
    rows: Rows, here: NDArray[np.intp], choice: PastChoice, campaign: Campaign, groups: Mapping[str, Flags]
) -> tuple[Floats, Flags]:
    """Chance of every arm for the rows of one week, and whether it is what was logged.

    In a unit's first turn over control, learn and best; later given that it is not in the control lane.
    """
    policy_arm, n_arms = rows.policy_arm[here], len(campaign.arm_ids)
    nobody = np.zeros(len(here), dtype=bool)
    stopped = {group: groups.get(group, nobody) for group, _ in choice.stops}
    allowed = allowed_arms(choice.stops, stopped, campaign.arm_ids, len(here))
    mixture = None if choice.policy.startswith("model:") else fixed_policy(choice.policy, campaign)[1]

    def over(shares: Shares, holdout_share: float = 0.0) -> Floats:
        return propensities(
            policy_arm, n_arms, shares=shares, holdout_share=holdout_share, mixture=mixture, allowed=allowed
        )

    shares, outside = choice.shares, choice.shares.learn + choice.shares.best
    logged = over(shares, choice.holdout_share)[np.arange(len(here)), rows.arm[here]]
    later = over(Shares(0.0, shares.learn / outside, shares.best / outside))
    chance = np.where(rows.is_first[here][:, None], over(shares), later)
    return chance, np.abs(logged - rows.propensity[here]) <= _SAME
