"""Turn addresses people typed into ones a provider takes, and contacts into shapes that give nothing away, in SQL."""

from __future__ import annotations

ADDRESS_REASON = (
    "CASE WHEN {medium} = 'sms' THEN 'not a UK mobile number' WHEN {medium} = 'email' THEN 'not an email address' "
    "ELSE 'no way to tell what it is without a medium' END"
)
OPEN_COLUMNS = ("household_id", "medium", "known_on", "basis")
"""Columns of `contacts` that quarantine may show; all others are masked, also those nothing reads."""

_UK_MOBILE = r"\+447(?:[1-57-9]\d{8}|624\d{6})"  # 070 are personal numbers and 076 pagers, but for 07624, Isle of Man
_EMAIL = r"[^\s@,;:<>()\[\]\\\"]+@(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}"
_EMAIL_LENGTH = 254  # RFC 5321


def clean_address(text: str, medium: str) -> str:
    """SQL for the address, or null where it is none: mobiles as +447..., emails in lower case.

    A mobile may be written 07..., 447..., +44 (0) 7..., 0044 7..., or 7... as spreadsheets do that drop the nought.
    """
    digits = rf"regexp_replace(replace({text}, '(0)', ''), '[\s().\x{{2010}}-\x{{2015}}-]', '', 'g')"
    number = rf"regexp_replace({digits}, '^(?:\+44|0044|44|0)?0?7', '+447')"
    lowered = f"lower({text})"
    return (
        f"CASE WHEN {medium} = 'sms' AND regexp_full_match({number}, '{_UK_MOBILE}') THEN {number} "
        f"WHEN {medium} = 'email' AND length({text}) <= {_EMAIL_LENGTH} AND NOT contains({text}, '..') "
        f"AND regexp_full_match({lowered}, '{_EMAIL}') THEN {lowered} END"
    )


def masked(text: str) -> str:
    """SQL for the shape of a text: every letter x, every digit 9."""
    return rf"regexp_replace(regexp_replace({text}, '\pL', 'x', 'g'), '\pN', '9', 'g')"


def masked_if_contact(text: str) -> str:
    """SQL for a text of any table: masked where it looks like an email address or a phone number."""
    looks = rf"contains({text}, '@') OR regexp_matches({text}, '(?:^|[^0-9])(?:\+44|0044|0)\s?7[\d\s]{{8,}}')"
    return f"CASE WHEN {looks} THEN {masked(text)} ELSE {text} END"
