"""Benefit and cost of every arm for every unit → one arm each, within what money and channels allow."""

from nudges.choice.allocating import allocate, allocate_priced, at_price
from nudges.choice.allocation import Allocation, Coverage, Limit
from nudges.choice.planting import policy_tree
from nudges.choice.tree import Leaf, Split, Tree

__all__ = [
    "Allocation",
    "Coverage",
    "Leaf",
    "Limit",
    "Split",
    "Tree",
    "allocate",
    "allocate_priced",
    "at_price",
    "policy_tree",
]
