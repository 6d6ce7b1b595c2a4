"""Copy the starter workspace (council.toml, campaigns, segments, templates) into a folder."""

from __future__ import annotations

import shutil
from pathlib import Path

from nudges.errors import ConfigError

PARTS = ("council.toml", "campaigns", "segments", "templates", "prefect.yaml")


def starter_folder() -> Path:
    """Where the starter files are: in the installed package, or at the top of the repo."""
    packaged = Path(__file__).parent / "starter"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent


def copy_starter(home: Path) -> list[Path]:
    """Copy every starter file into `home`; raises ConfigError when a workspace is there already."""
    if (home / "council.toml").exists():
        raise ConfigError(f"{home}: council.toml is there already. Choose an empty folder.")
    home.mkdir(parents=True, exist_ok=True)
    source = starter_folder()
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, home / part, dirs_exist_ok=True)
        else:
            shutil.copyfile(source / part, home / part)
    return [home / part for part in PARTS]
