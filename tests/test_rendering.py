"""Rendering: what templates may do, what comes out, and that a gap is never sent."""

import html as html_module
import json
import re
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nudges.domain import Language, Lead, Medium, Purpose, Stream, Template
from nudges.errors import ConfigError, RenderError
from nudges.rendering import (
    FACTS,
    MissingFactError,
    compile_bilingual,
    compile_for,
    compile_template,
    language_for,
    languages_of,
    rebuild,
    sample_facts,
)
from nudges.rendering.facts import COUNCIL_FACTS, Kind
from nudges.rendering.phrases import ADVICE, BINS, REASONS, STREAMS, full_date, short_date, tenths, times
from nudges.rendering.writing import Naming, write_chunk
from nudges.sms import offending

COUNCIL = SimpleNamespace(
    name="Ashford & Villages Council",
    phone="01632 960 000",
    website="https://ashford.example/bins",
    public_url="https://ashford.example",
    nation="england",
)
HOUSE = dict(sample_facts(COUNCIL.public_url)[0].values)
SMS = "{% block sms %}Hello {{ household.name }}. Stop: {{ links.stop }}{% endblock %}"


def template(source, *, language=Language.EN, name="probe", stream=Stream.RECYCLING, lead=Lead.EVENING_BEFORE):
    return Template(name, language, "Title", "prompt", Purpose.SERVICE, stream, lead, source, "+++\n+++\n" + source)


def compiled(source, **kwargs):
    return compile_template(template(source, **kwargs), COUNCIL)


def email(body, subject="Bins"):
    return compiled(f"{{% block subject %}}{subject}{{% endblock %}}{{% block email %}}{body}{{% endblock %}}")


def sms(body):
    return compiled(f"{{% block sms %}}{body} {{{{ links.stop }}}}{{% endblock %}}")


def body_of(content):
    """The HTML between the council's name and the footer, styles left out."""
    found = re.search(r'<div lang="\w+">\n(.*?)<footer', content.html, re.DOTALL)[1]
    return re.sub(r' style="[^"]*"', "", found).strip()


# --- what a template may do ------------------------------------------------------------

BARRED = {
    "call": "{{ household.name.upper() }}",
    "bare call": "{{ range(10) }}",
    "loop": "{% for x in household.name %}{{ x }}{% endfor %}",
    "assignment": "{% set x = 1 %}",
    "macro": "{% macro m() %}{% endmacro %}",
    "include": "{% include 'other' %}",
    "import": "{% import 'other' as o %}",
    "extends": "{% extends 'other' %}",
    "with": "{% with %}{% endwith %}",
    "filter block": "{% filter upper %}x{% endfilter %}",
    "autoescape off": "{% autoescape false %}x{% endautoescape %}",
    "multiplication": "{{ 'a' * 100000000 }}",
    "power": "{{ 9 ** 999999999 }}",
    "addition": "{{ household.name + 'x' }}",
    "joining": "{{ household.name ~ household.name }}",
    "list": "{{ [1, 2] }}",
    "dict": "{{ {'a': 1} }}",
    "index": "{{ household['name'] }}",
    "slice": "{{ 'abc'[1:] }}",
    "dunder": "{{ household.name.__class__.__mro__ }}",
    "dunder root": "{{ household.__class__ }}",
    "filter safe": "{{ household.name | safe }}",
    "filter default": "{{ household.name | default('you') }}",
    "filter replace": "{{ household.name | replace('a', 'aaaa') }}",
    "filter argument": "{{ household.name | trim('x') }}",
    "test": "{% if household.name is defined %}x{% endif %}",
    "in": "{% if 'a' in household.name %}x{% endif %}",
    "inline if alone": "{{ household.name if household.name }}",
    "long constant": "{{ '" + "a" * 300 + "' }}",
    "float": "{{ 1.5 }}",
    "unknown fact": "{{ household.nmae }}",
    "unknown root": "{{ secret }}",
    "self": "{{ self }}",
    "flag as words": "{{ household.shares_bins }}",
    "deep": "{% if tag.count %}" * 40 + "{% endif %}" * 40,
    "deep brackets": "{{ " + "not " * 3000 + "tag.count }}",
    "raw": "{% raw %}{{ x }}{% endraw %}",
    "nested block": "{% block subject %}x{% endblock %}",
    "do": "{% do 1 %}",
    "unfinished": "{{ household.name",
    "unclosed if": "{% if tag.count %}x",
}


