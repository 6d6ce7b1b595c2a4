"""Tell senders that live from senders that died: a locked file a run, which the system unlocks with the process."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path

ABANDONED_AFTER = timedelta(minutes=15)
"""A run without a file here may be alive on another machine; after this long it no longer is."""


@contextmanager
def living(folder: Path, run_id: str) -> Iterator[None]:
    """Hold this run's file while sending; kept, unlocked, when the run breaks."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / run_id
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
        path.unlink()


def is_dead(folder: Path, run_id: str, since: datetime, now: datetime) -> bool:
    """Whether the run that claimed something at `since` can no longer be at work."""
    try:
        with (folder / run_id).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return True
    except FileNotFoundError:
        return now - since >= ABANDONED_AFTER
    except BlockingIOError:
        return False


def sweep(folder: Path) -> None:
    """Remove the files of dead runs, once what they had claimed is settled."""
    for path in folder.glob("[!.]*"):
        with suppress(FileNotFoundError, BlockingIOError), path.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            path.unlink()


@contextmanager
def alone(folder: Path) -> Iterator[bool]:
    """Whether this process is the only one here that settles doubts; the others leave them to it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".doubts").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
