"""Tables of the ledger and of what steps derive: audience, assignments, messages, events."""

from __future__ import annotations

from nudges.domain import EventKind, Lane, Medium, MessageState, Reason
from nudges.tables.schema import Column, Table, Type

T = Type


def _text(
    name: str, meaning: str, *, key: bool = False, required: bool = True, allowed: tuple[str, ...] = ()
) -> Column:
    return Column(name, T.TEXT, meaning, key=key, required=required, allowed=allowed)


def _week(key: bool = True) -> Column:
    return Column("week_no", T.INTEGER, "Week of the run, counted from Monday 2000-01-03", key=key, required=True)


# Parquet, one file a campaign and week, replaced whole by a re-run.
AUDIENCE = Table(
    "audience",
    "Every household in scope of a campaign in a week, with the reason it does or does not get a message.",
    (
        _text("campaign", "Campaign id", key=True),
        _week(),
        _text("household_id", "Household", key=True),
        _text("unit_id", "What the arm was drawn for: household_id, or bin_store_id", required=False),
        _text("lane", "Lane drawn; empty when not assigned", required=False, allowed=tuple(Lane)),
        _text("arm", "Arm given; empty when not assigned", required=False),
        _text("reason", "Why", allowed=tuple(Reason)),
        Column("is_contactable", T.FLAG, "Had a usable contact for some arm when chosen", required=True),
    ),
)

CHOICES = Table(
    "choices",
    "How a campaign chose in a week: enough to rebuild every propensity.",
    (
        _text("campaign", "Campaign id", key=True),
        _week(),
        _text("arms", "JSON list of arm ids, control first"),
        Column("holdout_share", T.NUMBER, "Council-wide holdout", required=True),
        Column("control_share", T.NUMBER, "Control lane, share of units outside the holdout", required=True),
        Column("learn_share", T.NUMBER, "Learn lane", required=True),
        Column("best_share", T.NUMBER, "Best lane", required=True),
        _text("policy", "uniform, none, arm:<id>, mix:<arm>=<probability>,... or model:<sha256>: that of the turn"),
        Column(
            "price_per_penny",
            T.NUMBER,
            "Dual price of the budget: benefit pence one more penny would buy",
            required=True,
        ),
        Column("chosen_at", T.MOMENT, "When", required=True),
        Column("turn", T.INTEGER, "Turn of the campaign, from 0; empty in weeks chosen before there were turns"),
        _text("stops", "JSON list of [group, arm]: units of the group do not get the arm in any lane", required=False),
        _text(
            "rounds",
            "JSON of the control and treated rounds in the order drawn, for good; empty where households are drawn",
            required=False,
        ),
    ),
)

ASSIGNMENTS = Table(
    "assignments",
    "Household x campaign x week to arm, written before anything is rendered and never changed.",
    (
        _text("campaign", "Campaign id", key=True),
        _week(),
        _text("household_id", "Household", key=True),
        _text("unit_id", "What the arm was drawn for: household_id, or bin_store_id where bins are shared"),
        _text("lane", "Lane drawn", allowed=tuple(Lane)),
        _text("arm", "Arm given; control in holdout, control lane, or when the policy sends nothing"),
        _text("policy_arm", "Arm the policy would give this unit in this turn (`*`: drawn from the turn's mixture)"),
        Column("draw", T.NUMBER, "Lane draw in [0, 1), cut by control, learn and best", required=True),
        Column("propensity", T.NUMBER, "Marginal probability of this arm over all lanes", required=True),
        Column("is_contactable", T.FLAG, "Had a usable contact for some arm when chosen", required=True),
        Column(
            "first_week_no",
            T.INTEGER,
            "Week in which the unit was given this lane and arm, the first of its turn; empty before there were turns",
        ),
    ),
)

