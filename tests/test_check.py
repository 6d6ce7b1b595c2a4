"""`nudges check` finds every mistake of a workspace at once, each named with its file and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nudges.catalogue import load_campaign
from nudges.domain import Medium
from nudges.starter import copy_starter
from nudges.steps.check import check


@pytest.fixture
def home(tmp_path: Path) -> Path:
    copy_starter(tmp_path)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_the_starter_is_right(home: Path) -> None:
    checked = check(home)
    assert checked.problems == ()
    assert len(checked.campaigns) >= 2
    assert len(checked.segments) >= 8
    assert len({name.split(".")[0] for name in checked.templates}) >= 6


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("campaigns/less_rubbish.toml", "control = 0.25", "control = 1.25", "campaigns/less_rubbish.toml: "),
        ("campaigns/less_rubbish.toml", '["own_bins"]', '["own_bnis"]', "segments has 'own_bnis', must be one of"),
        ("campaigns/less_rubbish.toml", '"causal_stack"', '"oracle"', "'oracle'"),
        ("campaigns/less_rubbish.toml", '"street_norm"', '"street_nrom"', "'street_nrom', must be one of"),
        (
            "campaigns/less_rubbish.toml",
            "floor_share = 0.02",
            "floor_share = 0.12",
            (
                "shares.learn == 0.35, must leave each of 4 arms (none is one) at least floor_share == 0.12 of the "
                "units outside the control lane; it leaves 0.117. Write learn = 0.36 or more"
            ),
        ),
        ("campaigns/less_rubbish.toml", "# [capacity]\n# sms", "[capacity]\nsmss", "capacity.smss == 10000, is not a"),
        (
            "campaigns/less_rubbish.toml",
            "# [coverage]\n# heavy",
            "[coverage]\nheavi",
            "coverage.heavi_residual names no",
        ),
        (
            "campaigns/less_rubbish.toml",
            'template = "food_caddy_start"',
            'template = "food_caddy_start"\nmost = -1',
            "arms.food_caddy.most == -1, must be a whole number",
        ),
        ("segments/own_bins.sql", "SELECT", "SELEKT", "segments/own_bins.sql: "),
        ("segments/own_bins.sql", "FROM features", "FROM households", "segments/own_bins.sql: "),
        ("templates/street_norm.j2", "{% block sms %}", "{% block sms %}{{ household.shoe_size }} ", "shoe_size"),
        ("templates/tag_feedback.cy.j2", "{% block sms %}", "{% block sms %}{{ street.name }} ", "differs from"),
        ("council.toml", 'email = "outbox"', 'email = "pigeon"', "pigeon"),
        ("council.toml", "share = 0.35", "share = 0.85", "council.toml: "),
    ],
)
def test_a_mistake_is_named(home: Path, file: str, old: str, new: str, says: str) -> None:
    edit(home / file, old, new)
    problems = check(home).problems
    assert problems
    assert any(says in problem for problem in problems), problems


def test_a_welsh_template_needs_its_english_twin(home: Path) -> None:
    (home / "templates" / "tag_feedback.j2").unlink()
    assert any("has no English twin. Add tag_feedback.j2." in problem for problem in check(home).problems)


def test_all_mistakes_at_once(home: Path) -> None:
    edit(home / "segments/own_bins.sql", "SELECT", "SELEKT")
    edit(home / "segments/new_movers.sql", "SELECT", "SELEKT")
    edit(home / "campaigns/less_rubbish.toml", '"causal_stack"', '"oracle"')
    problems = "\n".join(check(home).problems)
    for file in ("segments/own_bins.sql", "segments/new_movers.sql", "oracle"):
        assert file in problems


def test_limits_and_coverage_are_read(home: Path) -> None:
    path = home / "campaigns/less_rubbish.toml"
    edit(path, "# [capacity]\n# sms", "[capacity]\nsms")
    edit(path, "# [coverage]\n# heavy", "[coverage]\nheavy")
    edit(path, 'template = "street_norm"', 'template = "street_norm"\nmost = 5_000')
    campaign = load_campaign(path)
    assert check(home).problems == ()
    assert campaign.capacity == {Medium.SMS: 10_000}
    assert campaign.coverage == {"heavy_residual": 0.10}
    assert [arm.most for arm in campaign.arms] == [5_000, None, None]
    assert campaign.floor_share == 0.02


def test_turns_of_a_campaign(home: Path) -> None:
    path = home / "campaigns/less_rubbish.toml"
    edit(path, "weeks = 12", "weeks = 10")
    campaign = load_campaign(path)
    start = campaign.starts
    assert campaign.turns == 3
    assert [campaign.turn_of(start + week) for week in (-3, 0, 3, 4, 9)] == [0, 0, 0, 1, 2]
    assert [campaign.turn_starts(turn) for turn in range(3)] == [start, start + 4, start + 8]
    assert [campaign.turn_ends(turn) for turn in range(3)] == [start + 3, start + 7, start + 9]
