"""The link to a table's panel, which the first call of ``log`` returns."""

from __future__ import annotations

import sys
from collections.abc import Callable

from ._process import print_line


class Link(str):
    """The URL of a panel that was printed already.

    IPython displays nothing for it, so that a notebook shows the link once.
    """

    __slots__ = ()

    def _ipython_display_(self) -> None:
        pass


def shown(url: str, is_quiet: bool) -> str:
    """Print the link, unless the table is quiet or the interpreter will print the value itself."""
    if is_quiet:
        return url
    # Called by the native module, so this is the frame that called `log`.
    if _displays_values(1):
        return url
    print_line(f"View data at: {url}")
    return Link(url)


def _displays_values(depth: int) -> bool:
    """Return whether a caller is a line of the interactive interpreter, which displays its value."""
    get_frame: Callable[[int], object] | None = getattr(sys, "_getframe", None)
    if get_frame is None or not hasattr(sys, "ps1"):
        return False
    code = getattr(get_frame(depth + 1), "f_code", None)
    file_name: str = getattr(code, "co_filename", "")
    return getattr(code, "co_name", "") == "<module>" and file_name.startswith(("<stdin>", "<python-input"))
