"""Turns unit outcomes and a random assignment into effects with intervals, checks and a verdict."""

from nudges.measuring.ancova import unit_ancova
from nudges.measuring.cumulative import Cumulative, cumulative_effects, joint_effects
from nudges.measuring.decay import Decay, HalfLife, Persistence, Window, decay, kept_after_stopping, persistence
from nudges.measuring.delivered import delivered_effect
from nudges.measuring.diagnostics import (
    Attrition,
    Balance,
    OutageGap,
    Reached,
    SampleRatio,
    Spillover,
    attrition,
    balance,
    outage_gap,
    reached,
    sample_ratio,
    spillover,
)
from nudges.measuring.effect import Effect, Method
from nudges.measuring.groups import by_arm, by_segment, by_week, by_window, guardrails, robustness
from nudges.measuring.headlines import NONE_AT_FIRST, headline, shown_arms
from nudges.measuring.panel import panel_ancova, panel_ancova_long
from nudges.measuring.pooling import pooled
from nudges.measuring.power import Power, Trial, mean_variance, minimum_detectable, power
from nudges.measuring.power_simulation import Simulated, simulated_power
from nudges.measuring.power_words import power_words
from nudges.measuring.randomisation import Randomisation, randomisation_test
from nudges.measuring.ratios import ratio_effect
from nudges.measuring.registration import Registration, canonical, deviations, plan_of, plan_sha256
from nudges.measuring.results import Delivered, Flow, Group, Headline, Kind, Looked, LookRule, Measured, Shared
from nudges.measuring.robustness import robustness_rows
from nudges.measuring.rounds import round_effect
from nudges.measuring.sequential import Look, confidence_sequence, sequential
from nudges.measuring.staggered import Comparison, group_time_effect, staggered_effect, two_way_effect
from nudges.measuring.stored import from_rows, to_rows
from nudges.measuring.units import Drawn, Outcomes, Sent, Series
from nudges.measuring.variation import Variation, variation
from nudges.measuring.verdicts import lower_is_better, outcome_name, outcome_unit, quantity, verdict, verdict_words
from nudges.measuring.weighbridge import Agreement, Crosscheck, RoundWeights, crosscheck

__all__ = [
    "NONE_AT_FIRST",
    "Agreement",
    "Attrition",
    "Balance",
    "Comparison",
    "Crosscheck",
    "Cumulative",
    "Decay",
    "Delivered",
    "Drawn",
    "Effect",
    "Flow",
    "Group",
    "HalfLife",
    "Headline",
    "Kind",
    "Look",
    "LookRule",
    "Looked",
    "Measured",
    "Method",
    "OutageGap",
    "Outcomes",
    "Persistence",
    "Power",
    "Randomisation",
    "Reached",
    "Registration",
    "RoundWeights",
    "SampleRatio",
    "Sent",
    "Series",
    "Shared",
    "Simulated",
    "Spillover",
    "Trial",
    "Variation",
    "Window",
    "attrition",
    "balance",
    "by_arm",
    "by_segment",
    "by_week",
    "by_window",
    "canonical",
    "confidence_sequence",
    "crosscheck",
    "cumulative_effects",
    "decay",
    "delivered_effect",
    "deviations",
    "from_rows",
    "group_time_effect",
    "guardrails",
    "headline",
    "joint_effects",
    "kept_after_stopping",
    "lower_is_better",
    "mean_variance",
    "minimum_detectable",
    "outage_gap",
    "outcome_name",
    "outcome_unit",
    "panel_ancova",
    "panel_ancova_long",
    "persistence",
    "plan_of",
    "plan_sha256",
    "pooled",
    "power",
    "power_words",
    "quantity",
    "randomisation_test",
    "ratio_effect",
    "reached",
    "robustness",
    "robustness_rows",
    "round_effect",
    "sample_ratio",
    "sequential",
    "shown_arms",
    "simulated_power",
    "spillover",
    "staggered_effect",
    "to_rows",
    "two_way_effect",
    "unit_ancova",
    "variation",
    "verdict",
    "verdict_words",
]
