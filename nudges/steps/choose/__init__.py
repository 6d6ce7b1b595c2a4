"""Choose: turns segments, eligibility, policy and budget into assignments, and one reason for every household."""

from nudges.steps.choose.choosing import Chosen, choosing
from nudges.steps.choose.step import choose

__all__ = ["Chosen", "choose", "choosing"]