@pytest.mark.parametrize("construct", BARRED)
def test_barred_constructs_are_refused_naming_the_file(construct):
    started = time.perf_counter()
    with pytest.raises((RenderError, ConfigError), match=r"templates/probe\.j2"):
        sms(BARRED[construct])
    with pytest.raises((RenderError, ConfigError), match=r"templates/probe\.j2"):
        email(BARRED[construct])
    assert time.perf_counter() - started < 2  # none of them got to run


def test_a_source_that_is_too_long_is_refused():
    with pytest.raises(RenderError, match="under 64000"):
        sms("a" * 70_000)


def test_an_unknown_fact_names_block_and_nearest():
    with pytest.raises(RenderError, match=r"block sms.*household\.nmae.*Did you mean household\.name\?"):
        sms("{{ household.nmae }}")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("hello" + SMS, "outside the blocks"),
        ("{% block letter %}x{% endblock %}", "block 'letter'"),
        (SMS + SMS, "block 'sms'"),
        ("", "must have a block sms"),
        ("{% block subject %}x{% endblock %}", "subject and email"),
        ("{% block sms %}No way out{% endblock %}", r"links\.stop"),
    ],
)
def test_a_file_has_only_its_blocks(source, message):
    with pytest.raises(ConfigError, match=message):
        compiled(source)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("<b>bold</b>", "HTML"),
        ("Hello <script>alert(1)</script>", "HTML"),
        ("![bin](https://elsewhere.example/pixel.gif)", "picture"),
        ("[look]({{ household.name }})", "link to"),
        ("[look](https://x.example/{{ tag.reason }})", "link to"),
    ],
)
def test_email_is_markdown_and_fetches_nothing(body, message):
    with pytest.raises(RenderError, match=message):
        email(body)


@pytest.mark.parametrize(
    "body",
    [
        "{% if household.name %}One\n\nTwo{% endif %}",
        "**{% if household.name %}One**{% endif %}",
        "- {% if household.name %}one\n- two{% endif %}",
    ],
)
def test_an_if_that_cuts_across_markup_is_refused(body):
    with pytest.raises(ConfigError, match="begins in one paragraph"):
        email(body)


# --- what comes out --------------------------------------------------------------------


def test_sms_lines_fold_and_gaps_close():
    source = (
        "Line one\nline two{% if household.name %} {{ household.name }}{% endif %}"
        " {% if tag.count > 5 %}x{% endif %} end.\n\nPara"
    )
    text = sms(source).render(Medium.SMS, HOUSE).text
    assert text == f"Line one line two Sam end.\n\nPara {HOUSE['links.stop']}"


def test_council_facts_are_written_in_once():
    made = sms("{{ council.name }} {{ collection.stream }} {{ collection.bin }}")
    assert made.values(Medium.SMS) == ()
    assert made.render(Medium.SMS, HOUSE).text.startswith("Ashford & Villages Council recycling recycling bin")


