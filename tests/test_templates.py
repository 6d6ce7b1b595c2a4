"""Every file in templates/: plain words, short sentences, few fragments, every branch, equal twins; new files too."""

import itertools
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nudges.catalogue import load_templates
from nudges.domain import Language, Medium
from nudges.errors import RenderError
from nudges.rendering import FACTS, check_twins, compile_for, compile_template, languages_of, placeholders, sample_facts
from nudges.sms import measure, offending

HOME = Path(__file__).parent.parent
TEMPLATES = load_templates(HOME)
COUNCIL = SimpleNamespace(
    name="Ashford Borough Council",
    phone="01632 960 000",
    website="https://ashford.example/bins",
    public_url="https://ashford.test",  # links of 38 characters
    nation="wales",
)
# Words residents do not use or that blame (WRAP 2024: never "contamination"; Welsh `halogi`), and our own jargon.
BANNED = re.compile(
    r"contaminat|halog|residual|kerbside|set.?out|participat|putrescib|receptacle|presentation|non.?complian|"
    r"you (failed|must|should have)|your fault|offence|penalt|\bfine[sd]\b|warning|\bnudge",
    re.IGNORECASE,
)
ALL = [pytest.param(template, id=f"{name}.{language}") for (name, language), template in TEMPLATES.items()]
PERSONAS = {persona.id: persona for persona in sample_facts(COUNCIL.public_url)}
COMPLETE = [persona for persona in PERSONAS.values() if persona.is_complete]


def written(template, values):
    """Every wording of a template for one household, by part."""
    made = compile_template(template, COUNCIL)
    email = made.render(Medium.EMAIL, values)
    return {
        "sms": made.render(Medium.SMS, values).text,
        "subject": email.subject,
        "text": email.text,
        "html": email.html,
    }


def sentences(text):
    words = re.sub(r"https?://\S+", "", text.split("\n--\n")[0])
    return [s.split() for s in re.split(r"[.!?:]\s|\n", words) if s.strip()]


def test_the_six_that_ship():
    ids = {name for name, _ in TEMPLATES}
    assert {
        "tag_feedback",
        "street_norm",
        "collection_day",
        "food_caddy_start",
        "thank_you",
        "missed_collection",
    } <= ids
    assert len({name for name, language in TEMPLATES if language is Language.CY}) >= 2


@pytest.mark.parametrize("template", ALL)
def test_no_word_that_residents_do_not_use(template):
    assert not BANNED.search(re.sub(r"\{[{%].*?[%}]\}", "", template.source))
    for persona in COMPLETE:
        for part, words in written(template, persona.values).items():
            assert not BANNED.search(words), (part, words)


@pytest.mark.parametrize("template", ALL)
def test_an_sms_is_one_fragment_as_a_rule_and_two_at_worst(template):
    made = compile_template(template, COUNCIL)
    house, longest = (made.render(Medium.SMS, PERSONAS[name].values).text for name in ("house", "longest"))
    assert not offending(house), f"{offending(house)} would halve the room"
    assert measure(longest).fragments <= 2
    if template.language is Language.EN:
        assert measure(house).fragments == 1, f"{measure(house)}: {house}"


@pytest.mark.parametrize("template", ALL)
def test_an_sms_names_the_council_and_the_way_out(template):
    text = written(template, PERSONAS["house"].values)["sms"]
    assert text.startswith(COUNCIL.name)
    assert text.endswith(PERSONAS["house"].values["links.stop"])


@pytest.mark.parametrize("template", ALL)
def test_sentences_are_short(template):
    for persona in COMPLETE:
        parts = written(template, persona.values)
        spoken = sentences(parts["text"]) + sentences(parts["sms"])
        assert max(map(len, spoken)) <= 22, max(spoken, key=len)
        assert sum(map(len, spoken)) / len(spoken) <= 12
        assert len(parts["text"].split()) <= 150
        assert len(parts["subject"]) <= 70


@pytest.mark.parametrize("template", ALL)
def test_every_branch_reads_well(template):
    """Each optional fact known and unknown, in every combination: nothing raises and no seam shows."""
    made = compile_template(template, COUNCIL)
    optional = sorted(
        {FACTS[name].value for block in made.blocks.values() for name in block.guarded} - {"household.shared"}
    )
    for known in itertools.product((True, False), repeat=len(optional)):
        for shared, count in itertools.product((0, 1), (1, 2)):
            values = {**PERSONAS["house"].values, "household.shared": shared, "tag.count": count}
            values |= {name: None for name, is_known in zip(optional, known, strict=True) if not is_known}
            for part, words in written(template, values).items():
                seen = re.sub(r"<[^>]*>", "", words) if part == "html" else words
                assert not re.search(r"[ \t]{2,}|\s[,.!?]|\.\.|,\s*,|None|\{|\}|undefined", seen.split("}")[-1]), words
                assert part == "html" or words == words.strip()


@pytest.mark.parametrize("template", ALL)
def test_nothing_known_is_never_sent(template):
    made = compile_template(template, COUNCIL)
    for medium in Medium:
        with pytest.raises(RenderError, match=template.id):
            made.render(medium, PERSONAS["unknown"].values)


@pytest.mark.parametrize("template", [p for p in ALL if p.values[0].language is Language.CY])
def test_welsh_twins_name_the_same_facts(template):
    english = TEMPLATES[template.id, Language.EN]
    check_twins(template, english)
    assert placeholders(template) == placeholders(english)


@pytest.mark.parametrize("template", [p for p in ALL if p.values[0].language is Language.CY])
def test_both_languages_side_by_side(template):
    assert "cy+en" in languages_of(TEMPLATES, template.id, COUNCIL)
    both = compile_for(TEMPLATES, template.id, "cy+en", COUNCIL)
    values = PERSONAS["house"].values
    assert measure(both.render(Medium.SMS, values).text).fragments <= 3
    alone = [compile_template(TEMPLATES[template.id, language], COUNCIL) for language in (Language.CY, Language.EN)]
    assert both.render(Medium.SMS, values).text == "\n\n".join(made.render(Medium.SMS, values).text for made in alone)


def test_an_edit_changes_the_hash():
    template = TEMPLATES["thank_you", Language.EN]
    edited = replace(template, raw=template.raw + " ")
    assert compile_template(template, COUNCIL).template_hash != compile_template(edited, COUNCIL).template_hash
