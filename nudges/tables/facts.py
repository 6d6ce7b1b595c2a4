"""Tables that drops are loaded into: what councils know of bins, homes and lorries."""

from __future__ import annotations

from nudges.domain import Language, LiftStatus, Medium, PropertyType, Stream, TagReason
from nudges.tables.schema import Column, Table, Type

T = Type
STREAMS = tuple(Stream)

HOUSEHOLDS = Table(
    "households",
    "One address with a collection service, as known on a date; the latest known row counts.",
    (
        Column("household_id", T.TEXT, "The council's own id of the address", required=True, key=True),
        Column("known_on", T.DATE, "Day from which this row was known", required=True, key=True),
        Column("uprn", T.TEXT, "Unique property reference number", pattern=r"\d{1,12}"),
        Column("house", T.TEXT, "House number, name or flat"),
        Column("street", T.TEXT, "Street name"),
        Column("locality", T.TEXT, "Locality or town"),
        Column("postcode", T.TEXT, "Postcode, or its district"),
        Column("ward", T.TEXT, "Electoral ward"),
        Column(
            "property_type", T.TEXT, "Kind of dwelling", required=True, allowed=tuple(PropertyType), default="house"
        ),
        Column("bin_store_id", T.TEXT, "Bins shared with other flats; empty where the bins are its own"),
        Column("residual_round_id", T.TEXT, "Round that collects residual"),
        Column("recycling_round_id", T.TEXT, "Round that collects recycling"),
        Column("food_round_id", T.TEXT, "Round that collects food"),
        Column("garden_round_id", T.TEXT, "Round that collects garden waste"),
        Column("moved_in_on", T.DATE, "Day the present occupiers moved in"),
        Column("deprivation_decile", T.INTEGER, "Index of multiple deprivation, 1 most deprived", low=1, high=10),
        Column("language", T.TEXT, "Language the household chose", allowed=tuple(Language)),
    ),
    week_from="known_on",
    source="Property register or collection contract",
)

CONTACTS = Table(
    "contacts",
    "A way to reach a household; the latest known row of household and channel counts.",
    (
        Column("household_id", T.TEXT, "Household reached", required=True, key=True),
        Column("medium", T.TEXT, "sms or email", required=True, key=True, allowed=tuple(Medium)),
        Column("known_on", T.DATE, "Day from which this row was known", required=True, key=True),
        Column("address", T.TEXT, "E.164 mobile number (+447...) or email address", required=True),
        Column("name", T.TEXT, "First name to greet with"),
        Column(
            "basis", T.TEXT, "Legal basis", required=True, allowed=("public_task", "consent"), default="public_task"
        ),
    ),
    week_from="known_on",
    source="Customer system, garden-waste subscriptions, council-tax accounts",
)

CALENDAR = Table(
    "calendar",
    "One planned collection of one round and stream.",
    (
        Column("round_id", T.TEXT, "Round that collects", required=True, key=True),
        Column("stream", T.TEXT, "What is collected", required=True, key=True, allowed=STREAMS),
        Column("planned_on", T.DATE, "Day in the ordinary rhythm", required=True, key=True),
        Column("collection_on", T.DATE, "Day it really is, after a bank-holiday slip; planned_on when empty"),
    ),
    week_from="planned_on",
    source="Collection calendar",
)

LIFTS = Table(
    "lifts",
    "One bin at one planned collection: emptied, not out, missed by the crew, or not read.",
    (
        Column("unit_id", T.TEXT, "household_id, or bin_store_id where bins are shared", required=True, key=True),
        Column("stream", T.TEXT, "What was collected", required=True, key=True, allowed=STREAMS),
        Column("collected_on", T.DATE, "Day of the lift", required=True, key=True),
        Column("bin_chip_id", T.TEXT, "RFID of the bin", key=True, default=""),
        Column("status", T.TEXT, "What happened", required=True, allowed=tuple(LiftStatus), default="lifted"),
        Column(
            "weight_g", T.INTEGER, "Net weight; empty where the lorry does not weigh", unit="g", low=0, high=1_500_000
        ),
        Column("is_excess", T.FLAG, "Lid open or side waste", required=True, default="0"),
    ),
    week_from="collected_on",
    source="In-cab system; a planned collection without a row is a set-out that did not happen",
)

TAGS = Table(
    "tags",
    "One contamination notice on one lift.",
    (
        Column("unit_id", T.TEXT, "household_id, or bin_store_id where bins are shared", required=True, key=True),
        Column("stream", T.TEXT, "Bin that was tagged", required=True, key=True, allowed=STREAMS, default="recycling"),
        Column("tagged_on", T.DATE, "Day of the tag", required=True, key=True),
        Column("reason", T.TEXT, "What was wrong", required=True, key=True, allowed=tuple(TagReason)),
    ),
    week_from="tagged_on",
    source="Crew events, open waste-service standard: only level 1 'Contaminated' is a tag",
)

LOADS = Table(
    "loads",
    "One lorry load over a weighbridge.",
    (
        Column("ticket_id", T.TEXT, "Weighbridge ticket", key=True, default=""),
        Column("weighed_at", T.MOMENT, "Time on the ticket", required=True, key=True),
        Column("site", T.TEXT, "Where it was tipped", required=True, key=True, default="unknown"),
        Column("material", T.TEXT, "Material as the ticket names it", required=True, key=True),
        Column(
            "weight_g",
            T.INTEGER,
            "Net weight; above 44 t no lorry is legal on a British road",
            unit="g",
            required=True,
            key=True,
            low=1,
            high=44_000_000,
        ),
        Column(
            "stream", T.TEXT, "Stream the material belongs to; empty for street sweepings and the like", allowed=STREAMS
        ),
        Column("round_id", T.TEXT, "Round the load came from, where the ticket says"),
    ),
    week_from="weighed_at",
    source="Weighbridge tickets",
    identity=("ticket_id", "material"),
)

FACTS = (HOUSEHOLDS, CONTACTS, CALENDAR, LIFTS, TAGS, LOADS)