def test_email_in_html_and_text_from_one_source():
    content = email(
        "Hello{% if household.name %} **{{ household.name }}**{% endif %},\n\n"
        "{% if household.shares_bins %}\nShared.\n{% else %}\nOwn.\n{% endif %}\n\n"
        "- one\n- two {{ tag.reason | upper }}\n\n1. first\n2. second\n\n"
        "[Look]({{ council.website }}) or <https://a.example>\n\nBye,\n{{ council.name }}",
        subject="For\n{{ household.name }}",
    ).render(Medium.EMAIL, HOUSE)
    assert content.subject == "For Sam"
    assert body_of(content) == (
        "<p>Hello <strong>Sam</strong>,</p>\n<p>Own.</p>\n"
        "<ul>\n<li>one</li>\n<li>two FOOD WASTE</li>\n</ul>\n<ol>\n<li>first</li>\n<li>second</li>\n</ol>\n"
        '<p><a href="https://ashford.example/bins">Look</a> or <a href="https://a.example">https://a.example</a></p>\n'
        "<p>Bye,<br>\nAshford &amp; Villages Council</p>"
    )
    assert content.text == (
        "Hello Sam,\n\nOwn.\n\n- one\n- two FOOD WASTE\n\n1. first\n2. second\n\n"
        "Look: https://ashford.example/bins or https://a.example\n\nBye,\nAshford & Villages Council\n\n--\n"
        "You get this message because Ashford & Villages Council collects the bins at 12 Acacia Road.\n"
        "Questions? Ring 01632 960 000 - https://ashford.example/bins\n"
        f"Stop these messages: {HOUSE['links.stop']}"
    )


def test_the_frame_reads_aloud_prints_and_fetches_nothing():
    page = email("Hello").render(Medium.EMAIL, HOUSE).html
    assert page.startswith('<!DOCTYPE html><html lang="en">')
    assert "<title>Bins</title>" in page
    assert "@media print" in page
    assert "<table" not in page
    assert "<img" not in page
    assert "url(" not in page
    assert "@import" not in page
    assert 'style="' in page  # inlined
    assert f'<a href="{HOUSE["links.stop"]}"' in page
    assert len(page) < 4000


def test_both_languages_welsh_first_in_one_message():
    source = (
        "{% block sms %}x {{ collection.day }} {{ links.stop }}{% endblock %}"
        "{% block subject %}s {{ collection.day }}{% endblock %}{% block email %}{{ collection.date }}{% endblock %}"
    )
    both = compile_bilingual(template(source, language=Language.CY), template(source), COUNCIL)
    assert both.language == "cy+en"
    text = both.render(Medium.SMS, HOUSE).text
    assert text == f"x dydd Mawrth {HOUSE['links.stop']}\n\nx Tuesday {HOUSE['links.stop']}"
    content = both.render(Medium.EMAIL, HOUSE)
    assert content.subject == "s dydd Mawrth / s Tuesday"
    assert content.html.index('<div lang="cy">') < content.html.index('<div lang="en">')
    assert content.html.count("<!DOCTYPE") == 1
    assert content.text.index("dydd Mawrth 3 Mawrth") < content.text.index("Tuesday 3 March")


def test_twins_must_name_the_same_facts():
    welsh = template("{% block sms %}{{ tag.reason }} {{ links.stop }}{% endblock %}", language=Language.CY)
    with pytest.raises(ConfigError, match=r"probe\.cy\.j2: block sms differs .* household\.name, tag\.reason"):
        compile_bilingual(welsh, template(SMS), COUNCIL)


LANGUAGES = [
    # nation, the household chose, has a Welsh twin, gets
    ("england", None, True, "en"),
    ("england", "cy", True, "cy"),
    ("wales", None, True, "cy+en"),
    ("wales", "", True, "cy+en"),
    ("wales", "en", True, "en"),
    ("wales", "cy", True, "cy"),
    ("wales", "cy", False, "en"),
]


@pytest.mark.parametrize(("nation", "chose", "has_welsh", "gets"), LANGUAGES)
def test_languages(nation, chose, has_welsh, gets):
    council = SimpleNamespace(nation=nation)
    assert language_for(chose, has_welsh=has_welsh, council=council) == gets
    known = {("probe", Language.EN): 1} | ({("probe", Language.CY): 1} if has_welsh else {})
    assert gets in languages_of(known, "probe", council)


def test_an_unknown_template_names_the_choices():
    with pytest.raises(ConfigError, match="must be one of: probe"):
        compile_for({("probe", Language.EN): template(SMS)}, "prob", "en", COUNCIL)


# --- never a gap -----------------------------------------------------------------------


