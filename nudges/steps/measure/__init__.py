"""Measure: turns assignments and collections into effects, checks, tonnes and pounds of each campaign."""

from nudges.steps.measure.step import measure

__all__ = ["measure"]
