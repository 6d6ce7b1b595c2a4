"""Errors a person can act on: what, where, what to do, and one exit code a class."""

from __future__ import annotations


class NudgesError(Exception):
    """Something a person can put right; shown in one line, without a traceback. `exit_code` is the shell's."""

    exit_code = 1


class ConfigError(NudgesError):
    """A workspace file (council.toml, campaign, segment, template) is wrong."""

    exit_code = 3


class DataError(NudgesError):
    """A drop could not be read at all (single bad rows go to quarantine instead)."""

    exit_code = 4


class NotReadyError(NudgesError):
    """A step was asked for before the tables it reads exist."""

    exit_code = 5


class ApprovalError(NudgesError):
    """Something would be sent that nobody approved, or the approval is void."""

    exit_code = 6


class LateRunError(NudgesError):
    """A run fired so late that a person must decide whether it still goes out."""

    exit_code = 8


class ProviderError(NudgesError):
    """A provider refused in a way that concerns every message, not one."""

    exit_code = 9


class RenderError(NudgesError):
    """A template needs a fact that a household does not have, or is not allowed."""

    exit_code = 10


class UnsupportedError(NudgesError):
    """Asked for something this version does not do; it never guesses."""

    exit_code = 11


class SignatureError(NudgesError):
    """A callback's signature is missing, wrong or stale; nothing was stored."""

    exit_code = 12


class PowerError(NudgesError):
    """A campaign could not see the effect it is meant to have; a person may say to go on."""

    exit_code = 13
