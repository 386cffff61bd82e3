"""The link to a table's panel, which the first call of ``log`` returns."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ._errors import StreamTableError
from ._process import print_line

if TYPE_CHECKING:
    from ._reader import Reader

LOGIN_LIFETIME = 590.0
"""Seconds after which a login link is not printed, because it expires soon after."""

_logins: dict[str, tuple[str, float]] = {}
"""For the URL of a panel, a link that logs in and opens it, and when the server made it."""


class Link(str):
    """The URL of a panel that was printed already.

    IPython displays nothing for it, so that a notebook shows the link once.
    """

    __slots__ = ()

    def _ipython_display_(self) -> None:
        pass


class _Displayed(str):
    """The URL of a panel that the interpreter displays as a link that logs in."""

    __slots__ = ("login",)

    login: str

    def __repr__(self) -> str:
        return repr(self.login)


def ask_for_login(table: Reader) -> None:
    """Request a link that logs a browser in, if standard error is a terminal or a notebook.

    A log file must not contain such a link.
    """
    url = table.url
    if url is None or not _is_seen() or urlsplit(url).netloc != urlsplit(table.base_url).netloc:
        return
    try:
        login = table._login_link("/?" + urlsplit(url).query, timeout=1.0)
    except (StreamTableError, ValueError, LookupError):
        # The printed link leads to a page that asks for the key.
        return
    _logins[url] = login, time.monotonic()


def _is_seen() -> bool:
    """Return whether standard error is a terminal or the output of a notebook."""
    stream = sys.stderr
    try:
        return type(stream).__module__ == "ipykernel.iostream" or stream.isatty()
    except Exception:
        return False


def shown(url: str, is_quiet: bool) -> str:
    """Print the link, unless the table is quiet or the interpreter will print the value itself."""
    login, since = _logins.pop(url, (url, 0.0))
    if is_quiet:
        return url
    if login != url and time.monotonic() - since > LOGIN_LIFETIME:
        login = url
    # Called by the native module, so this is the frame that called `log`.
    if _displays_values(1):
        displayed = _Displayed(url)
        displayed.login = login
        return displayed
    print_line(f"View data at: {login}")
    return Link(url)


def _displays_values(depth: int) -> bool:
    """Return whether a caller is a line of the interactive interpreter, which displays its value."""
    get_frame: Callable[[int], object] | None = getattr(sys, "_getframe", None)
    if get_frame is None or not hasattr(sys, "ps1"):
        return False
    code = getattr(get_frame(depth + 1), "f_code", None)
    file_name: str = getattr(code, "co_filename", "")
    return getattr(code, "co_name", "") == "<module>" and file_name.startswith(("<stdin>", "<python-input"))
