"""The facts a template may name: what each means, an example, and which known value its words are made from."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum


class Kind(StrEnum):
    """How a value becomes words."""

    TEXT = "text"  # as it is
    NUMBER = "number"  # digits; may be compared in an `if`
    TIMES = "times"  # "once", "twice", "3 times"
    DAY = "day"  # "Tuesday"
    DATE = "date"  # "Tuesday 3 March"
    SHORT = "short"  # "3 Mar"
    STREAM = "stream"  # "recycling"
    BIN = "bin"  # "recycling bin"
    OWN_BIN = "own_bin"  # "your recycling bin", "your shared recycling bin"
    REASON = "reason"  # "food waste"
    ADVICE = "advice"  # "food goes in your caddy or rubbish bin"
    TENTHS = "tenths"  # "8 in 10 homes"
    FLAG = "flag"  # only for `if`


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. `value` names what is stored with a message; several facts can be words of one value."""

    name: str
    meaning: str
    example: str
    kind: Kind
    value: str
    optional: bool = False  # often unknown: write {% if ... %} around it

    @property
    def translatable(self) -> bool:
        """Whether the words differ by language."""
        return self.kind not in (Kind.TEXT, Kind.NUMBER, Kind.FLAG)


COUNCIL_FACTS = ("council.name", "council.phone", "council.website", "collection.stream", "collection.bin")
"""Known when a template is compiled: the same for every household."""

LINK = "links.stop"
"""Made from the message's own id, so never stored."""

_ALL = (
    Fact("household.name", "First name to greet with", "Sam", Kind.TEXT, "household.name", optional=True),
    Fact("household.address", "House and street", "12 Acacia Road", Kind.TEXT, "household.address", optional=True),
    Fact("household.bin", "Their bin of the template's stream", "your recycling bin", Kind.OWN_BIN, "household.shared"),
    Fact(
        "household.shares_bins",
        "Set where bins are shared with other flats",
        "yes",
        Kind.FLAG,
        "household.shared",
        True,
    ),
    Fact(
        "household.set_out_times",
        "How often their own bin of the stream was out in the last four weeks; unknown where bins are shared",
        "3 times",
        Kind.TIMES,
        "household.set_outs",
    ),
    Fact("collection.stream", "What is collected", "recycling", Kind.STREAM, "collection.stream"),
    Fact("collection.bin", "The bin of that stream", "recycling bin", Kind.BIN, "collection.stream"),
    Fact("collection.day", "Weekday of their next collection", "Tuesday", Kind.DAY, "collection.on"),
    Fact("collection.date", "Date of their next collection", "Tuesday 3 March", Kind.DATE, "collection.on"),
    Fact("collection.short_date", "Date of their next collection, short", "3 Mar", Kind.SHORT, "collection.on"),
    Fact("tag.reason", "What did not belong in the bin, in plain words", "food waste", Kind.REASON, "tag.reason"),
    Fact("tag.advice", "Where it goes instead", "food goes in your caddy or rubbish bin", Kind.ADVICE, "tag.reason"),
    Fact("tag.day", "Weekday of the last tag", "Tuesday", Kind.DAY, "tag.on"),
    Fact("tag.date", "Date of the last tag", "Tuesday 24 February", Kind.DATE, "tag.on"),
    Fact("tag.short_date", "Date of the last tag, short", "24 Feb", Kind.SHORT, "tag.on"),
    Fact("tag.count", "Tags in the last eight weeks", "2", Kind.NUMBER, "tag.count"),
    Fact("tag.times", "The same in words", "twice", Kind.TIMES, "tag.count"),
    Fact("street.name", "Street", "Acacia Road", Kind.TEXT, "street.name"),
    Fact(
        "street.set_out_share",
        "Share of the street's homes that put the bin out in the last four weeks; unknown below 8 homes, where one"
        " home could be guessed, and below half, where the truth would discourage",
        "8 in 10 homes",
        Kind.TENTHS,
        "street.tenths",
    ),
    Fact("missed.day", "Weekday of the last missed collection", "Tuesday", Kind.DAY, "missed.on"),
    Fact("missed.date", "Date of the last missed collection", "Tuesday 24 February", Kind.DATE, "missed.on"),
    Fact("missed.short_date", "Date of the last missed collection, short", "24 Feb", Kind.SHORT, "missed.on"),
    Fact("council.name", "The council", "Ashford Borough Council", Kind.TEXT, "council.name"),
    Fact("council.phone", "Number to ring", "01234 567890", Kind.TEXT, "council.phone"),
    Fact("council.website", "Page to look things up", "https://ashford.example/bins", Kind.TEXT, "council.website"),
    Fact(LINK, "Link that stops these messages", "https://ashford.example/s/k3j5h2g7f4d6s2a3", Kind.TEXT, LINK),
)

FACTS = {fact.name: fact for fact in _ALL}


def nearest(name: str) -> str:
    """Suggest the known fact closest to `name`, as a sentence for an error."""
    close = get_close_matches(name, FACTS, n=1, cutoff=0.5)
    if close:
        return f"Did you mean {close[0]}?"
    return f"Known facts: {', '.join(FACTS)}."
