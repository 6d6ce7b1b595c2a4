"""Personalised recycling nudges for councils, measured against a randomised control."""

__version__ = "0.3.0"
