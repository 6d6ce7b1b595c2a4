"""Prefect flows: names, order, guards and artifacts. The work is in `nudges.steps`."""
