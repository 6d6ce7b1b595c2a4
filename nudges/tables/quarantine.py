"""What a drop held that could not be loaded, kept with its reason."""

from __future__ import annotations

from nudges.tables.schema import Column, Table, Type

T = Type

QUARANTINE = Table(
    "quarantine",
    "One reason why one row of a drop was not loaded; a row can have several. Contacts are masked.",
    (
        Column("drop_id", T.TEXT, "Drop the row came in", required=True, key=True),
        Column("table_name", T.TEXT, "Table it was meant for", required=True),
        Column("file_name", T.TEXT, "Name of the file", required=True),
        Column("row_no", T.INTEGER, "Row in the file; the header is row 1", required=True, key=True, low=1),
        Column("column_name", T.TEXT, "Column at fault; empty where the whole row is", required=True, key=True),
        Column("value", T.TEXT, "What it held"),
        Column("reason", T.TEXT, "What is wrong with it", required=True, key=True),
        Column("raw", T.TEXT, "The row as it came: JSON by column name, or the line that could not be split"),
    ),
    source="Written by ingest, stored under the week of the run",
)
