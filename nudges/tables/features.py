"""Tables derived from facts every week: features of households, and membership of segments."""

from __future__ import annotations

from collections.abc import Iterable

from nudges.domain import Language, PropertyType, Stream, TagReason
from nudges.tables.schema import Column, Table, Type

T = Type
SET_OUT_WINDOWS = {
    Stream.RESIDUAL: (4, 8, 26),
    Stream.RECYCLING: (4, 8, 26),
    Stream.FOOD: (4, 8, 26),
    Stream.GARDEN: (26,),
}
"""Windows in weeks over which a set-out rate is kept, by stream."""


def _text(name: str, meaning: str, *, allowed: tuple[str, ...] = ()) -> Column:
    return Column(name, T.TEXT, meaning, allowed=allowed)


def _flag(name: str, meaning: str, *, required: bool = True) -> Column:
    return Column(name, T.FLAG, meaning, required=required)


def _count(name: str, meaning: str, unit: str = "", *, required: bool = True) -> Column:
    return Column(name, T.INTEGER, meaning, unit=unit, required=required, low=0)


def _kg(name: str, meaning: str, *, low: float | None = 0) -> Column:
    return Column(name, T.NUMBER, meaning, unit="kg per household and week", low=low)


def _rate(name: str, meaning: str) -> Column:
    return Column(name, T.NUMBER, meaning, unit="share 0-1", low=0, high=1)


def _set_out_columns() -> Iterable[Column]:
    for stream, windows in SET_OUT_WINDOWS.items():
        for n in windows:
            yield _rate(
                f"{stream}_set_out_rate_{n}w",
                f"Set-outs of {stream} / planned collections of the last {n} weeks, those missed or not read left out",
            )
    for stream in SET_OUT_WINDOWS:
        yield _flag(
            f"participates_{stream}",
            f"1 when {stream} was set out at least once in the last three planned collections (WRAP), 0 when not; "
            "empty when fewer than three are known, or when one of them was missed or not read and none set out",
            required=False,
        )


_HOME = (
    Column("household_id", T.TEXT, "Household", required=True, key=True),
    Column("week_no", T.INTEGER, "Week at whose end this was known, from Monday 2000-01-03", required=True, key=True),
    Column("unit_id", T.TEXT, "bin_store_id where bins are shared, else household_id", required=True),
    _text("property_type", "Kind of dwelling", allowed=tuple(PropertyType)),
    _flag("is_flat", "1 for a flat"),
    _flag("shares_bins", "1 where bins are shared with other flats"),
    _count("store_households", "Households that share the bins; 1 where the bins are its own"),
    _text("ward", "Electoral ward"),
    _count(
        "tenure_weeks",
        "Whole weeks since the present occupiers moved in; empty when not known",
        "weeks",
        required=False,
    ),
    Column("deprivation_decile", T.INTEGER, "Index of multiple deprivation, 1 most deprived", low=1, high=10),
    _text("language", "Language the household chose; empty when it chose none", allowed=tuple(Language)),
    *(
        _text(f"{stream}_round_id", f"Round that collects {stream}; empty where there is no service")
        for stream in Stream
    ),
    *(_flag(f"has_{stream}_service", f"1 where {stream} is collected") for stream in Stream),
    _flag("has_sms", "1 with a known mobile number; suppressions are not looked at here"),
    _flag("has_email", "1 with a known email address; suppressions are not looked at here"),
)

_KILOS = (
    _kg(
        "residual_kg_last",
        "Residual at the newest planned collection, 0 when not set out; empty when missed or not read",
    ),
    *(
        _kg(f"residual_kg_mean_{n}w", f"Residual lifted in the last {n} weeks / weeks in which weights were read")
        for n in (4, 8, 26)
    ),
    *(
        _kg(f"residual_kg_sd_{n}w", f"Standard deviation between the weighed collections of the last {n} weeks")
        for n in (8, 26)
    ),
    *(
        Column(
            f"residual_kg_trend_{n}w",
            T.NUMBER,
            f"Slope of a straight line through the weighed collections of the last {n} weeks; negative when falling",
            unit="kg per household and week, per week",
        )
        for n in (8, 26)
    ),
)

_TAGS = (
    *(_count(f"tags_{n}w", f"Tagged lifts of any stream in the last {n} weeks", "lifts") for n in (4, 8, 26)),
    *(
        _rate(f"tag_rate_{n}w", f"Tagged recycling lifts / recycling lifts of the last {n} weeks; empty without a lift")
        for n in (4, 8, 26)
    ),
    _count("weeks_since_tag", "Weeks since the newest tag; empty when never tagged", "weeks", required=False),
    _text(
        "last_tag_reason",
        "Reason of the newest tag, first in the alphabet when it has several",
        allowed=tuple(TagReason),
    ),
    Column("last_tag_on", T.DATE, "Day of the newest tag"),
)

_SERVICE = (
    *(
        _count(f"missed_{n}w", f"Collections of any stream that the crew missed in the last {n} weeks", "collections")
        for n in (4, 26)
    ),
    _count(
        "weeks_since_missed",
        "Weeks since the crew last missed a collection; empty when not in the last 26",
        "weeks",
        required=False,
    ),
    *(
        _count(f"excess_{n}w", f"Collections with an open lid or side waste in the last {n} weeks", "collections")
        for n in (8, 26)
    ),
)

_MESSAGES = (
    *(_count(f"messages_{n}w", f"Messages a provider took in the last {n} weeks", "messages") for n in (4, 26)),
    _count(
        "weeks_since_message", "Weeks since the run of the newest message; empty when none", "weeks", required=False
    ),
    _count("delivered_26w", "Messages of the last 26 weeks known to be delivered", "messages"),
    _count("clicked_26w", "Messages of the last 26 weeks with a click", "messages"),
    _flag("opted_out", "1 when any message was ever answered by opting out"),
)

# Parquet, one file a week, replaced whole by a re-run.
FEATURES = Table(
    "features",
    "What is known of a household at the end of a week. Empty means unknown, never 0; "
    "bins of a bin store are those of each of its households, their kg shared equally. Set-out rates and kg of a "
    "window are empty where bins were seen in weeks that the round's calendar does not cover.",
    (*_HOME, *_KILOS, *_set_out_columns(), *_TAGS, *_SERVICE, *_MESSAGES),
    source="households, contacts, calendar, lifts, tags and the ledger's messages",
)

# Parquet, one file a week, replaced whole by a re-run.
MEMBERSHIP = Table(
    "membership",
    "Households of each segment in a week.",
    (
        Column("segment", T.TEXT, "Segment id", required=True, key=True),
        Column("household_id", T.TEXT, "Household", required=True, key=True),
        Column("week_no", T.INTEGER, "Week whose features were looked at", required=True, key=True),
    ),
    source="segments/*.sql over features",
)

DERIVED = (FEATURES, MEMBERSHIP)
