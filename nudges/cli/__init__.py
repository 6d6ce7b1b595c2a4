"""The command line `nudges`: what waste teams, comms officers and engineers type."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from nudges import __version__
from nudges.cli import campaigns, data, running, starting
from nudges.cli.console import report_error
from nudges.errors import NudgesError

_INTERRUPTED = 130

app = typer.Typer(
    name="nudges",
    help="Personalised recycling nudges, measured against a randomised control.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    add_completion=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"nudges {__version__}\n")
        raise typer.Exit


@app.callback()
def options(
    home: Annotated[
        Path | None, typer.Option("--home", help="Folder of the workspace. Default: $NUDGES_HOME, else this folder.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    """Personalised recycling nudges, measured against a randomised control."""
    del version
    if home is not None:
        os.environ["NUDGES_HOME"] = str(home)


_VERBS: dict[Callable[..., None], str] = {
    starting.demo: "The whole loop on a made-up borough.",
    starting.init: "Start a workspace of your own.",
    data.ingest: "Load files of facts.",
    data.segments: "Who is in each segment.",
    campaigns.plan: "Who would get what, and what it costs.",
    campaigns.power: "What effect it could see, before it starts.",
    campaigns.preview: "The words as households would read them.",
    campaigns.card: "What learning decided, and why.",
    campaigns.check: "Is any file of the workspace wrong?",
    campaigns.approve: "Say yes to a campaign as it stands.",
    running.run: "Run the week. Sends nothing.",
    running.deliver: "Send what is approved and due.",
    running.stop: "Stop sending now.",
    running.resume: "Let sending go on.",
    running.report: "Measure again and write the impact pages.",
    data.why: "Everything about one household.",
    running.serve: "The plain page, opt-out links, callbacks.",
}
for verb, short in _VERBS.items():
    app.command(name=verb.__name__, short_help=short)(verb)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code (the error class's own), and exits with it when called as a script."""
    words = list(sys.argv[1:] if argv is None else argv)
    code = _run(words)
    if argv is None:
        sys.exit(code)
    return code


def _run(words: list[str]) -> int:
    try:
        app(words, prog_name="nudges")
    except SystemExit as end:  # how Typer ends, also after a usage error, which it has shown
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except NudgesError as error:
        report_error(error, json_wanted="--json" in words)
        code = error.exit_code
    else:
        code = 0
    if code == _INTERRUPTED:
        sys.stderr.write("Stopped by you. Running it again goes on where it was.\n")
    return code
