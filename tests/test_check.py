"""`nudges check` finds every mistake of a workspace at once, each named with its file and what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

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
