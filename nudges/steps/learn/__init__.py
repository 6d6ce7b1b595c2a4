"""Learn: turns closed outcomes of past turns into a policy, its model card, and a model where one has earned it."""

from nudges.steps.learn.step import learn

__all__ = ["learn"]
