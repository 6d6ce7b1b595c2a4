"""SMS sizes against published vectors, a brute-force packer and random texts."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudges.sms import GSM_BASIC, GSM_EXTENDED, SmsSize, measure, offending

# Origin: 3GPP 23.038 (septets) and 23.040 (a concatenated fragment loses 7 septets or 3 code units to its header).
VECTORS = [
    ("", "GSM-7", 0, 0),
    ("a", "GSM-7", 1, 1),
    ("a" * 160, "GSM-7", 160, 1),
    ("a" * 161, "GSM-7", 161, 2),
    ("a" * 306, "GSM-7", 306, 2),
    ("a" * 307, "GSM-7", 307, 3),
    ("€" * 80, "GSM-7", 160, 1),
    ("€" * 80 + "a", "GSM-7", 161, 2),
    ("a" * 158 + "€", "GSM-7", 160, 1),
    ("a" * 159 + "€", "GSM-7", 161, 2),
    ("a" * 152 + "€" + "a" * 152, "GSM-7", 306, 3),  # 306 / 153 is 2, but the pair may not straddle
    ("€" * 153, "GSM-7", 306, 3),  # 76 pairs a fragment
    ("£" * 160, "GSM-7", 160, 1),
    ("\r\n" * 80, "GSM-7", 160, 1),
    ("^{}\\[]~|€\f", "GSM-7", 20, 1),
    ("ŵ", "UCS-2", 1, 1),
    ("ŵ" * 70, "UCS-2", 70, 1),
    ("ŵ" * 71, "UCS-2", 71, 2),
    ("ŵ" * 134, "UCS-2", 134, 2),
    ("ŵ" * 135, "UCS-2", 135, 3),
    ("😀" * 35, "UCS-2", 70, 1),
    ("😀" * 36, "UCS-2", 72, 2),
    ("ŵ" * 66 + "😀" + "ŵ" * 66, "UCS-2", 134, 3),  # 134 / 67 is 2, but the pair may not straddle
    ("a`b", "UCS-2", 3, 1),
    ("a\tb", "UCS-2", 3, 1),
    ("it\u2019s", "UCS-2", 4, 1),
    ("\x1b", "UCS-2", 1, 1),
]


@pytest.mark.parametrize(("text", "encoding", "units", "fragments"), VECTORS)
def test_published_vectors(text, encoding, units, fragments):
    assert measure(text) == SmsSize(encoding, units, fragments)


def brute(text: str) -> SmsSize:
    """Put characters one at a time into the first fragment that still holds them."""
    gsm = all(c in GSM_BASIC or c in GSM_EXTENDED for c in text)
    sizes = [(2 if c in GSM_EXTENDED else 1) if gsm else len(c.encode("utf-16-le", "surrogatepass")) // 2 for c in text]
    alone, joined = (160, 153) if gsm else (70, 67)
    total = sum(sizes)
    if total <= alone:
        return SmsSize("GSM-7" if gsm else "UCS-2", total, int(total > 0))
    fragments, used = 1, 0
    for size in sizes:
        if used + size > joined:
            fragments, used = fragments + 1, 0
        used += size
    return SmsSize("GSM-7" if gsm else "UCS-2", total, fragments)


alphabets = st.sampled_from(
    [string.ascii_letters, "a€", "a^{}|~\n", "".join(sorted(GSM_BASIC)), "aŵ😀€", "😀", "aé£\r\n"]
)


@given(alphabets.flatmap(lambda chars: st.text(chars, max_size=700)))
def test_equals_brute_force_packer(text):
    assert measure(text) == brute(text)


@given(st.text(max_size=400))
def test_any_text_equals_brute_force_packer(text):
    assert measure(text) == brute(text)


@given(st.integers(0, 160), st.integers(0, 160))
def test_every_place_of_a_straddling_pair(before, after):
    for text in ("a" * before + "€" + "a" * after, "ŵ" * before + "😀" + "ŵ" * after):
        assert measure(text) == brute(text)


def test_offending_characters_are_named_once_in_order():
    assert offending("D\u0175r \u2013 t\u0177 \u2013 caf\u00e9 \u20ac5") == ("\u0175", "\u2013", "\u0177")
    assert offending("Plain {text} for £5") == ()


@given(st.text(max_size=200))
def test_ucs2_exactly_when_something_offends(text):
    assert (measure(text).encoding == "UCS-2") == bool(offending(text))
