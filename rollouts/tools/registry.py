"""The one table of tools: every tool by name, with the schema that the model is shown.

A tool is one decorated function:

    @tool("crosshair", "Marks a point of an image.", parameters={"type": "object", "properties": {...}, "required": ["img_idx", "x", "y"]})
    def crosshair(image: PIL.Image.Image, *, x: float, y: float) -> PIL.Image.Image:
        ...

Keyword-only: the arguments of the call, which have been checked against `parameters`; further ones, with defaults, are settings of the
run. A positional parameter `image` makes it a tool on one image: the call's argument `img_idx` then chooses among all images of the
conversation, those that tools returned included, and is not passed on. It returns a text or an image, and raises `ToolError` with what the
model should read. It may be async.
"""

import importlib
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import PIL.Image

from tasks.errors import nearest
from tasks.message import Json
from tasks.plugins import Origin, PluginError, find_origin, load_origin, origin_of

ToolOutput: TypeAlias = str | PIL.Image.Image
ToolFn: TypeAlias = Callable[..., ToolOutput | Awaitable[ToolOutput]]
F = TypeVar("F", bound=ToolFn)

BUILT_IN: Mapping[str, str] = {
    "image_zoom_in_tool": "rollouts.tools.zoom",
    "image_rotate_tool": "rollouts.tools.rotate",
    "python_calculator_tool": "rollouts.tools.calculator",
}
"""Tools of this package by module, loaded when first asked for."""


class ToolError(ValueError):
    """What a tool tells the model instead of a result."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A registered tool. `settings` are the run's, with their defaults. `ends_by_itself`: a thread, which nobody can kill, will do."""

    name: str
    description: str
    parameters: Mapping[str, Json]
    function: ToolFn
    takes_image: bool
    settings: Mapping[str, Json]
    ends_by_itself: bool
    origin: Origin

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.function)

    @property
    def schema(self) -> dict[str, Json]:
        """As chat templates and OpenAI's interface take it."""
        function: dict[str, Json] = {"name": self.name, "description": self.description, "parameters": dict(self.parameters)}
        return {"type": "function", "function": function}


_tools: dict[str, Tool] = {}


def tool(name: str, description: str, *, parameters: Mapping[str, Json], ends_by_itself: bool = False) -> Callable[[F], F]:
    """Registers the function under `name` and returns it unchanged; `parameters` is the JSON schema of the arguments."""

    def register(function: F) -> F:
        takes_image, settings = _signature(name, function, parameters)
        entry = Tool(name, description, parameters, function, takes_image, settings, ends_by_itself, origin_of(function))
        known = _tools.get(name)
        if (known and known.origin != entry.origin) or (name in BUILT_IN and entry.origin.module != BUILT_IN[name]):
            other = known.origin if known else BUILT_IN[name]
            raise PluginError(f"two tools are called {name!r}: in {other} and in {entry.origin}; rename one")
        _tools[name] = entry
        return function

    return register


def find(name: str) -> Tool:
    """The tool of that name. Raises `PluginError` with the nearest one."""
    if name not in _tools and name in BUILT_IN:
        importlib.import_module(BUILT_IN[name])
    if name not in _tools:
        raise PluginError(f"unknown tool {name!r}; {nearest(name, {*_tools, *BUILT_IN})}")
    return _tools[name]


def check_settings(entry: Tool, settings: Mapping[str, Json]) -> None:
    """Raises `PluginError` for a setting that the tool does not have."""
    for name in settings:
        if name not in entry.settings:
            raise PluginError(f"tool {entry.name!r} has no setting {name!r}; it has {', '.join(entry.settings) or 'none'}")


def load_plugin(place: str) -> Origin:
    """Imports `path/to/file.py` or `package.module`, which registers its tools. Raises `PluginError`."""
    origin = find_origin(place)
    load_origin(origin)
    inside = f"{origin.module}."
    if not any(entry.origin == origin or (not origin.path and entry.origin.module.startswith(inside)) for entry in _tools.values()):
        raise PluginError(f"plug-in {place}: registers no tool; decorate a function with @tool(name, description, parameters=...)")
    return origin


def _signature(name: str, function: ToolFn, schema: Mapping[str, Json]) -> tuple[bool, Mapping[str, Json]]:
    """Whether it takes an image, and its settings: the keyword-only parameters that the schema does not have."""
    properties = schema.get("properties")
    arguments = set(properties) if isinstance(properties, dict) else set()
    parameters = inspect.signature(function).parameters.values()
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if positional not in ([], ["image"]):
        raise PluginError(f"tool {name!r}: positional parameters {positional}; there may be one, `image`, and arguments come after *")
    if positional and "img_idx" not in arguments:
        raise PluginError(f"tool {name!r} takes an image, but its schema has no `img_idx` to choose it by")
    settings = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY and p.name not in arguments}
    for setting, default in settings.items():
        if default is inspect.Parameter.empty:
            raise PluginError(f"tool {name!r}: {setting} is neither in the schema nor does it have a default")
    return bool(positional), settings
