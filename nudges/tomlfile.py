"""Read a TOML file key by key; every complaint names file, key, value, what it must be and what to write."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, cast

from nudges.errors import ConfigError

_MISSING: Any = object()


class Section:
    """One table of a TOML file. Reading marks keys as known; `done()` rejects the rest."""

    def __init__(self, values: Mapping[str, Any], where: str, prefix: str = "") -> None:
        self._values = values
        self._where = where
        self._prefix = prefix
        self._known: set[str] = set()
        self._children: dict[str, Section] = {}

    def fail(self, key: str, value: object, must: str, do: str) -> NoReturn:
        """Raise ConfigError in the product's one form."""
        shown = f" == {value!r}" if value is not _MISSING else " is missing"
        raise ConfigError(f"{self._where}: {self._prefix}{key}{shown}, {must}. {do}")

    def names(self) -> tuple[str, ...]:
        """Keys of the section, in file order."""
        return tuple(self._values)

    def raw(self, key: str, default: Any = _MISSING) -> Any:
        """The value as TOML has it."""
        self._known.add(key)
        value = self._values.get(key, default)
        if value is _MISSING:
            self.fail(key, _MISSING, "must be there", f"Add a line `{key} = ...`.")
        return value

    def text(self, key: str, *, allowed: Sequence[str] = (), default: Any = _MISSING) -> str:
        """A text that is not empty."""
        value = self.raw(key, default)
        if not isinstance(value, str) or not value.strip():
            self.fail(key, value, "must be text", f'Write {key} = "...".')
        if allowed and value not in allowed:
            near = difflib.get_close_matches(value, allowed, 1)
            self.fail(key, value, f"must be one of {', '.join(allowed)}", f"Write {(near or [allowed[0]])[0]}.")
        return value

    def texts(self, key: str, *, allowed: Sequence[str] = (), default: Any = _MISSING) -> tuple[str, ...]:
        """A list of texts."""
        value = self.raw(key, default)
        if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
            self.fail(key, value, "must be a list of texts", f'Write {key} = ["..."].')
        for item in value:
            if allowed and item not in allowed:
                self.fail(key, item, f"must be one of {', '.join(allowed)}", f"Write {allowed[0]}.")
        return tuple(value)

    def number(
        self, key: str, *, low: float | None = None, high: float | None = None, default: Any = _MISSING
    ) -> float:
        """A number between `low` and `high`."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.fail(key, value, "must be a number", f"Write {key} = 1.0.")
        if (low is not None and value < low) or (high is not None and value > high):
            top = "" if high is None else f" and {high:g}"
            self.fail(key, value, f"must be between {low:g}{top}" if top else f"must be {low:g} or more", "Change it.")
        return float(value)

    def share(self, key: str, *, default: Any = _MISSING) -> float:
        """A share between 0 and 1."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            self.fail(key, value, "must be between 0 and 1", "Write 0.20 for one household in five.")
        return float(value)

    def whole(self, key: str, *, low: int | None = None, default: Any = _MISSING) -> int:
        """A whole number of at least `low`."""
        value = self.raw(key, default)
        if isinstance(value, bool) or not isinstance(value, int) or (low is not None and value < low):
            bound = "" if low is None else f" of at least {low}"
            self.fail(key, value, f"must be a whole number{bound}", f"Write {key} = {max(low or 0, 1)}.")
        return value

    def flag(self, key: str, *, default: Any = _MISSING) -> bool:
        """True or false."""
        value = self.raw(key, default)
        if not isinstance(value, bool):
            self.fail(key, value, "must be true or false", f"Write {key} = false.")
        return value

    def section(self, key: str) -> Section:
        """A table below; empty when absent."""
        value = self.raw(key, {})
        if not isinstance(value, Mapping):
            self.fail(key, value, "must be a table", f"Write [{self._prefix}{key}].")
        return self._child(cast("Mapping[str, Any]", value), f"{self._prefix}{key}.")

    def sections(self, key: str) -> tuple[Section, ...]:
        """A list of tables below; empty when absent."""
        value = self.raw(key, [])
        if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
            self.fail(key, value, "must be a list of tables", f"Write [[{self._prefix}{key}]].")
        return tuple(self._child(item, f"{self._prefix}{key}[{number}].") for number, item in enumerate(value, 1))

    def done(self) -> None:
        """Raise ConfigError for a key nobody read: a typo must not pass in silence."""
        for child in self._children.values():
            child.done()
        for key in self._values:
            if key not in self._known:
                near = difflib.get_close_matches(key, self._known, 1)
                self.fail(
                    key, self._values[key], "is not a known key", f"Did you mean {near[0]}?" if near else "Remove it."
                )

    def _child(self, values: Mapping[str, Any], prefix: str) -> Section:
        return self._children.setdefault(prefix, Section(values, self._where, prefix))


def load_toml(path: Path, *, where: str) -> Section:
    """Read a TOML file; raises ConfigError when it is missing or no TOML."""
    try:
        return parse_toml(path.read_text(encoding="utf-8"), where=where)
    except FileNotFoundError:
        raise ConfigError(f"{where}: file not found in {path.parent}. Run `nudges init` in an empty folder.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: not UTF-8 at byte {error.start}. Save the file as UTF-8.") from None


def parse_toml(text: str, *, where: str) -> Section:
    """Parse TOML text; raises ConfigError with the line of a mistake."""
    try:
        return Section(tomllib.loads(text), where)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: {error}. Texts need quotes, tables need [brackets].") from None
