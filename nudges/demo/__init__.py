"""Turns a seed into a whole run of the product on a borough that does not exist, from drops to impact page."""

from nudges.demo.headline import Headline
from nudges.demo.loop import Loop
from nudges.demo.run import DemoResult, print_result, run_demo

__all__ = ["DemoResult", "Headline", "Loop", "print_result", "run_demo"]