MESSAGES = Table(
    "messages",
    "One message to one household by one medium, its id made at planning. Words are rebuilt from template and facts.",
    (
        _text("message_id", "Id, a hash of campaign, week, household and medium", key=True),
        _text("campaign", "Campaign id"),
        _week(key=False),
        _text("household_id", "Household"),
        _text("arm", "Arm"),
        _text("medium", "sms or email", allowed=tuple(Medium)),
        _text("template", "Template id"),
        _text("language", "Language rendered"),
        _text("template_hash", "sha256 of the template file when rendered"),
        _text("facts", "JSON of the facts the template used"),
        _text("content_hash", "sha256 of the rendered content"),
        Column("fragments", T.INTEGER, "SMS fragments; 0 for email", required=True),
        Column("cost_pence", T.NUMBER, "Price of sending it", required=True),
        Column("due_at", T.MOMENT, "Not before", required=True),
        _text("state", "Where it is", allowed=tuple(MessageState)),
        _text("state_reason", "Why it was dropped or refused", required=False),
        Column("changed_at", T.MOMENT, "Last change of state", required=True),
        _text("provider", "Channel module that took it", required=False),
        _text("provider_id", "The provider's own id", required=False),
    ),
)

ATTEMPTS = Table(
    "attempts",
    "One call to a provider, written before it is made.",
    (
        _text("attempt_id", "Id", key=True),
        _text("message_id", "Message"),
        _text("provider", "Channel module"),
        Column("started_at", T.MOMENT, "Before the call", required=True),
        Column("finished_at", T.MOMENT, "After it; empty when it crashed"),
        _text("status", "Receipt status; empty while under way", required=False),
        _text("code", "Provider's code", required=False),
        _text("detail", "Provider's words, contacts masked", required=False),
        _text("run_id", "Run that made it", required=False),
    ),
)

EVENTS = Table(
    "events",
    "What happened to a message after sending; a repeat of an id is a no-op.",
    (
        _text("event_id", "Provider and its id", key=True),
        _text("provider", "Channel module"),
        _text("kind", "What", allowed=tuple(EventKind)),
        Column("occurred_at", T.MOMENT, "When it happened", required=True),
        Column("received_at", T.MOMENT, "When we heard", required=True),
        _text("message_id", "Message, when known", required=False),
        _text("provider_id", "The provider's own id, to find the message by", required=False),
        _text("address_hash", "sha256 of the address, for events that carry no message", required=False),
        _text("code", "Provider's code", required=False),
        _text("raw", "The event as it came, contacts masked", required=False),
    ),
)

SUPPRESSIONS = Table(
    "suppressions",
    "A contact or household we must not write to, and why. The newest row of (household, address, medium) counts.",
    (
        _text("suppression_id", "Id", key=True),
        _text("household_id", "Household; empty when only the address is known", required=False),
        _text("address_hash", "sha256 of the address; empty for every address of the household", required=False),
        _text("medium", "sms, email or empty for all", required=False),
        Column("is_active", T.FLAG, "1 suppresses, 0 undoes", required=True),
        _text("reason", "unsubscribed, complained, bounced, officer"),
        Column("since_at", T.MOMENT, "When", required=True),
        _text("source", "Event id or name of the person", required=False),
    ),
)

APPROVALS = Table(
    "approvals",
    "A person's yes to one campaign as it stood; any edit voids it.",
    (
        _text("approval_id", "Id", key=True),
        _text("campaign", "Campaign id"),
        _text("fingerprint", "sha256 of campaign, segments and templates as approved"),
        Column("max_messages", T.INTEGER, "Most messages a week", required=True),
        Column("max_pence", T.INTEGER, "Most pence a week", required=True),
        _text("approved_by", "Name"),
        Column("approved_at", T.MOMENT, "When", required=True),
        _text("note", "In the approver's words", required=False),
    ),
)

