"""Responses of language models: joined streams, tokens and cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Prices = Mapping[str, "tuple[float, float]"]
"""Prices of a million input tokens and of a million output tokens, by the beginning of a model's name."""


def facts_of(response: Any) -> dict[str, Any]:
    """Return the columns of a response: its model and its tokens. Empty for anything else."""
    usage = _get(response, "usage")
    model = _get(response, "model")
    if usage is None or not isinstance(model, str):
        return {}
    counts = {
        "input_tokens": _first(usage, "input_tokens", "prompt_tokens"),
        "output_tokens": _first(usage, "output_tokens", "completion_tokens"),
    }
    if all(count is None for count in counts.values()):
        return {}
    return {"model": model, **counts}


def cost_of(facts: Mapping[str, Any], prices: Prices) -> float | None:
    """Return the cost of a response, or ``None`` if the price of its model is unknown."""
    model = facts.get("model")
    known = [name for name in prices if isinstance(model, str) and model.startswith(name)]
    if not known:
        return None
    of_input, of_output = prices[max(known, key=len)]
    return ((facts.get("input_tokens") or 0) * of_input + (facts.get("output_tokens") or 0) * of_output) / 1e6


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _first(value: Any, *names: str) -> int | None:
    for name in names:
        count = _get(value, name)
        if isinstance(count, int) and not isinstance(count, bool):
            return count
    return None


class Accumulator:
    """Joins the parts of a streamed response to a response as one that is not streamed.

    Knows chat completions and responses of OpenAI, and messages of Anthropic.
    """

    def __init__(self) -> None:
        self._whole: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._blocks: dict[int, dict[str, Any]] = {}
        self._others: list[Any] = []
        self._final: Any = None
        self._first_token: float | None = None

    def add(self, part: Any, after: float) -> None:
        """Add a part that came ``after`` seconds after the call."""
        kind = _get(part, "type")
        if _get(part, "choices") is not None:
            has_text = self._add_chunk(part)
        elif isinstance(kind, str) and kind.startswith(("message_", "content_block_")):
            has_text = self._add_event(kind, part)
        elif isinstance(kind, str) and kind.startswith("response."):
            has_text = kind.endswith(".delta")
            self._final = _get(part, "response") or self._final
        else:
            # Events that a package derives from others, such as the text so far.
            has_text = False
            if kind is None:
                self._others.append(part)
        if has_text and self._first_token is None:
            self._first_token = after

    def output(self) -> Any:
        """Return the response so far."""
        if self._final is not None:
            return self._final
        if self._choices:
            return {**self._whole, "choices": [self._choices[index] for index in sorted(self._choices)]}
        if self._blocks or self._whole:
            content = [self._blocks[index] for index in sorted(self._blocks)]
            return {**self._whole, "content": [_parsed(block) for block in content]}
        return self._others

    def facts(self) -> dict[str, Any]:
        """Return the columns of the response: its model, its tokens, and the time to the first token."""
        facts = facts_of(self.output())
        if not facts and "model" in self._whole:
            facts = {"model": self._whole["model"]}
        if self._first_token is not None:
            facts["first_token"] = self._first_token
        return facts

    def _add_chunk(self, chunk: Any) -> bool:
        for name in ("id", "model", "usage"):
            value = _get(chunk, name)
            if value is not None:
                self._whole[name] = value
        has_text = False
        for choice in _get(chunk, "choices") or ():
            index = _get(choice, "index") or 0
            new = {"index": index, "message": {"role": None, "content": None}, "finish_reason": None}
            whole = self._choices.setdefault(index, new)
            whole["finish_reason"] = _get(choice, "finish_reason") or whole["finish_reason"]
            delta, message = _get(choice, "delta"), whole["message"]
            message["role"] = _get(delta, "role") or message["role"]
            for name in ("content", "refusal", "reasoning_content"):
                text = _get(delta, name)
                if isinstance(text, str):
                    message[name] = (message.get(name) or "") + text
                    has_text = has_text or bool(text)
            for call in _get(delta, "tool_calls") or ():
                _add_tool_call(message.setdefault("tool_calls", []), call)
                has_text = True
        return has_text

    def _add_event(self, kind: str, event: Any) -> bool:
        if kind == "message_start":
            message = _get(event, "message")
            for name in ("id", "role", "model", "usage"):
                self._whole[name] = _as_dict(_get(message, name))
        elif kind == "content_block_start":
            self._blocks[_get(event, "index")] = dict(_as_dict(_get(event, "content_block")))
        elif kind == "content_block_delta":
            block = self._blocks.setdefault(_get(event, "index"), {})
            delta = _as_dict(_get(event, "delta"))
            for name in ("text", "thinking", "signature", "partial_json"):
                if isinstance(delta.get(name), str):
                    block[name] = (block.get(name) or "") + delta[name]
            return True
        elif kind == "message_delta":
            self._whole["stop_reason"] = _get(_get(event, "delta"), "stop_reason")
            usage = {name: n for name, n in _as_dict(_get(event, "usage")).items() if n is not None}
            self._whole["usage"] = {**(self._whole.get("usage") or {}), **usage}
        return False


def _add_tool_call(calls: list[dict[str, Any]], part: Any) -> None:
    index = _get(part, "index") or 0
    while len(calls) <= index:
        calls.append({"id": None, "type": "function", "function": {"name": "", "arguments": ""}})
    call = calls[index]
    call["id"] = _get(part, "id") or call["id"]
    function = _get(part, "function")
    for name in ("name", "arguments"):
        call["function"][name] += _get(function, name) or ""


def _parsed(block: dict[str, Any]) -> dict[str, Any]:
    """Return a content block with the input of its tool as it was sent: JSON text."""
    if "partial_json" not in block:
        return block
    whole = {name: value for name, value in block.items() if name != "partial_json"}
    return {**whole, "input": block["partial_json"]}


def _as_dict(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else value
