"""The tool calls of a transcript: those that its messages carry, those that its text spells out, or those that ran."""

import re
from collections.abc import Iterator

from rewards.answer import final_answer
from rewards.json_answer import NotJsonError, one_json_value, strict_json
from rewards.transcript import Transcript
from tasks.message import Json, ToolCall

MAX_CALLS = 256
_CALL = re.compile(r"<tool_call>(.*?)(</tool_call>|(?=<tool_call>)|\Z)", re.DOTALL)


class MalformedCallError(ValueError):
    """A call that no environment could run; the message says why."""


def asked_calls(transcript: Transcript) -> tuple[ToolCall, ...]:
    """Every call that the assistant asked for, in order. Raises `MalformedCallError`.

    A message's own `tool_calls`, or else Qwen's `<tool_call>{"name": ..., "arguments": {...}}</tool_call>` in its text after the thinking.
    Where no message has either, the last one may be a JSON call or list of calls. A call inside the thinking is text.
    """
    texts = [message for message in transcript.response if message.role == "assistant"]
    calls: list[ToolCall] = []
    for message in texts:
        calls.extend(message.tool_calls or _spelled_out(final_answer(message.text)))
        if len(calls) > MAX_CALLS:
            raise MalformedCallError(f"more than {MAX_CALLS} calls")
    return tuple(calls) if calls else tuple(_bare_calls(final_answer(transcript.final_text)))


def executed_calls(transcript: Transcript) -> tuple[ToolCall, ...]:
    """The calls that ran without an error, in order."""
    return tuple(executed.call for executed in transcript.executed_calls if executed.ok)


def _spelled_out(answer: str) -> Iterator[ToolCall]:
    for body, closed in _CALL.findall(answer):
        if not closed:
            raise MalformedCallError("a <tool_call> is never closed")
        try:
            yield _call(strict_json(body.strip()))
        except NotJsonError as error:
            raise MalformedCallError(f"a call is no JSON: {error}") from error


def _bare_calls(answer: str) -> Iterator[ToolCall]:
    """Calls of an answer that is nothing but JSON; an answer in words asks for none."""
    try:
        value = one_json_value(answer)
    except NotJsonError:
        return
    entries = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, dict) for entry in entries):
        return
    if len(entries) > MAX_CALLS:
        raise MalformedCallError(f"more than {MAX_CALLS} calls")
    yield from (_call(entry) for entry in entries)


def _call(value: Json) -> ToolCall:
    """`{name, arguments}`, also inside OpenAI's `{type: function, function: ...}`; arguments may be an object or that as JSON text."""
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict) or not isinstance(name := value.get("name"), str):
        raise MalformedCallError("a call has no name")
    arguments = value.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = strict_json(arguments)
        except NotJsonError as error:
            raise MalformedCallError(f"the arguments of {name} are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise MalformedCallError(f"the arguments of {name} are no JSON object")
    return ToolCall(name, arguments)
