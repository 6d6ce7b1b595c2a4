"""Turns unit outcomes and a random assignment into effects with intervals, checks and a verdict."""

from nudges.measuring.ancova import unit_ancova
from nudges.measuring.contrasts import NONE_AT_FIRST, by_arm, by_segment, by_week, headline, shown_arms
from nudges.measuring.diagnostics import Balance, OutageGap, SampleRatio, balance, outage_gap, sample_ratio
from nudges.measuring.effect import Effect, Method
from nudges.measuring.pooling import pooled
from nudges.measuring.power import mean_variance, minimum_detectable
from nudges.measuring.results import Flow, Group, Headline, Measured, from_rows, to_rows
from nudges.measuring.units import Drawn, Outcomes
from nudges.measuring.verdicts import lower_is_better, outcome_name, outcome_unit, quantity, verdict, verdict_words

__all__ = [
    "NONE_AT_FIRST",
    "Balance",
    "Drawn",
    "Effect",
    "Flow",
    "Group",
    "Headline",
    "Measured",
    "Method",
    "OutageGap",
    "Outcomes",
    "SampleRatio",
    "balance",
    "by_arm",
    "by_segment",
    "by_week",
    "from_rows",
    "headline",
    "lower_is_better",
    "mean_variance",
    "minimum_detectable",
    "outage_gap",
    "outcome_name",
    "outcome_unit",
    "pooled",
    "quantity",
    "sample_ratio",
    "shown_arms",
    "to_rows",
    "unit_ancova",
    "verdict",
    "verdict_words",
]
