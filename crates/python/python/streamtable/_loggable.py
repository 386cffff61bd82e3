"""Conversion of any value to one that a table accepts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Union

from ._convert import Instant, as_name, simplify
from ._media import Media
from ._process import warn

Redact = Union[Iterable[str], Callable[[str, Any], Any]]

SECRETS = (
    "access_token", "api_key", "apikey", "authorization", "client_secret", "credentials", "passwd",
    "password", "private_key", "refresh_token", "secret", "x_api_key",
)  # fmt: skip
"""Names whose values are not logged, unless the caller chooses others."""

REDACTED = "[redacted]"

_UNCHANGED = frozenset((type(None), bool, float))


def redactor(redact: Redact) -> Callable[[str, Any], Any]:
    """Return a function that is called with each name and its value, and returns the value to log."""
    if callable(redact):
        choose = redact

        def checked(name: str, value: Any) -> Any:
            try:
                return choose(name, value)
            except Exception as error:
                # Not the value itself, because it may be a secret.
                warn("the redaction of %s failed: %r", name, error)
                return REDACTED

        return checked
    names = {_plain(name) for name in redact}

    def hide(name: str, value: Any) -> Any:
        return REDACTED if value is not None and _plain(name) in names else value

    return hide


@lru_cache(maxsize=4096)
def _plain(name: str) -> str:
    return name.lower().replace("-", "_")


def loggable(value: Any, hide: Callable[[str, Any], Any] | None = None, depth: int = 0) -> Any:
    """Convert any value to one that a table accepts. ``hide`` redacts the values of names."""
    kind = type(value)
    if kind in _UNCHANGED:
        return value
    if kind is str:
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
    if kind is int:
        return value if -(2**63) <= value < 2**63 else str(value)
    if depth > 20:
        return as_repr(value)
    try:
        simple = simplify(value)
    except Exception:
        return as_repr(value)
    # A point in time cannot change, so it is converted when the row is logged.
    value = value if isinstance(simple, Instant) else simple
    if isinstance(value, dict):
        fields = {}
        # A copy, because another thread may change the dict.
        for name, field in list(value.items()):
            if type(name) is not str:
                try:
                    name = as_name(name)
                except TypeError:
                    name = as_repr(name)
            fields[name] = loggable(field if hide is None else hide(name, field), hide, depth + 1)
        return fields
    if isinstance(value, (list, tuple)):
        return _alike([loggable(item, hide, depth + 1) for item in value])
    # Of an enum, or of a class such as `numpy.str_`.
    return loggable(value, hide, depth + 1) if type(value) in (int, str) else value


def _alike(items: list[Any]) -> list[Any]:
    """Convert items to strings if they cannot be in one list: lists or dicts mixed with other kinds."""
    kinds = {_kind(item) for item in items} - {None}
    if len(kinds) > 1 and kinds & {"list", "dict"}:
        return [item if item is None or isinstance(item, str) else as_repr(item) for item in items]
    return items


def _kind(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, dict):
        return "dict"
    return "list" if isinstance(value, list) else "one"


def as_repr(value: Any) -> str:
    if isinstance(value, Media):
        return repr(value)
    try:
        text = repr(value)
    except Exception as error:
        text = f"<{type(value).__qualname__}, whose repr fails: {error!r}>"
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= 1000 else text[:1000] + "…"
