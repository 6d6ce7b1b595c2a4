"""Eligibility: the text table in the module is the manual; every combination of facts is read against it."""

import itertools

import numpy as np
import pytest

from nudges import eligibility
from nudges.domain import Reason
from nudges.draws import LANES
from nudges.eligibility import REASONS, Standing, reasons, sendable

FLAGS = ("has_service", "is_stopped", "has_contact", "has_open_contact", "is_capped", "has_room", "is_paid")


def manual() -> list[tuple[str, str]]:
    """Rows of the table in the docstring: reason and rule."""
    lines = [line.strip() for line in eligibility.__doc__.splitlines() if "|" in line and "---" not in line]
    return [tuple(cell.strip() for cell in line.split("|")) for line in lines[1:]]


def everything() -> list[dict]:
    """Every combination of facts, arm 0 the control."""
    return [
        dict(zip(FLAGS, flags, strict=True)) | {"lane": lane, "arm": arm}
        for lane in range(len(LANES))
        for arm in (0, 1, 2)
        for flags in itertools.product((False, True), repeat=len(FLAGS))
    ]


def by_manual(facts: dict) -> str:
    """First rule of the table that holds, read as a sentence."""
    words = facts | {"lane": str(LANES[facts["lane"]]), "arm": "control" if facts["arm"] == 0 else "message"}
    names = {"holdout": "holdout", "best": "best", "control": "control", "always": True}
    for reason, rule in manual():
        if eval(rule, {"__builtins__": {}}, names | words):  # our own docstring
            return reason
    raise AssertionError("the table has no last row")


def standing(cases: list[dict]) -> Standing:
    column = {name: np.array([case[name] for case in cases]) for name in (*FLAGS[:-2], "lane", "arm")}
    return Standing(**column)


def test_the_manual_names_every_reason_in_order():
    assert [reason for reason, _ in manual()] == [str(reason) for reason in REASONS]
    later = {Reason.NO_COLLECTION, Reason.MISSING_FACT}
    assert set(REASONS) | later == set(Reason)


def test_every_combination_follows_the_manual():
    cases = everything()
    paid, room = (np.array([case[name] for case in cases]) for name in ("is_paid", "has_room"))
    found = reasons(standing(cases), paid, room)
    assert [str(REASONS[code]) for code in found] == [by_manual(case) for case in cases]


def test_sendable_is_chosen_when_money_is_no_object():
    cases = everything()
    rich = reasons(standing(cases), np.ones(len(cases), dtype=bool))
    assert (sendable(standing(cases)) == (rich == REASONS.index(Reason.CHOSEN))).all()


@pytest.mark.parametrize(
    ("lane", "arm", "reason"),
    [("holdout", 0, "holdout"), ("control", 0, "control"), ("learn", 0, "control"), ("best", 0, "policy_none")],
)
def test_why_there_is_no_message(lane, arm, reason):
    case = dict.fromkeys(FLAGS, True) | {"is_stopped": False, "is_capped": False}
    case |= {"lane": LANES.index(lane), "arm": arm}
    assert REASONS[reasons(standing([case]), np.array([True]))[0]] == reason
