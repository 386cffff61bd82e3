"""Clients of language models whose calls are logged."""

from __future__ import annotations

from typing import Any, TypeVar

from ._loggable import SECRETS, Redact
from ._llm import Prices
from ._monitor import monitor
from ._outbox import Outbox
from ._table import StreamTable

Client = TypeVar("Client")

_METHODS = {
    "openai": (
        "chat.completions.create", "chat.completions.parse", "completions.create", "embeddings.create",
        "responses.create", "responses.parse",
    ),
    "anthropic": ("messages.create", "messages.parse", "messages.stream", "beta.messages.create"),
}  # fmt: skip

_MARK = "_streamtable_monitor"


def instrument(
    client: Client,
    table: StreamTable | str,
    *,
    prices: Prices | None = None,
    sample: float = 1.0,
    redact: Redact = SECRETS,
) -> Client:
    """Log each call of an OpenAI or Anthropic client, and return the same client.

    A streamed response is logged when it has been read, as the response that it would have been without
    streaming. Beside the columns of :class:`monitor`, each row has ``model``, ``input_tokens``,
    ``output_tokens``, for streams the seconds to the ``first_token``, and the ``cost`` if ``prices`` has
    the model.

    >>> client = streamtable.instrument(openai.OpenAI(), "me/shop/llm")     # doctest: +SKIP
    >>> messages = [{"role": "user", "content": "Why?"}]                    # doctest: +SKIP
    >>> client.chat.completions.create(model="gpt-5", messages=messages)    # doctest: +SKIP

    Args:
        client: An ``OpenAI``, ``AsyncOpenAI``, ``Anthropic`` or ``AsyncAnthropic`` client.
        table: The table or its name, as of :class:`monitor`.
        prices: The price of a million input tokens and of a million output tokens, by the beginning of
            the model's name.
        sample: The part of the calls that is logged.
        redact: Names whose values are not logged, or a function, as of :class:`monitor`.

    Raises:
        TypeError: The client is of another class.
    """
    package = next((name for name in _METHODS if _is_of(client, name)), None)
    if package is None:
        kind = type(client).__qualname__
        raise TypeError(f"instrument takes a client of openai or anthropic, not {kind}")
    shared: Outbox | None = None
    for path in _METHODS[package]:
        *resources, method = path.split(".")
        place: Any = client
        for resource in resources:
            place = getattr(place, resource, None)
        function = getattr(place, method, None)
        if function is None or hasattr(function, _MARK):
            continue
        watch = monitor(
            table,
            name=f"{package}.{path}",
            input_preprocessor=_given,
            prices=prices,
            sample=sample,
            redact=redact,
        )
        # One table, whichever method is called.
        shared = shared or watch._outbox
        watch._outbox = shared
        watched = watch(function)
        setattr(watched, _MARK, watch)
        setattr(place, method, watched)
    return client


def _is_of(client: object, package: str) -> bool:
    return any(kind.__module__.split(".")[0] == package for kind in type(client).__mro__)


def _given(inputs: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments that the caller gave."""
    absent = ("NotGiven", "Omit", "NoneType")
    return {name: value for name, value in inputs.items() if type(value).__name__ not in absent}
