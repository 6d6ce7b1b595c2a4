"""Turns addresses into hashes, and providers' words into words without addresses: no contact enters the ledger."""

from __future__ import annotations

import hashlib
import re

_CONTACT = re.compile(r"[\w.+%-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+|(?:\+|%2B)\d{9,15}|\b07\d{9}\b", re.IGNORECASE)


def address_hash(address: str) -> str:
    """sha256 of an address in one spelling: the only form in which the ledger knows an address. Empty for empty."""
    spelling = "".join(address.split()).lower()
    return hashlib.sha256(spelling.encode()).hexdigest() if spelling else ""


def masked(text: str, address: str = "") -> str:
    """The text with every email address and mobile number, and `address` itself, replaced by [contact]."""
    if address:
        text = text.replace(address, "[contact]")
    return _CONTACT.sub("[contact]", text)
