"""The generated pages say what the code says."""

from __future__ import annotations

import pytest

from nudges.cli import app
from nudges.cli.documents import DOCS, commands_markdown, tables_markdown
from nudges.tables import TABLES

MEND = "Run: .venv/bin/python -m nudges.cli.documents"


@pytest.mark.parametrize(("name", "made"), [("tables", tables_markdown()), ("commands", commands_markdown(app))])
def test_generated_pages_are_current(name: str, made: str) -> None:
    assert (DOCS / f"{name}.md").read_text("utf-8") == made, MEND


def test_every_column_has_a_meaning() -> None:
    for table in TABLES.tables.values():
        assert table.meaning, table.name
        assert [column.name for column in table.columns if not column.meaning] == [], table.name
