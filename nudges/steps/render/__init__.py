"""Render: turns assignments, templates and facts into planned messages with hash, fragments, price and moment."""

from nudges.steps.render.drafts import Draft, Drafts, drafts
from nudges.steps.render.step import render

__all__ = ["Draft", "Drafts", "drafts", "render"]