def test_a_missing_fact_names_template_block_variable_and_household():
    made = email("Found {{ tag.reason }}", subject="Bins")
    with pytest.raises(MissingFactError) as caught:
        made.render(Medium.EMAIL, {**HOUSE, "tag.reason": None, "household.id": "H7"})
    error = caught.value
    assert (error.file, error.block, error.variable, error.household_id) == (
        "templates/probe.j2", "text", "tag.reason", "H7",
    )  # fmt: skip
    assert "{% if tag.reason %}" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        "{{ tag.count }}",
        "{% if tag.count > 1 %}x{% endif %}",
        "{{ tag.reason | upper }}",
        "{% if tag.times == 'x' %}y{% endif %}",
    ],
)
def test_every_use_of_a_missing_fact_is_an_error(body):
    with pytest.raises(MissingFactError):
        sms(body).render(Medium.SMS, {**HOUSE, "tag.count": None, "tag.reason": None})


def test_an_optional_fact_can_be_asked_for():
    made = sms("{% if tag.count and tag.count > 1 %}many{% elif not household.name %}none{% else %}one{% endif %}")
    assert made.render(Medium.SMS, {**HOUSE, "tag.count": 2}).text.startswith("many")
    assert made.render(Medium.SMS, {**HOUSE, "tag.count": None}).text.startswith("one")
    assert made.render(Medium.SMS, {**HOUSE, "tag.count": None, "household.name": None}).text.startswith("none")


def test_a_fact_of_the_wrong_type_is_refused():
    with pytest.raises(RenderError, match=r"collection\.on"):
        sms("{{ collection.day }}").render(Medium.SMS, {**HOUSE, "collection.on": 3.5})


@given(st.text(max_size=60))
def test_a_name_never_becomes_markup(name):
    content = PLAIN_EMAIL.render(Medium.EMAIL, {**HOUSE, "household.name": f"x{name}x"})
    inside = re.search(r"<p>x(.*)x!</p>", body_of(content), re.DOTALL)[1]
    assert "<" not in inside
    assert '"' not in inside
    assert html_module.unescape(inside) == html_module.unescape(html_module.escape(name))
    assert "\n" not in content.subject


PLAIN_EMAIL = email("{{ household.name }}!", subject="{{ household.name }}")


# --- words -----------------------------------------------------------------------------


def test_every_vocabulary_is_complete_in_both_languages():
    for words in (STREAMS, BINS, REASONS, ADVICE):
        assert set(words) == set(Language)
        for language in Language:
            assert set(words[language]) == set(words[Language.EN])
            for word in words[language].values():
                assert not offending(word), word
                assert "contamin" not in word.lower()
                assert "halog" not in word.lower()  # the Welsh for it


def test_dates_and_counts_in_words():
    # Origin: 3 March 2026 is a Tuesday, 27 December 2026 a Sunday.
    assert full_date("2026-03-03", Language.EN) == "Tuesday 3 March"
    assert full_date("2026-12-27", Language.CY) == "dydd Sul 27 Rhagfyr"
    assert short_date("2026-02-24", Language.CY) == "24 Chwe"
    assert [times(n, Language.EN) for n in (1, 2, 3)] == ["once", "twice", "3 times"]
    assert [times(n, Language.CY) for n in (1, 2, 3)] == ["unwaith", "dwywaith", "3 gwaith"]
    assert [tenths(n, Language.EN) for n in (8, 10)] == ["8 in 10 homes", "nearly every home"]


def test_the_examples_of_the_vocabulary_are_what_comes_out():
    shown = {"street.set_out_share", "collection.day", "collection.date", "tag.reason", "tag.advice", "tag.date"}
    for name in shown | {"tag.short_date", "collection.short_date", "household.bin", "household.set_out_times"}:
        times_ = {"household.set_outs": 3}
        text = sms(f"{{{{ {name} }}}}").render(Medium.SMS, {**HOUSE, **times_}).text
        assert text.removesuffix(f" {HOUSE['links.stop']}") == FACTS[name].example


