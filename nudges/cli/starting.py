"""Verbs for the first ten minutes: demo and init."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from nudges.cli.console import say, show
from nudges.cli.context import Json, home


def demo(
    households: Annotated[int, typer.Option(help="Size of the made-up borough.", min=200)] = 20_000,
    weeks: Annotated[int, typer.Option(help="Weeks simulated; the first 26 are history.", min=30)] = 40,
    seed: Annotated[int, typer.Option(help="Another seed makes another borough.")] = 1,
    folder: Annotated[
        Path | None, typer.Option(help="Where the demo lives. Default: var/demo in the workspace.")
    ] = None,
    json_wanted: Json = False,
) -> None:
    """Run the whole loop on a made-up borough and show what came of it. Nothing leaves this machine."""
    from nudges.demo import print_result, run_demo

    place = folder or home() / "var" / "demo"
    result = run_demo(
        place,
        households=households,
        weeks=weeks,
        seed=seed,
        progress=None if json_wanted else sys.stdout,
        environment=os.environ,
    )
    if not show(result, json_wanted=json_wanted):
        print_result(result, say)


def init(
    folder: Annotated[Path, typer.Argument(help="An empty folder for your council's workspace.")],
    json_wanted: Json = False,
) -> None:
    """Copy a starter workspace: council.toml, campaigns, segments and templates to make your own."""
    from nudges.starter import copy_starter

    written = copy_starter(folder.resolve())
    if not show({"written": written}, json_wanted=json_wanted):
        for path in written:
            say(f"wrote {path}")
        say()
        say(f"Next: edit {written[0]}, then `nudges --home {folder} check`.")
