"""Turn contacts into a form that may be shown or stored."""

from __future__ import annotations

import re

_EMAIL = re.compile(r"[^\s@<>\"'(),:;=]+@[^\s@<>\"'(),:;=]+\.[A-Za-z]{2,}")
_PHONE = re.compile(r"(?<![\w.+])(?:\+\d{8,15}|447\d{9}|0[1-9]\d{8,9})(?!\w)")


def normalised(address: str) -> str:
    """One spelling per contact: emails in lower case, numbers without spaces."""
    address = address.strip()
    return address.lower() if "@" in address else re.sub(r"[\s()-]", "", address)


def masked(address: str) -> str:
    """`mary@example.org` as `m***@e***.org`, `+447700900123` as `+447***123`."""
    local, at, domain = address.partition("@")
    if at:
        return f"{local[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"
    return f"{address[:4]}***{address[-3:]}" if len(address) > 8 else "***"


def mask_contacts(text: str) -> str:
    """Any text with each email address and phone number in it masked."""
    text = _EMAIL.sub(lambda match: masked(match[0]), text)
    return _PHONE.sub(lambda match: masked(match[0]), text)
