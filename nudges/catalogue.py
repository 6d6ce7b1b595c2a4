"""Turn a workspace's campaign, segment and template files into domain objects; the file stem is the id."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NoReturn

from nudges.domain import (
    FLOOR_SHARE,
    Arm,
    Campaign,
    Language,
    Lead,
    Medium,
    Outcome,
    Purpose,
    Reach,
    Segment,
    Shares,
    Stream,
    Template,
    Unit,
)
from nudges.errors import ConfigError
from nudges.tomlfile import Section, load_toml, parse_toml
from nudges.weeks import Week

_ID = re.compile(r"[a-z][a-z0-9_]*")
_EXPECT = re.compile(r"([0-9.]+)\s+to\s+([0-9.]+)")


def load_campaigns(home: Path) -> dict[str, Campaign]:
    """Every `campaigns/*.toml`, by id in alphabetical order; raises ConfigError."""
    return {path.stem: load_campaign(path) for path in campaign_files(home)}


def load_segments(home: Path) -> dict[str, Segment]:
    """Every `segments/*.sql`, by id in alphabetical order; raises ConfigError."""
    return {path.stem: load_segment(path) for path in segment_files(home)}


def load_templates(home: Path) -> dict[tuple[str, Language], Template]:
    """Every `templates/*.j2`, by id and language; raises ConfigError."""
    templates = [load_template(path) for path in template_files(home)]
    return {(template.id, template.language): template for template in templates}


def campaign_files(home: Path) -> list[Path]:
    """Campaign files of the workspace, in order of name; raises ConfigError for a bad name."""
    return _files(home / "campaigns", ".toml")


def segment_files(home: Path) -> list[Path]:
    """Segment files of the workspace, in order of name; raises ConfigError for a bad name."""
    return _files(home / "segments", ".sql")


def template_files(home: Path) -> list[Path]:
    """Template files of the workspace, in order of name; raises ConfigError for a bad name."""
    return _files(home / "templates", ".j2")


def load_campaign(path: Path) -> Campaign:
    """One campaign file; raises ConfigError."""
    where = f"campaigns/{path.name}"
    top = load_toml(path, where=where)
    shares = _shares(top.section("shares"))
    arms_section = top.section("arms")
    arms = tuple(_arm(arms_section.section(key), key) for key in arms_section.names())
    if not arms:
        raise ConfigError(f"{where}: no arms, must have at least one. Add [arms.my_message] with template and media.")
    campaign = Campaign(
        id=path.stem,
        title=top.text("title"),
        segments=top.texts("segments"),
        arms=arms,
        unit=Unit(top.text("unit", allowed=tuple(Unit), default=Unit.HOUSEHOLD)),
        outcome=Outcome(top.text("outcome", allowed=tuple(Outcome))),
        starts=Week.parse(top.text("starts")),
        weeks=top.whole("weeks", low=1),
        shares=shares,
        budget_pence=top.whole("budget_pence", low=0),
        every_weeks=top.whole("every_weeks", low=1, default=4),
        estimator=top.text("estimator", default="causal_stack"),
        stated_effect_share=top.number("stated_effect_share", low=-1, high=1),
        source=path.read_text(encoding="utf-8"),
        floor_share=top.share("floor_share", default=FLOOR_SHARE),
        capacity=_capacity(top.section("capacity")),
        coverage=_coverage(top.section("coverage")),
    )
    if campaign.unit is Unit.ROUND:
        _guard_rounds(campaign, top)
    else:
        _guard_floor(campaign, top)
    top.done()
    return campaign


def _shares(section: Section) -> Shares:
    shares = Shares(section.share("control"), section.share("learn"), section.share("best"))
    total = shares.control + shares.learn + shares.best
    if abs(total - 1) > 1e-9:
        section.fail("control + learn + best", total, "must sum to 1", "Write 0.25, 0.35 and 0.40.")
    if shares.control <= 0:
        section.fail(
            "control", shares.control, "must be above 0", "Without a control nothing can be measured: write 0.20."
        )
    return shares


def _guard_floor(campaign: Campaign, top: Section) -> None:
    """Outside the control lane every arm must keep its floor, or the loop could not go on learning about it."""
    shares, n_arms = campaign.shares, len(campaign.arm_ids)
    outside = shares.learn + shares.best
    smallest = shares.learn / outside / n_arms if outside > 0 else 0.0
    if smallest < campaign.floor_share:
        needed = -(-campaign.floor_share * n_arms * outside * 1000 // 1) / 1000
        top.fail(
            "shares.learn",
            shares.learn,
            f"must leave each of {n_arms} arms (none is one) at least floor_share == {campaign.floor_share:g} of the "
            f"units outside the control lane; it leaves {smallest:.3f}",
            f"Write learn = {needed:g} or more, or a smaller floor_share.",
        )


def _guard_rounds(campaign: Campaign, top: Section) -> None:
    """Nothing is learned where rounds are drawn, so no rule may ask for a policy that is."""
    if campaign.coverage:
        top.fail(
            "coverage",
            dict(campaign.coverage),
            'must be empty with unit = "round": no message is chosen there that could leave anybody out',
            "Take it out.",
        )


def _capacity(section: Section) -> dict[Medium, int]:
    """Messages a week that a medium can carry."""
    return {medium: section.whole(medium, low=0) for medium in Medium if medium in section.names()}


def _coverage(section: Section) -> dict[str, float]:
    """Shares of segments that must not be left out."""
    return {segment: section.share(segment) for segment in section.names()}


def _arm(section: Section, arm_id: str) -> Arm:
    if arm_id == "control" or not _ID.fullmatch(arm_id):
        section.fail(
            "", arm_id, "must be lower-case words joined by _, and not control", "Write [arms.street_norm_sms]."
        )
    media = section.texts("media", allowed=tuple(Medium))
    if not media:
        section.fail("media", [], "must name at least one", 'Write media = ["sms"].')
    reach = Reach(section.text("reach", allowed=tuple(Reach), default=Reach.FIRST))
    most = section.whole("most", low=0) if "most" in section.names() else None
    return Arm(arm_id, section.text("template"), tuple(Medium(word) for word in media), reach, most)


def load_segment(path: Path) -> Segment:
    """One segment file: `-- title:`, `-- why:`, `-- expect: 0.02 to 0.15`, then one SELECT; raises ConfigError."""
    where = f"segments/{path.name}"
    lines = path.read_text(encoding="utf-8").splitlines()
    header: dict[str, str] = {}
    for line, key in zip(lines, ("title", "why", "expect"), strict=False):
        match = re.fullmatch(rf"--\s*{key}:\s*(\S.*)", line.strip())
        if not match:
            raise ConfigError(f"{where}: line {len(header) + 1} is {line!r}, must be `-- {key}: ...`. Add it.")
        header[key] = match[1].strip()
    expect = _EXPECT.fullmatch(header.get("expect", ""))
    if not expect:
        raise ConfigError(f"{where}: expect must be two shares of all households. Write `-- expect: 0.02 to 0.15`.")
    low, high = float(expect[1]), float(expect[2])
    if not 0 <= low <= high <= 1:
        raise ConfigError(f"{where}: expect == {low} to {high}, must lie between 0 and 1, low first.")
    return Segment(path.stem, header["title"], header["why"], low, high, "\n".join(lines[3:]).strip())


def load_template(path: Path) -> Template:
    """One template file: `+++`, front matter in TOML, `+++`, Jinja blocks; raises ConfigError."""
    where = f"templates/{path.name}"
    raw = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    parts = raw.split("+++\n", 2)
    if len(parts) != 3 or parts[0].strip():
        raise ConfigError(f"{where}: must begin with a +++ line, title and so on, and another +++ line.")
    front = parse_toml(parts[1], where=where)
    stem, _, suffix = path.name.removesuffix(".j2").partition(".")
    if suffix not in ("", *Language) or not _ID.fullmatch(stem):
        raise ConfigError(f"{where}: name must be like bin_day.j2, its Welsh twin bin_day.cy.j2. Rename the file.")
    template = Template(
        id=stem,
        language=Language(suffix or Language.EN),
        title=front.text("title"),
        mechanism=front.text("mechanism"),
        purpose=Purpose(front.text("purpose", allowed=tuple(Purpose))),
        stream=Stream(front.text("stream", allowed=tuple(Stream))),
        lead=Lead(front.text("lead", allowed=tuple(Lead))),
        source=parts[2],
        raw=raw,
    )
    front.done()
    return template


def _files(folder: Path, suffix: str) -> list[Path]:
    files = sorted(path for path in folder.glob(f"*{suffix}") if not path.name.startswith((".", "_")))
    for path in files:
        if not _ID.fullmatch(path.name.split(".")[0]):
            _bad_name(folder, path)
    return files


def _bad_name(folder: Path, path: Path) -> NoReturn:
    raise ConfigError(f"{folder.name}/{path.name}: name must be lower-case words joined by _. Rename the file.")
