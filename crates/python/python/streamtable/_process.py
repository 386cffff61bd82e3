"""Fork and exit handling."""

from __future__ import annotations

import atexit
import os
import sys
from collections.abc import Callable

from . import _native

_is_known_to_multiprocessing = False

before_exit: list[Callable[[], None]] = []
"""Functions that log rows that are still waiting when the program exits."""

after_exit: list[Callable[[], None]] = []
"""Functions that are called when the tables are finished at exit."""


def print_line(line: str) -> None:
    """Print a line on Python's standard error, which notebooks show. Ignore errors."""
    try:
        print(line, file=sys.stderr, flush=True)
    except Exception:
        pass


def warn(text: str, *args: object) -> None:
    """Log a warning of the logger ``streamtable``. Never raises."""
    try:
        # Imported here, because the import takes several milliseconds.
        import logging

        logging.getLogger("streamtable").warning(text, *args, stacklevel=2)
    except Exception:
        pass


def warn_of_rejected(table: str, count: int) -> None:
    """Warn that the server has rejected rows of a table that is finished."""
    # Imported here, because it is rarely needed.
    import warnings

    from ._errors import RowsRejectedWarning

    text = f"{table}: the server rejected {count} rows; on_reject is called with each, and its reason"
    warnings.warn(text, RowsRejectedWarning, stacklevel=2)


def opened() -> None:
    """Make sure that the tables of this process are finished at exit."""
    global _is_known_to_multiprocessing
    # Children of multiprocessing exit without calling `atexit` functions.
    if not _is_known_to_multiprocessing and "multiprocessing.util" in sys.modules:
        from multiprocessing import process, util

        if process.parent_process() is not None:
            util.Finalize(None, _finish_all, exitpriority=0)
            _is_known_to_multiprocessing = True


def _finish_all() -> None:
    try:
        for function in before_exit:
            function()
        for sentence in _native.finish_all():
            print_line(f"streamtable: {sentence}")
    except KeyboardInterrupt:
        print_line("streamtable: stopped waiting for rows that are not stored yet")
    for function in after_exit:
        function()


def _after_fork() -> None:
    global _is_known_to_multiprocessing
    _is_known_to_multiprocessing = False
    _native.after_fork()


atexit.register(_finish_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
