"""ISO weeks: the id of a run, and a whole number that facts are stored under."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from nudges.errors import ConfigError

_EPOCH = date(2000, 1, 3)  # a Monday: week number 0
_ID = re.compile(r"(\d{4})-W(\d{2})")


@dataclass(frozen=True, slots=True, order=True)
class Week:
    """One ISO week, Monday to Sunday. `number` counts weeks since Monday 2000-01-03."""

    number: int

    @classmethod
    def parse(cls, text: str) -> Week:
        """Read `2026-W48`; raises ConfigError when it is no ISO week."""
        match = _ID.fullmatch(text.strip())
        if match:
            try:
                return cls.containing(date.fromisocalendar(int(match[1]), int(match[2]), 1))
            except ValueError:
                pass
        raise ConfigError(f"week == {text!r}, must be an ISO week. Write 2026-W48.")

    @classmethod
    def containing(cls, day: date) -> Week:
        """The week that `day` falls in."""
        return cls((day - _EPOCH).days // 7)

    @property
    def monday(self) -> date:
        """First day."""
        return _EPOCH + timedelta(weeks=self.number)

    @property
    def sunday(self) -> date:
        """Last day."""
        return self.monday + timedelta(days=6)

    def __add__(self, weeks: int) -> Week:
        return Week(self.number + weeks)

    def __sub__(self, weeks: int) -> Week:
        return Week(self.number - weeks)

    def __str__(self) -> str:
        year, week, _ = self.monday.isocalendar()
        return f"{year}-W{week:02d}"
