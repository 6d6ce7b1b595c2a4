"""Text into its exact SMS size: encoding, units and fragments, by packing rather than by division.

GSM 03.38 counts septets, 160 alone or 153 a fragment; a character of the extension table is two septets that never
straddle a fragment. Anything else makes the whole text UCS-2: 70 code units alone or 67 a fragment, surrogate pairs
kept whole. Dividing and rounding up is wrong whenever a pair would straddle a boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

GSM_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_EXTENDED = frozenset("^{}\\[]~|€\f")
_GSM = GSM_BASIC | GSM_EXTENDED
_PLAIN = "".join(sorted(c for c in GSM_BASIC if c.isascii())).encode("ascii")
_ESCAPED = {ord(c): f"\x1b{c}" for c in GSM_EXTENDED}
_ESCAPE = "\x1b"
_HIGH_SURROGATES = range(0xD800, 0xDC00)
_LOW_SURROGATES = range(0xDC00, 0xE000)

Encoding = Literal["GSM-7", "UCS-2"]


@dataclass(frozen=True, slots=True)
class SmsSize:
    """Size of one text. `units` are septets for GSM-7 and UTF-16 code units for UCS-2; no text is no fragment."""

    encoding: Encoding
    units: int
    fragments: int


_PLAIN_SIZES = tuple(SmsSize("GSM-7", units, int(units > 0)) for units in range(161))


def measure(text: str) -> SmsSize:
    """Measure `text` exactly as a handset would receive it."""
    if text.isascii() and not text.encode("ascii").translate(None, _PLAIN):
        units = len(text)
        return _PLAIN_SIZES[units] if units <= 160 else SmsSize("GSM-7", units, -(-units // 153))
    if _GSM.issuperset(text):
        return _measure_gsm(text)
    return _measure_ucs2(text)


def offending(text: str) -> tuple[str, ...]:
    """Name the characters that force UCS-2, each once, in order of appearance."""
    return tuple(dict.fromkeys(c for c in text if c not in _GSM))


def _measure_gsm(text: str) -> SmsSize:
    septets = text.translate(_ESCAPED)
    units = len(septets)
    if units <= 160:
        return SmsSize("GSM-7", units, int(units > 0))
    fragments = start = 0
    while start < units:
        end = start + 153
        if end < units and septets[end - 1] == _ESCAPE:
            end -= 1
        start = end
        fragments += 1
    return SmsSize("GSM-7", units, fragments)


def _measure_ucs2(text: str) -> SmsSize:
    raw = text.encode("utf-16-be", "surrogatepass")
    units = len(raw) // 2
    if units <= 70:
        return SmsSize("UCS-2", units, int(units > 0))
    fragments = start = 0
    while start < units:
        end = start + 67
        if end < units and _unit(raw, end - 1) in _HIGH_SURROGATES and _unit(raw, end) in _LOW_SURROGATES:
            end -= 1
        start = end
        fragments += 1
    return SmsSize("UCS-2", units, fragments)


def _unit(raw: bytes, index: int) -> int:
    return (raw[2 * index] << 8) | raw[2 * index + 1]
