"""Rows that wait on the disk of this machine.

``log`` writes rows to the spool before they are sent. Rows of a program that was killed, or whose server was away, wait
there until a program opens their table again, or until ``sync``. ``streamtable spool`` and ``streamtable sync`` do the
same in a shell.

>>> import streamtable.spool
>>> for entry in streamtable.spool.ls():                                # doctest: +SKIP
...     print(entry.table, entry.rows, entry.state)
>>> streamtable.spool.sync().acked                                      # doctest: +SKIP
3
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

from . import _native

__all__ = ["Entry", "Tally", "ls", "sync"]

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Entry:
    """The spool of one writer.

    >>> [entry.rows for entry in streamtable.spool.ls()]                # doctest: +SKIP
    [3]

    Attributes:
        dir: Its folder.
        writer: The id of the writer, as in the column ``_writer``.
        state: ``"live"`` if a running program uses it, ``"waiting"`` if it can be delivered, ``"newer"`` if only a newer
            version can read it, ``"unreadable"`` if its writer and table are unknown.
        server: The URL of the server that the rows are for; ``None`` if unknown.
        table: The table that the rows are for, ``entity/project/table``; ``None`` if unknown.
        created: When it was created; ``None`` if unknown.
        rows: The number of rows that wait.
        media_files: The number of media files that wait.
        bytes: The size of its files.
        problems: The damage that was found.
    """

    dir: Path
    writer: str
    state: Literal["live", "waiting", "newer", "unreadable"]
    server: str | None
    table: str | None
    created: datetime | None
    rows: int
    media_files: int
    bytes: int
    problems: tuple[str, ...]


@dataclass(frozen=True)
class Tally:
    """What ``sync`` delivered.

    >>> streamtable.spool.sync().rejected                               # doctest: +SKIP
    0

    Attributes:
        spools: The number of spools that were delivered completely.
        busy: The number of spools of running programs, which deliver their rows themselves.
        found: The number of rows found.
        acked: The number of rows that a server has stored.
        rejected: The number of rows that a server rejected; they are in ``rejected.jsonl`` next to the spool.
        media_uploaded: The number of media files that a server has stored.
        media_failed: The number of media files that a server rejected.
        damaged: The number of damaged places, which were set aside.
        lost: The number of rows known to be lost in them.
        left: The folders of spools that were not delivered completely, each with the reason.
    """

    spools: int
    busy: int
    found: int
    acked: int
    rejected: int
    media_uploaded: int
    media_failed: int
    damaged: int
    lost: int
    left: tuple[tuple[str, str], ...]


def ls(dir: str | os.PathLike[str] | None = None) -> list[Entry]:
    """List the spools of this machine, sorted by their folders. Nothing is changed.

    >>> streamtable.spool.ls()                                          # doctest: +SKIP
    []

    Args:
        dir: The spool folder; default: that of programs on this machine.

    Raises:
        OSError: The folder cannot be read, or ``dir`` is not a folder.
    """
    entries = []
    for entry in _native.spool_entries(_folder(dir)):
        created = entry.pop("created")
        entry["created"] = None if created is None else _EPOCH + timedelta(microseconds=created)
        entry["dir"] = Path(entry["dir"])
        entry["problems"] = tuple(entry["problems"])
        entries.append(Entry(**entry))
    return entries


def sync(dir: str | os.PathLike[str] | None = None) -> Tally:
    """Deliver all rows that wait, each to the server that it was logged for, with this machine's key for it.

    Every row is stored once, even if it is sent several times. A spool whose server cannot be reached within 30 seconds is
    skipped; ``left`` says why. Ctrl-C ends the delivery, and rows that are not delivered wait on.

    >>> streamtable.spool.sync()                                        # doctest: +SKIP
    Tally(spools=1, busy=0, found=3, acked=3, …)

    Args:
        dir: The spool folder; default: that of programs on this machine.

    Raises:
        OSError: The folder cannot be read, or ``dir`` is not a folder.
    """
    counts = _native.sync_spool(_folder(dir))
    counts["left"] = tuple(counts["left"])
    return Tally(**counts)


def _folder(dir: str | os.PathLike[str] | None) -> str | os.PathLike[str] | None:
    # The folder of this machine does not exist before the first program logs.
    if dir is not None and not os.path.isdir(dir):
        raise NotADirectoryError(f"{os.fspath(dir)} is not a folder")
    return dir