def test_facts_say_whether_they_are_translated():
    assert FACTS["tag.reason"].translatable
    assert not FACTS["street.name"].translatable
    assert all(name in FACTS for name in COUNCIL_FACTS)
    assert {fact.kind for fact in FACTS.values()} == set(Kind)


# --- in bulk, and again ----------------------------------------------------------------

FULL = (
    "{% block sms %}Hi{% if household.name %} {{ household.name }}{% endif %}: {{ tag.reason }} {{ links.stop }}"
    "{% endblock %}"
    "{% block subject %}s{% endblock %}"
    "{% block email %}Hi{% if household.name %} {{ household.name }}{% endif %}{% endblock %}"
)


def chunk_of(people):
    facts = [json.dumps({"tag.reason": p["reason"], "household.name": p["name"]}) for p in people]
    return {
        "household_id": [p["id"] for p in people],
        "due_at": [None] * len(people),
        "sms_state": [p.get("sms", "open") for p in people],
        "email_state": [p.get("email", "open") for p in people],
        "sms_name": [p["name"] for p in people],
        "email_name": [p["name"] for p in people],
        "household.address": [None] * len(people),
        "tag.reason": [p["reason"] for p in people],
        "sms_facts": facts,
        "email_facts": facts,
    }


def test_a_chunk_is_written_as_one_by_one_and_rebuilt_from_its_rows():
    people = [
        {"id": "A", "name": "Ann", "reason": "food"},
        {"id": "B", "name": None, "reason": "soil"},
        {"id": "C", "name": "Cy & <co>", "reason": "food", "email": "none"},
        {"id": "D", "name": "Di", "reason": None},
        {"id": "E", "name": "Ed", "reason": "food", "sms": "planned"},
    ]
    made = compiled(FULL)
    messages = write_chunk(made, (Medium.SMS, Medium.EMAIL), chunk_of(people), Naming("camp", 7, "salt"))
    written = list(zip(messages.household_id, messages.medium, strict=True))
    # D lacks a fact in its SMS: it gets no email either.
    assert written == [("A", "sms"), ("B", "sms"), ("C", "sms"), ("A", "email"), ("B", "email"), ("E", "email")]
    assert [error.variable for error in messages.missing.values()] == ["tag.reason"]
    assert set(messages.missing) == {"D"}
    assert messages.fragments == [1, 1, 1, 0, 0, 0]
    for index in range(len(written)):
        row = {
            name: getattr(messages, name)[index]
            for name in ("message_id", "household_id", "medium", "facts", "content_hash")
        }
        content = rebuild(made, row)
        assert content.digest() == row["content_hash"]
        assert f"/s/{row['message_id']}" in content.text


def test_rebuilding_other_words_is_refused():
    made = compiled(FULL)
    messages = write_chunk(
        made, (Medium.SMS,), chunk_of([{"id": "A", "name": "Ann", "reason": "food"}]), Naming("c", 7, "s")
    )
    row = {
        name: getattr(messages, name)[0] for name in ("message_id", "household_id", "medium", "facts", "content_hash")
    }
    edited = compiled(FULL.replace("Hi", "Hello"))
    with pytest.raises(RenderError, match="something else than was planned"):
        rebuild(edited, row)


def test_message_ids_are_short_stable_and_different():
    # Origin: hashlib.blake2b(b"camp|7|H1|sms", key=b"salt", digest_size=10) in base64.b32encode, lower case.
    from base64 import b32encode
    from hashlib import blake2b

    expected = b32encode(blake2b(b"camp|7|H1|sms", key=b"salt", digest_size=10).digest()).decode().lower()
    naming = Naming("camp", 7, "salt")
    assert naming.message_id("H1", "sms") == expected
    assert len(expected) == 16
    others = {
        expected,
        naming.message_id("H1", "email"),
        naming.message_id("H2", "sms"),
        Naming("camp", 8, "salt").message_id("H1", "sms"),
        Naming("pmac", 7, "salt").message_id("H1", "sms"),
        Naming("camp", 7, "x" * 100).message_id("H1", "sms"),
    }
    assert len(others) == 6
