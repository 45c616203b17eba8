"""From the command line to the settings of a run.

    python -m rl.run config=reasoning_rl loop.steps=20 tasks.algebra.weight=2

`config` is a preset of `configs/` or a YAML file of one's own; every other argument overrides one key. A file may say `extends: name` and
then holds only what differs; what it extends may not extend another. Layers merge key by key: lists are replaced, and `null` removes an
entry of a mapping whose names the user chooses (`tasks.algebra=null`).
"""

import difflib
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from rl.config.error import ConfigError
from rl.config.existence import missing
from rl.config.keys import ROOT, KeyPath, Slot, as_yaml, nearest_keys, slot_at
from rl.config.layers import Layer, merged, place_of, read_command_line, read_yaml
from rl.config.presets import PRESETS, config_file
from rl.config.settings import RunSettings
from tasks.message import Json


def load(argv: Sequence[str], folder: Path = PRESETS) -> RunSettings:
    """The settings that the arguments ask for. Raises `ConfigError` with every mistake that was found."""
    layers = read_layers(argv, folder)
    if idle := [*_removing_nothing(layers)]:
        raise ConfigError(*idle)
    values = _without_removed(merged(*(layer.values for layer in layers)), ROOT)
    try:
        settings = RunSettings.model_validate_json(json.dumps(values), strict=True)
    except ValidationError as error:
        raise ConfigError(*_mistakes(error, values, layers)) from None
    absent = [(path, reason, place_of(path, layers)) for path, reason in missing(settings)]
    if absent:
        raise ConfigError(*(f"{place + ': ' if place else ''}{'.'.join(path)}: {reason}" for path, reason, place in absent))
    return settings


def read_layers(argv: Sequence[str], folder: Path = PRESETS) -> tuple[Layer, ...]:
    """The layers that `argv` names, the strongest last: what is extended, the config, the command line."""
    command_line = read_command_line(argv)
    config = command_line.values.get("config")
    if config is None:
        return (command_line,)
    if not isinstance(config, str):
        raise ConfigError(f"config={as_yaml(config)}: takes the name of a preset, or the path of a YAML file")
    return (*_read_config(config_file(config, folder), folder), command_line.without("config"))


def _read_config(path: Path, folder: Path) -> tuple[Layer, ...]:
    layer = read_yaml(path)
    parent = layer.values.get("extends")
    if parent is None:
        return (layer.without("extends"),)
    place = layer.places[("extends",)]
    if not isinstance(parent, str):
        raise ConfigError(f"{place}: extends takes the name of one preset, or the path of a YAML file, not {as_yaml(parent)}")
    try:
        extended = read_yaml(config_file(parent, folder, relative_to=path.parent))
    except ConfigError as error:
        raise ConfigError(*(f"{place}: extends: {mistake}" for mistake in error.mistakes)) from None
    if "extends" in extended.values:
        also = as_yaml(extended.values["extends"])
        raise ConfigError(
            f"{place}: {parent} itself extends {also}, and one level is all there is; extend {also} and copy the keys of {parent}"
        )
    return (extended, layer.without("extends"))


def _without_removed(values: dict[str, Json], slot: Slot) -> dict[str, Json]:
    """`values` without the nulls in mappings of the user's names: they stand for removed entries, unless null is a value there."""
    kept: dict[str, Json] = {}
    for name, value in values.items():
        inner = slot.step(name)
        if inner is None or not isinstance(value, dict):
            if value is not None or not slot.is_mapping or (inner is not None and inner.takes_null):
                kept[name] = value
        else:
            kept[name] = _without_removed(value, inner)
    return kept


def _removing_nothing(layers: Sequence[Layer]) -> Iterator[str]:
    """A sentence for each null that stands for a removed entry where the layers below have none of that name."""
    below: dict[str, Json] = {}
    for layer in layers:
        for path in _removals(layer.values, ROOT, ()):
            there: Json = below
            for name in path[:-1]:
                there = there.get(name) if isinstance(there, dict) else None
            names = [*there] if isinstance(there, dict) else []
            if path[-1] not in names:
                key, group = ".".join(path), ".".join(path[:-1])
                known = _did_you_mean(path, names) or (f"; {group} has {', '.join(names)}" if names else f"; {group} has no entries")
                yield f"{place_of(path, layers)}: {key}=null removes nothing: there is no {key}{known}"
        below = merged(below, layer.values)


def _removals(values: dict[str, Json], slot: Slot, path: KeyPath) -> Iterator[KeyPath]:
    for name, value in values.items():
        inner = slot.step(name)
        if isinstance(value, dict) and inner is not None:
            yield from _removals(value, inner, (*path, name))
        elif value is None and slot.is_mapping and not (inner is not None and inner.takes_null):
            yield (*path, name)


def _did_you_mean(path: KeyPath, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(path[-1], names, n=1)
    return f"; did you mean {'.'.join((*path[:-1], near[0]))}?" if near else ""


def _mistakes(error: ValidationError, values: dict[str, Json], layers: Sequence[Layer]) -> Iterator[str]:
    """One sentence for each key. Pydantic gives one error for each member of a union: the deepest says most."""
    by_key: dict[KeyPath, ErrorDetails] = {}
    for details in error.errors():
        by_key.setdefault(_key_of(details["loc"], values), details)
    for path, details in by_key.items():
        if not any(other[: len(path)] == path and other != path for other in by_key):
            yield _mistake(path, details, values, place_of(path, layers))


def _mistake(path: KeyPath, details: ErrorDetails, values: dict[str, Json], place: str) -> str:
    key, where = ".".join(path), f"{place}: " if place else ""
    if details["type"] == "extra_forbidden":
        near = nearest_keys(path)
        group = slot_at(path[:-1])
        known = f"the keys {'of ' + '.'.join(path[:-1]) if path[1:] else 'are'}: {', '.join(group.names() if group else ())}"
        return f"{where}unknown key {key}; " + (f"did you mean {' or '.join(near)}?" if near else known)
    if details["type"] == "value_error":
        return f"{where}{key + ': ' if key else ''}{details['msg'].removeprefix('Value error, ')}{_mistyped_task(path, values)}"
    slot = slot_at(path)
    assert slot is not None, path
    written: Json = values
    for name in path:
        written = written[name] if isinstance(written, dict) else written
    quoted = f"{written!r}" if isinstance(written, str) else as_yaml(written)
    return f"{where}{key} is {quoted}, but takes {slot.allowed()}"


def _mistyped_task(path: KeyPath, values: dict[str, Json]) -> str:
    """A task without an origin was meant to change another."""
    tasks = values.get("tasks")
    if len(path) != 2 or path[0] != "tasks" or not isinstance(tasks, dict):
        return ""
    task = tasks[path[1]]
    return "" if isinstance(task, dict) and {"family", "data"} & set(task) else _did_you_mean(path, [n for n in tasks if n != path[1]])


def _key_of(location: tuple[int | str, ...], values: dict[str, Json]) -> KeyPath:
    """The key in pydantic's location, which also holds list indices and the members of unions."""
    path: KeyPath = ()
    node: Json = values
    for part in location:
        if isinstance(node, dict) and isinstance(part, str) and part in node:
            path, node = (*path, part), node[part]
    return path
