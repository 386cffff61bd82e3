"""Runs in the form of the package ``wandb``, for programs that log metrics with it.

>>> import streamtable.wandb as wandb                                   # doctest: +SKIP
>>> run = wandb.init(project="shop", config={"rate": 0.1})              # doctest: +SKIP
>>> wandb.log({"loss": 0.7})                                            # doctest: +SKIP
>>> wandb.finish()                                                      # doctest: +SKIP

The rows of all runs of a project are in its table ``history``: the columns ``run``, ``step`` and ``runtime``
in seconds, and the metrics. Its table ``runs`` has a row when a run begins, and one when it ends, with its
configuration and its summary.

The package ``wandb`` itself works with a StreamTable server, too: set ``WANDB_BASE_URL``. Use it for
artifacts, sweeps, resumed files and everything else that this module lacks.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from . import _process
from ._errors import ReadError, StreamTableError
from ._media import Audio, Html, Image, Media, Video
from ._table import StreamTable
from .integrations._sink import Sink

if TYPE_CHECKING:
    # The attributes of the current run, by `__getattr__`.
    run: Run | None
    config: Fields
    summary: Fields

__all__ = [
    "Audio",
    "Error",
    "Fields",
    "Histogram",
    "Html",
    "Image",
    "Run",
    "Table",
    "Video",
    "define_metric",
    "finish",
    "init",
    "log",
    "login",
]

_current: Run | None = None

_OWN_TABLES = ("history", "runs")


class Error(StreamTableError):
    """This module is used in a way that it does not support."""


class _NoRunError(Error, AttributeError):
    """An attribute of the current run is used, and there is none."""


class Fields(dict[str, Any]):
    """The configuration or the summary of a run: a dict whose items are attributes, too.

    >>> run.config.rate                                                 # doctest: +SKIP
    0.1
    """

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(map(str, self))}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def update(self, *args: Any, allow_val_change: bool = True, **more: Any) -> None:
        """Update like a dict. Values may always be changed.

        >>> run.config.update({"rate": 0.2}, allow_val_change=True)     # doctest: +SKIP
        """
        super().update(*args, **more)

    def setdefaults(self, given: Mapping[str, Any]) -> None:
        """Add those items that are not there yet.

        >>> run.config.setdefaults({"rate": 0.1})                       # doctest: +SKIP
        """
        for name, value in given.items():
            self.setdefault(name, value)


class Table:
    """Rows to log in a run. They go to a table of the project that has the name of the metric.

    >>> table = wandb.Table(columns=["question", "score"])              # doctest: +SKIP
    >>> table.add_data("why?", 0.9)                                     # doctest: +SKIP
    >>> wandb.log({"answers": table})                                   # doctest: +SKIP
    """

    def __init__(
        self,
        columns: Sequence[Any] | None = None,
        data: Iterable[Sequence[Any]] | None = None,
        dataframe: Any = None,
    ):
        if dataframe is not None:
            columns, data = list(dataframe.columns), dataframe.to_numpy(dtype=object).tolist()
        self.columns: list[str] = [str(name) for name in columns or ("Input", "Output", "Expected")]
        self.data: list[list[Any]] = []
        for row in data or ():
            self.add_data(*row)

    def add_data(self, *row: Any) -> None:
        """Add a row, in the order of the columns.

        >>> table.add_data("why?", 0.9)                                 # doctest: +SKIP
        """
        if len(row) != len(self.columns):
            raise ValueError(f"the table has {len(self.columns)} columns, this row has {len(row)} values")
        self.data.append(list(row))


class Histogram:
    """A histogram: a struct of its ``counts`` and ``edges``.

    >>> wandb.log({"gradients": wandb.Histogram(values)})               # doctest: +SKIP
    """

    def __init__(self, sequence: Any = None, np_histogram: Any = None, num_bins: int = 64):
        if np_histogram is None:
            import numpy

            if hasattr(sequence, "detach"):
                sequence = sequence.detach().cpu()
            np_histogram = numpy.histogram(numpy.asarray(sequence), bins=num_bins)
        counts, edges = np_histogram
        self.histogram: list[float] = [*map(float, counts)]
        self.bins: list[float] = [*map(float, edges)]


class Run:
    """A run, made by :func:`init`.

    >>> with wandb.init(project="shop") as run:                         # doctest: +SKIP
    ...     run.log({"loss": 0.7})
    """

    _noted: ClassVar[set[str]] = set()

    def __init__(
        self,
        *,
        project: str | None,
        entity: str | None,
        mode: str,
        id: str,
        name: str | None,
        config: Mapping[str, Any],
        about: Mapping[str, Any],
        is_resumed: bool,
    ):
        self.id: str = id
        self.name: str = name or id
        self.config: Fields = Fields(config)
        self.summary: Fields = Fields()
        self.step: int = 0
        self.resumed: bool = is_resumed
        self._about = dict(about)
        self._began = time.monotonic()
        self._started = datetime.now(timezone.utc)
        self._pending: dict[str, Any] = {}
        self._is_finished = False
        self._lock = threading.RLock()
        self._offline = mode == "offline"
        self._places = (project, entity)
        self._tables: dict[str, StreamTable] = {}
        self._sinks: dict[str, Sink] = {}
        self._is_disabled = mode == "disabled"
        if not self._is_disabled:
            history = self._table("history")
            self._places = (history.project_name, history.entity_name)
            if is_resumed:
                self.step = self._next_step(history)
            self._log_state("running")

    @property
    def project(self) -> str | None:
        """The project."""
        return self._places[0]

    @property
    def entity(self) -> str | None:
        """The user or team."""
        return self._places[1]

    @property
    def url(self) -> str | None:
        """The URL of the panel of the project's table ``history``."""
        return None if self._is_disabled else self._tables["history"].url

    def log(self, data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
        """Log metrics, as one row for each step.

        Without a step, each call is a step, unless ``commit`` is false. With one, the values of all calls
        with the same step are one row, which is logged when a call has a later step. Metrics of an earlier
        step are dropped with a warning. Dicts of metrics are flattened: ``train.loss``.

        >>> run.log({"loss": 0.7}, step=5)                              # doctest: +SKIP
        """
        if not isinstance(data, Mapping):
            raise ValueError(f"log takes a dict of metrics, not {type(data).__qualname__}")
        with self._lock:
            self._log(data, step, commit)

    def _log(self, data: Mapping[str, Any], step: int | None, commit: bool | None) -> None:
        if self._is_finished:
            raise Error("the run is finished; call wandb.init() to begin another")
        if step is not None and step < self.step:
            self._note("earlier", f"metrics of step {step} are dropped, because the run is at step {self.step}")
            return
        if step is not None and step > self.step:
            self._write()
            self.step = int(step)
        flat = dict(_flat(data))
        self._pending.update(flat)
        self.summary.update((name, value) for name, value in flat.items() if not _is_large(value))
        if commit if commit is not None else step is None:
            self._write()
            self.step += 1

    def finish(self, exit_code: int | None = None, quiet: bool | None = None) -> None:
        """End the run: deliver its rows, and log its summary.

        >>> run.finish()                                                # doctest: +SKIP
        """
        global _current
        with self._lock:
            if self._is_finished:
                return
            self._write()
            self._is_finished = True
        if _current is self:
            _current = None
        if self._is_disabled:
            return
        self._log_state("failed" if exit_code else "finished")
        for table in self._tables.values():
            table.finish()

    def define_metric(self, name: str, *args: Any, **more: Any) -> None:
        """Do nothing: a chart of a board says what its axes are.

        >>> run.define_metric("loss", step_metric="epoch")              # doctest: +SKIP
        """

    def watch(self, *models: Any, **more: Any) -> None:
        """Do nothing, with a warning: gradients are not logged.

        >>> run.watch(model)                                            # doctest: +SKIP
        """
        self._note("watch", "watch does nothing; log the gradients that you need as wandb.Histogram")

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.finish(exit_code=0 if error is None else 1)

    def __repr__(self) -> str:
        return f"Run({self.name!r})"

    def _write(self) -> None:
        """Log the row of the current step, if it has metrics."""
        pending, self._pending = self._pending, {}
        if not pending or self._is_disabled:
            return
        own = {"run": self.id, "step": self.step, "runtime": time.monotonic() - self._began}
        row = dict(own)
        for name, value in pending.items():
            if isinstance(value, Table):
                self._log_table(name, value)
                value = f"{len(value.data)} rows in {_as_table_name(name)}"
            elif isinstance(value, Histogram):
                value = {"counts": value.histogram, "edges": value.bins}
            row[name] = value
        self._put("history", {**row, "run": self.id})

    def _log_table(self, name: str, table: Table) -> None:
        for row in table.data:
            self._put(
                _as_table_name(name), {"run": self.id, "step": self.step, **dict(zip(table.columns, row))}
            )

    def _log_state(self, state: str) -> None:
        row = {
            "run": self.id,
            "name": self.name,
            "state": state,
            "started": self._started,
            "runtime": time.monotonic() - self._began,
            "config": dict(self.config) or None,
            "summary": dict(self.summary) or None,
            **self._about,
        }
        self._put("runs", row)

    def _put(self, table: str, row: dict[str, Any]) -> None:
        self._table(table)
        self._sinks[table].put(row)

    def _table(self, name: str) -> StreamTable:
        """Open a table of the project."""
        if name not in self._tables:
            project, entity = self._places
            self._tables[name] = StreamTable(
                name, project, entity, columns="evolve", offline=self._offline, quiet=name != "history"
            )
            self._sinks[name] = Sink(self._tables[name])
        return self._tables[name]

    def _next_step(self, history: StreamTable) -> int:
        """Return the step after the last one of a run that is resumed."""
        try:
            last = history.query(f"select max(step) as step from history where run = '{_escaped(self.id)}'")
        except ReadError:
            # There is no table yet.
            return 0
        step = last[0]["step"] if len(last) else None
        return 0 if step is None else int(step) + 1

    def _note(self, kind: str, text: str) -> None:
        """Print a note, once for each kind."""
        if kind not in self._noted:
            self._noted.add(kind)
            _process.print_line(f"streamtable.wandb: {text}")


def init(
    entity: str | None = None,
    project: str | None = None,
    *,
    config: Mapping[str, Any] | str | None = None,
    name: str | None = None,
    id: str | None = None,
    group: str | None = None,
    job_type: str | None = None,
    tags: Sequence[str] | None = None,
    notes: str | None = None,
    mode: Literal["online", "offline", "disabled"] | None = None,
    resume: bool | Literal["allow", "never", "must", "auto"] | None = None,
    reinit: Any = None,
    **others: Any,
) -> Run:
    """Begin a run, and make it the current one of this process. If there is one, it is returned.

    It ends with :func:`finish`, or when the program exits.

    >>> run = wandb.init(project="shop", name="first", config={"rate": 0.1})    # doctest: +SKIP

    Args:
        entity: The user or team; default: ``WANDB_ENTITY``, else the owner of the API key.
        project: The project; default: ``WANDB_PROJECT``, else ``stream-tables``.
        config: The configuration: a dict, or a namespace of ``argparse``.
        name: The name of the run; default: ``WANDB_NAME``, else its id.
        id: The id of the run; default: ``WANDB_RUN_ID``, else a new one.
        group: A column of the table ``runs``.
        job_type: A column of the table ``runs``.
        tags: A column of the table ``runs``.
        notes: A column of the table ``runs``.
        mode: ``"offline"`` writes rows to the spool, and ``"disabled"`` logs nothing; default:
            ``WANDB_MODE``, else ``"online"``.
        resume: Whether to continue at the last step of the run of this id.
        reinit: If true, the current run is finished, and another one begins.
        others: Further options of ``wandb.init``, which are named on standard error and ignored.

    Raises:
        OpenError: The tables cannot be opened.
    """
    global _current
    if _current is not None and reinit not in (True, "finish_previous", "create_new"):
        return _current
    if _current is not None and reinit != "create_new":
        _current.finish()
    env = os.environ.get
    chosen = mode or env("WANDB_MODE") or "online"
    if chosen not in ("online", "offline", "disabled"):
        raise Error(f'mode must be "online", "offline" or "disabled", not {chosen!r}')
    if config is not None and not isinstance(config, Mapping):
        if isinstance(config, str) or not hasattr(config, "__dict__"):
            raise Error("config must be a dict or a namespace; read the file yourself")
        config = dict(vars(config))
    run_id = id or env("WANDB_RUN_ID")
    made = Run(
        project=project,
        entity=entity,
        mode=chosen,
        id=run_id or os.urandom(4).hex(),
        name=name or env("WANDB_NAME"),
        config=config or {},
        about={
            "group": group or env("WANDB_RUN_GROUP"),
            "job_type": job_type or env("WANDB_JOB_TYPE"),
            "tags": list(tags) if tags else None,
            "notes": notes or env("WANDB_NOTES"),
            "host": platform.node() or None,
            "python": platform.python_version(),
            "program": sys.argv[0] if sys.argv else None,
        },
        is_resumed=run_id is not None and resume not in (None, False, "never"),
    )
    if others:
        made._note("options", f"init ignores {', '.join(sorted(others))}")
    _current = made
    return made


def log(data: Mapping[str, Any], step: int | None = None, commit: bool | None = None) -> None:
    """Log metrics of the current run, as :meth:`Run.log` does.

    >>> wandb.log({"loss": 0.7})                                        # doctest: +SKIP
    """
    _running("wandb.log").log(data, step, commit)


def finish(exit_code: int | None = None, quiet: bool | None = None) -> None:
    """Finish the current run, if there is one.

    >>> wandb.finish()                                                  # doctest: +SKIP
    """
    if _current is not None:
        _current.finish(exit_code, quiet)


def define_metric(name: str, *args: Any, **more: Any) -> None:
    """Do nothing: a chart of a board says what its axes are.

    >>> wandb.define_metric("loss", step_metric="epoch")                # doctest: +SKIP
    """


def login(*args: Any, **more: Any) -> bool:
    """Do nothing: the key is that of :class:`streamtable.StreamTable`. Returns true.

    >>> wandb.login()                                                   # doctest: +SKIP
    True
    """
    return True


def _running(what: str) -> Run:
    if _current is None:
        raise _NoRunError(f"call wandb.init() before {what}")
    return _current


if not TYPE_CHECKING:

    def __getattr__(name):
        if name == "run":
            return _current
        if name in ("config", "summary"):
            return getattr(_running(f"wandb.{name}"), name)
        raise AttributeError(
            f"streamtable.wandb has no {name!r}; the package wandb has, and works with this server: "
            "set WANDB_BASE_URL"
        )


def _flat(data: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in data.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _is_large(value: Any) -> bool:
    """Return whether a value is in the rows of its steps, and not in the summary."""
    if isinstance(value, (list, tuple)):
        return any(map(_is_large, value))
    return isinstance(value, (Media, Table, Histogram))


def _as_table_name(metric: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", metric)
    return f"{name}_" if name in _OWN_TABLES else name


def _escaped(text: str) -> str:
    return text.replace("'", "''")


def _finish_at_exit() -> None:
    # Set if an exception ended the program.
    has_failed = getattr(sys, "last_type", None) is not None
    if _current is not None:
        try:
            _current.finish(1 if has_failed else 0)
        except StreamTableError as error:
            _process.print_line(f"streamtable.wandb: {error}")


_process.before_exit.append(_finish_at_exit)
