"""A randomised trial and an estimator → which policy has earned its place, and the words for it."""

from nudges.uplift.deciding import COLD_START_UNITS, COLD_START_UNITS_PER_ARM, decide
from nudges.uplift.decision import Decision
from nudges.uplift.detail import Detail, Quality
from nudges.uplift.evidence import (
    FOOD_COLLECTIONS_A_WEEK,
    KG_PER_FOOD_SET_OUT,
    KG_PER_RECYCLING_SET_OUT,
    LONGEST_OUTCOME_WEEKS,
    OUTCOME_WEEKS,
    RECYCLING_COLLECTIONS_A_WEEK,
    Evidence,
    Prices,
    net_benefit,
    pence_per_outcome,
)
from nudges.uplift.gate import NONE_CHANCE
from nudges.uplift.groups import LARGE_SEGMENT_UNITS, GroupShare
from nudges.uplift.held_out import GATE_FOLDS
from nudges.uplift.memory import Earlier, Layout, Stop
from nudges.uplift.readable import Readable

__all__ = [
    "COLD_START_UNITS",
    "COLD_START_UNITS_PER_ARM",
    "FOOD_COLLECTIONS_A_WEEK",
    "GATE_FOLDS",
    "KG_PER_FOOD_SET_OUT",
    "KG_PER_RECYCLING_SET_OUT",
    "LARGE_SEGMENT_UNITS",
    "LONGEST_OUTCOME_WEEKS",
    "NONE_CHANCE",
    "OUTCOME_WEEKS",
    "RECYCLING_COLLECTIONS_A_WEEK",
    "Decision",
    "Detail",
    "Earlier",
    "Evidence",
    "GroupShare",
    "Layout",
    "Prices",
    "Quality",
    "Readable",
    "Stop",
    "decide",
    "net_benefit",
    "pence_per_outcome",
]
