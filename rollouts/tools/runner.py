"""Running tool calls: checked, off the event loop, within a time limit; whatever goes wrong becomes a text for the model.

async function       the event loop, cancelled at its limit
`ends_by_itself`     a thread
any other            a worker process, killed at its limit
"""

import asyncio
import inspect
import math
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Literal, TypeAlias

import PIL.Image
from pebble import ProcessExpired, ProcessPool

from rollouts.tools.calls import MalformedCall
from rollouts.tools.registry import Tool, ToolError, ToolOutput, check_settings, find, load_plugin
from tasks.message import ExecutedCall, ImagePart, Json, Message, TextPart, ToolCall
from tasks.plugins import Origin, load_origin

Failure: TypeAlias = Literal["malformed_call", "unknown_tool", "bad_argument", "tool_error", "tool_crash", "tool_timeout"]
RESPONSE_CHARS = 2000


@dataclass(frozen=True, slots=True)
class Response:
    """What a call gave: the message that the model reads, and how it went. `executed` is None where nothing was run."""

    message: Message
    executed: ExecutedCall | None
    failure: Failure | None
    seconds: float


class ToolRunner:
    """Runs the calls of many rollouts at once. `settings` are those of the tools, by tool name. Belongs to one event loop."""

    def __init__(
        self,
        timeout_s: float = 10.0,
        workers: int = 1,
        settings: Mapping[str, Mapping[str, Json]] | None = None,
        plugins: Sequence[str] = (),
    ) -> None:
        self._timeout_s = timeout_s
        self._workers = workers
        self._settings = settings or {}
        self._origins = tuple(load_plugin(plugin) for plugin in plugins)
        self._pool: ProcessPool | None = None
        for name, values in self._settings.items():
            check_settings(find(name), values)

    async def __aenter__(self) -> "ToolRunner":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.stop()
            await asyncio.to_thread(self._pool.join)

    async def run(self, call: ToolCall | MalformedCall, images: Sequence[PIL.Image.Image], offered: Sequence[str]) -> Response:
        """The response to one call. `images` are all of the conversation, `offered` the tools that the problem has."""
        started = time.perf_counter()
        if isinstance(call, MalformedCall):
            return _refused("malformed_call", call.reason)
        if call.name not in offered:
            return _refused("unknown_tool", f"there is no tool {call.name!r}; there are: {', '.join(offered) or 'none'}")
        entry = find(call.name)
        wrong = argument_error(entry, call.arguments, len(images))
        if wrong is not None:
            return _refused("bad_argument", wrong)
        output, failure = await self._outcome(entry, call.arguments, images)
        seconds = time.perf_counter() - started
        return Response(_message(output), ExecutedCall(call, failure is None, seconds), failure, seconds)

    async def _outcome(
        self, entry: Tool, arguments: Mapping[str, Json], images: Sequence[PIL.Image.Image]
    ) -> tuple[ToolOutput, Failure | None]:
        running = asyncio.ensure_future(self._running(entry, arguments, images))
        try:
            done, _ = await asyncio.wait({running}, timeout=None if _has_own_timer(entry) else self._timeout_s)
        finally:
            running.cancel()
        error = running.exception() if done else TimeoutError()
        match error:
            case None:
                return _checked(entry, running.result())
            case ToolError():
                return f"Error: {error}", "tool_error"
            case TimeoutError():
                return f"Error: {entry.name} did not end within {self._timeout_s:g} s", "tool_timeout"
            case ProcessExpired():
                return f"Error: the process of {entry.name} died", "tool_crash"
        return f"Error: {type(error).__name__}: {error}", "tool_crash"

    async def _running(self, entry: Tool, arguments: Mapping[str, Json], images: Sequence[PIL.Image.Image]) -> ToolOutput:
        chosen = {name: value for name, value in arguments.items() if not (entry.takes_image and name == "img_idx")}
        chosen |= {**entry.settings, **self._settings.get(entry.name, {})}
        seen = (images[_image_index(arguments)],) if entry.takes_image else ()
        if entry.is_async or entry.ends_by_itself:
            output = entry.function(*seen, **chosen) if entry.is_async else await asyncio.to_thread(entry.function, *seen, **chosen)
            return await output if inspect.isawaitable(output) else output
        if self._pool is None:
            context = multiprocessing.get_context("forkserver")
            self._pool = ProcessPool(self._workers, initializer=_load, initargs=(self._origins,), context=context)
        future = self._pool.schedule(_call_named, args=(entry.origin, entry.name, seen, chosen), timeout=self._timeout_s)
        return await asyncio.wrap_future(future)


def not_shown(response: Response, reason: str) -> Response:
    """What is left of a response whose image the policy cannot take: a text that says so."""
    executed = response.executed and replace(response.executed, ok=False)
    return replace(response, message=_message(f"Error: the image cannot be shown: {reason}"), executed=executed, failure="tool_error")


def argument_error(entry: Tool, arguments: Mapping[str, Json], num_images: int) -> str | None:
    """Why the arguments do not fit the tool's schema, None where they do."""
    from jsonschema import Draft202012Validator

    for error in Draft202012Validator(dict(entry.parameters)).iter_errors(dict(arguments)):
        place = ".".join(str(part) for part in error.absolute_path)
        return f"{place}: {error.message}" if place else str(error.message)
    known = entry.parameters.get("properties")
    unknown = [name for name in arguments if isinstance(known, dict) and name not in known]
    if unknown:
        return f"{entry.name} has no argument {unknown[0]!r}; it has {', '.join(known) if isinstance(known, dict) else 'none'}"
    if entry.takes_image and not 0 <= _image_index(arguments) < num_images:
        return f"img_idx {arguments.get('img_idx')} names no image: there are {num_images}, counted from 0"
    return None


def _checked(entry: Tool, output: object) -> tuple[ToolOutput, Failure | None]:
    if isinstance(output, str | PIL.Image.Image):
        return output, None
    return f"Error: {entry.name} gave {type(output).__name__}, which is neither a text nor an image", "tool_crash"


def _has_own_timer(entry: Tool) -> bool:
    """Whether a worker process runs it, whose time starts when its turn has come."""
    return not (entry.is_async or entry.ends_by_itself)


def _image_index(arguments: Mapping[str, Json]) -> int:
    """The checked `img_idx`; -1 where it is no whole number."""
    index = arguments.get("img_idx")
    return int(index) if isinstance(index, (int, float)) and math.isfinite(index) and index == int(index) else -1


def _load(origins: Sequence[Origin]) -> None:
    for origin in origins:
        load_origin(origin)


def _call_named(origin: Origin, name: str, seen: Sequence[PIL.Image.Image], arguments: Mapping[str, Json]) -> ToolOutput:
    load_origin(origin)
    output = find(name).function(*seen, **arguments)
    assert not inspect.isawaitable(output)
    return output


def _refused(failure: Failure, reason: str) -> Response:
    return Response(_message(f"Error: {reason}"), None, failure, 0.0)


def _message(output: ToolOutput) -> Message:
    if isinstance(output, PIL.Image.Image):
        return Message("tool", (ImagePart(output.convert("RGB")),))
    return Message("tool", (TextPart(output if len(output) <= RESPONSE_CHARS else f"{output[:RESPONSE_CHARS]} ... (cut)"),))
