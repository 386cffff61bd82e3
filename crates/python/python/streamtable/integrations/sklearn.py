"""A scorer for scikit-learn, which has no callbacks of trainings."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sklearn.metrics import check_scoring

from .._table import StreamTable
from ._sink import Sink


class TableScorer:
    """A scorer that logs a row for each model that it scores, while a search or a cross-validation runs.

    A row has the ``model``, the ``params`` that are numbers, texts or booleans, the number of ``samples``
    that were scored, the ``seconds`` that this took, and the scores.

    >>> GridSearchCV(model, grid, scoring=TableScorer("me/shop/search", "accuracy"))    # doctest: +SKIP
    >>> cross_validate(model, x, y, scoring=TableScorer("me/shop/search", ["r2", "neg_max_error"])) # doctest: +SKIP

    Args:
        table: The table or its name. A name is opened in the background, with evolving columns.
        scoring: As of scikit-learn: a name, a function, names, or a dict of them; by default the model's
            own score.
        extra: Columns of each row.
    """

    def __init__(
        self,
        table: StreamTable | str,
        scoring: str | Callable[..., Any] | Sequence[str] | Mapping[str, Any] | None = None,
        *,
        extra: Mapping[str, Any] | None = None,
    ):
        self._sink = Sink(table)
        self._scoring = scoring
        self._extra = dict(extra or {})

    def __call__(self, estimator: Any, x: Any, y: Any = None, **options: Any) -> Any:
        """Return the scores of a model, and log them."""
        start = time.perf_counter()
        scores = check_scoring(estimator, scoring=self._scoring)(estimator, x, y, **options)
        seconds = time.perf_counter() - start
        simple = (bool, int, float, str, type(None))
        params = estimator.get_params() if hasattr(estimator, "get_params") else {}
        row = {
            **self._extra,
            "model": type(estimator).__name__,
            "params": {name: value for name, value in params.items() if isinstance(value, simple)},
            "samples": x.shape[0] if hasattr(x, "shape") else len(x),
            "seconds": seconds,
        }
        self._sink.put({**row, **(scores if isinstance(scores, Mapping) else {"score": scores})})
        return scores

    @property
    def table(self) -> StreamTable:
        """The table. Waits until it is open and has all rows so far."""
        return self._sink.table
