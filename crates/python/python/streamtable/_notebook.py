"""Display of a table in a notebook.

An iframe with the server's live panel, in any notebook that shows HTML, and a copy of the last rows for
readers of the saved file without access to the server.
"""

from __future__ import annotations

import json
from datetime import datetime
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ._errors import StreamTableError

if TYPE_CHECKING:
    from ._reader import Reader

ROWS = 20
COLUMNS = 30
CELL_CHARS = 120
HEIGHT = 460


def bundle(table: Reader) -> dict[str, str]:
    """Make the result of ``_repr_mimebundle_``."""
    return {"text/plain": repr(table), "text/html": _html(table)}


def _html(table: Reader) -> str:
    try:
        table._wait_for_rows(2.0)
    except StreamTableError:
        # Show the rows that are stored.
        pass
    title = escape(table.path)
    link, frame = "", ""
    try:
        url = table.url
    except StreamTableError:
        # A table that is only read asks the server for it.
        url = None
    if url is not None:
        href = escape(url)
        link = f' · <a href="{href}" target="_blank" rel="noopener">open in new tab ↗</a>'
        frame = _frame(table, url)
    try:
        count, rows = _last_rows(table)
    except (StreamTableError, ValueError, LookupError) as error:
        copy = f"<p>{title}: its rows cannot be shown here: {escape(str(error))}</p>"
    else:
        shown = f"the last {len(rows)} of {count}" if count > len(rows) else str(count)
        noun = "row" if shown == "1" else "rows"
        summary = f"<code>{title}</code>: {shown} {noun} when this was shown{link}"
        # Expanded, because it is unknown whether the browser shows the panel.
        copy = f"<details open><summary>{summary}</summary>{static_table(rows)}</details>"
    return f'<div class="streamtable">{frame}{copy}</div>'


def _frame(table: Reader, url: str) -> str:
    """Return the iframe of the panel, or an empty string if the server cannot be reached."""
    at = urlsplit(url)
    place = f"/embed?{at.query}"
    try:
        # A one-time login link, so that the notebook contains no key.
        source = table._login_link(place)
    except (StreamTableError, ValueError, LookupError):
        return ""
    return (
        f'<iframe src="{escape(source)}" title="{escape(table.path)}" width="100%" '
        f'height="{HEIGHT}" style="border:1px solid #8884;border-radius:6px" '
        f'referrerpolicy="no-referrer"></iframe>{_SAME_HOST}'
    )


# Browsers send the server's cookie into a frame only if both pages have the same host name, and this
# machine has two.
_SAME_HOST = """<script>(() => {
  const frame = document.currentScript?.previousElementSibling;
  const names = ["localhost", "127.0.0.1"];
  if (!(frame instanceof HTMLIFrameElement) || !names.includes(location.hostname)) return;
  const at = new URL(frame.src);
  if (!names.includes(at.hostname) || at.hostname === location.hostname) return;
  at.hostname = location.hostname;
  frame.src = at;
})();</script>"""


def _last_rows(table: Reader) -> tuple[int, list[dict[str, Any]]]:
    about = json.loads(table._ask("GET", table._api_path(), timeout=5.0))
    lines = table._ask("GET", table._api_path(f"/rows?from=-{ROWS}&limit={ROWS}"), timeout=5.0)
    return about["rows"], [json.loads(line) for line in lines.splitlines()]


def static_table(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return "<p>no rows yet</p>"
    hidden = ("_position", "_writer", "_line", "_step")
    columns = list(dict.fromkeys(name for row in rows for name in row if name not in hidden))
    more = len(columns) - COLUMNS
    columns = columns[:COLUMNS]
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{_cell(row.get(name))}</td>" for name in columns) + "</tr>"
        for row in rows
    )
    rest = f"<p>and {more} columns more</p>" if more > 0 else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) and str(value.get("_type", "")).endswith("-file"):
        text = str(value.get("caption") or f"{value['_type'].removesuffix('-file')} file")
    elif isinstance(value, (datetime, float)):
        text = str(value)
    else:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > CELL_CHARS:
        text = text[:CELL_CHARS] + "…"
    return escape(text)