PLANS = Table(
    "plans",
    "What a campaign will be measured by, stored with its first approval and whenever that changed. Never edited.",
    (
        _text("plan_id", "Id", key=True),
        _text("campaign", "Campaign id"),
        _text("sha256", "sha256 of `plan`"),
        _text("plan", "JSON with sorted keys: unit, arms, outcome, weeks, shares, estimator, looks, seed"),
        Column("detectable_share", T.NUMBER, "Smallest effect it could see then, share of the past mean"),
        _text("registered_by", "Name"),
        Column("registered_at", T.MOMENT, "When", required=True),
    ),
)

STOPS = Table(
    "stops",
    "The stop switch, one row a turn. The newest row of a scope counts.",
    (
        _text("stop_id", "Id", key=True),
        _text("scope", "`all`, or a campaign id"),
        Column("is_on", T.FLAG, "1 stopped, 0 resumed", required=True),
        _text("by", "Name"),
        _text("reason", "Why", required=False),
        Column("at", T.MOMENT, "When", required=True),
    ),
)

RUNS = Table(
    "runs",
    "One step of one run, with what it did.",
    (
        _text("run_id", "Id", key=True),
        _week(key=False),
        _text("step", "Step"),
        _text("campaign", "Campaign id, or empty", required=False),
        _text("state", "running, done, failed"),
        Column("started_at", T.MOMENT, "When", required=True),
        Column("finished_at", T.MOMENT, "When"),
        _text("summary", "Summary as JSON", required=False),
    ),
)

DROPS = Table(
    "drops",
    "One file that was loaded, by content: the same content twice is one drop.",
    (
        _text("drop_id", "sha256 of content, table and mapping", key=True),
        _text("table_name", "Table loaded"),
        _text("file_name", "Name of the file"),
        Column("accepted", T.INTEGER, "Rows accepted", required=True),
        Column("replaced", T.INTEGER, "Rows of earlier drops that these replaced", required=True),
        Column("quarantined", T.INTEGER, "Rows kept aside with a reason", required=True),
        Column("loaded_at", T.MOMENT, "When", required=True),
    ),
)

FILES = Table(
    "files",
    "Parquet files of the warehouse; readers read only what is live here.",
    (
        _text("path", "Path below the warehouse", key=True),
        _text("table_name", "Table"),
        _week(key=False),
        _text("drop_id", "Drop or step that wrote it"),
        Column("row_count", T.INTEGER, "Rows", required=True),
        Column("is_live", T.FLAG, "0 once replaced; kept for audit", required=True),
        Column("written_at", T.MOMENT, "When", required=True),
        _text("replaced_by", "Drop that replaced it", required=False),
    ),
)

EFFECTS = Table(
    "effects",
    "Measured effects, replaced by each measuring of a week.",
    (
        _text("campaign", "Campaign id", key=True),
        _week(),
        _text("kind", "headline, arm, segment, week, robustness, decay, after, guardrail", key=True),
        _text("label", "Arm, segment or week", key=True),
        _text("result", "JSON of the result with its interval and units"),
    ),
)

CARDS = Table(
    "cards",
    "What learning decided for a campaign in a week, and why.",
    (
        _text("campaign", "Campaign id", key=True),
        _week(),
        _text("policy", "uniform, none, arm:<id>, mix:<arm>=<probability>,... or model:<sha256>"),
        _text("card", "JSON of the model card"),
    ),
)

AUDIT = Table(
    "audit",
    "Who did what, when: approvals, stops, edits of suppressions, forced runs.",
    (
        _text("audit_id", "Id", key=True),
        Column("at", T.MOMENT, "When", required=True),
        _text("who", "Name or flow"),
        _text("what", "Action"),
        _text("subject", "Campaign, household or file", required=False),
        _text("detail", "JSON", required=False),
    ),
)

LEDGER = (
    CHOICES, ASSIGNMENTS, MESSAGES, ATTEMPTS, EVENTS, SUPPRESSIONS, APPROVALS, PLANS,
    STOPS, RUNS, DROPS, FILES, EFFECTS, CARDS, AUDIT,
)  # fmt: skip
