"""Every key of the settings, read off their types: what it takes, its default, and what it does.

A path is a tuple of names, `("loop", "steps")`; where the user chooses the name (`tasks`, `options`), a known path holds `<name>`.
"""

import difflib
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, Union, get_args, get_origin

import annotated_types
from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from rl.config.settings import RunSettings

KeyPath: TypeAlias = tuple[str, ...]
NAME = "<name>"
_PLAIN = {bool: "true or false", int: "a whole number", float: "a number", str: "text", Path: "a path", type(None): "null"}


@dataclass(frozen=True, slots=True)
class Key:
    path: KeyPath
    allowed: str
    default: str
    description: str


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in the settings: its annotation, and what `Annotated` and `Field` add to it."""

    annotation: object
    constraints: tuple[object, ...] = ()

    def alternatives(self) -> tuple["Slot", ...]:
        """One slot for each member of a union, `Annotated` unwrapped."""
        if get_origin(self.annotation) is Annotated:
            inner, *extra = get_args(self.annotation)
            flat = tuple(c for e in extra for c in (e.metadata if isinstance(e, FieldInfo) else [e]))
            return Slot(inner, self.constraints + flat).alternatives()
        if get_origin(self.annotation) in (Union, types.UnionType):
            return tuple(a for member in get_args(self.annotation) for a in Slot(member, self.constraints).alternatives())
        return (self,)

    @property
    def model(self) -> type[BaseModel] | None:
        kind = self.annotation
        return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None

    @property
    def is_mapping(self) -> bool:
        """True for a mapping whose names the user chooses."""
        return any(get_origin(a.annotation) is dict for a in self.alternatives())

    @property
    def takes_null(self) -> bool:
        return any(a.annotation is type(None) for a in self.alternatives())

    def step(self, name: str) -> "Slot | None":
        """The slot of `name` within this one, None when there is no such key."""
        for alternative in self.alternatives():
            if alternative.model is not None and name in alternative.model.model_fields:
                field = alternative.model.model_fields[name]
                return Slot(field.annotation, tuple(field.metadata))
            if get_origin(alternative.annotation) is dict:
                return Slot(get_args(alternative.annotation)[1])
        return None

    def names(self) -> tuple[str, ...]:
        """The keys within this slot; empty for a value and for a mapping of the user's own names."""
        return tuple(name for a in self.alternatives() if a.model is not None for name in a.model.model_fields)

    def allowed(self) -> str:
        """What a value may be, in words."""
        texts = [_allowed(alternative) for alternative in self.alternatives()]
        return " or ".join(dict.fromkeys(texts))


ROOT = Slot(RunSettings)


def slot_at(path: KeyPath) -> Slot | None:
    """The slot of a key, None when there is no such key."""
    slot: Slot | None = ROOT
    for name in path:
        slot = slot.step(name) if slot else None
    return slot


def known_keys() -> tuple[Key, ...]:
    """All keys that hold a value, in the order of the settings."""
    return tuple(_keys(RunSettings, RunSettings.model_construct(), ()))


def nearest_keys(path: KeyPath) -> tuple[str, ...]:
    """The known keys, groups included, that a mistyped one may have meant: none, one, or a few that are equally near."""
    wrong = ".".join(path)
    scores: dict[str, float] = {}
    for known in _all_paths():
        named = ".".join(mine if name == NAME else name for name, mine in zip(known, path + (NAME,) * len(known), strict=False))
        whole = difflib.SequenceMatcher(None, wrong, named).ratio()
        last = difflib.SequenceMatcher(None, path[-1], named.rpartition(".")[2]).ratio()
        scores[named] = (whole + last) / 2
    best = max(scores.values())
    near = [named for named, score in scores.items() if score >= max(0.5, best - 0.02)]
    return tuple(sorted(near, key=lambda named: -scores[named])[:3])


def _all_paths() -> Iterator[KeyPath]:
    seen: dict[KeyPath, None] = {}
    for key in known_keys():
        for length in range(1, len(key.path) + 1):
            seen.setdefault(key.path[:length])
    return iter(path for path in seen if path[-1] != NAME)


def _keys(model: type[BaseModel], defaults: BaseModel | None, path: KeyPath) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        here = (*path, name)
        default = getattr(defaults, name) if defaults is not None else field.default
        slot = Slot(field.annotation, tuple(field.metadata))
        inner = slot.step(NAME) if slot.is_mapping else slot
        group = next((a.model for a in inner.alternatives() if a.model is not None), None) if inner else None
        if group is None:
            yield Key(here, slot.allowed(), as_yaml(default), field.description or "")
        else:
            below = (*here, NAME) if slot.is_mapping else here
            yield from _keys(group, default if isinstance(default, BaseModel) else None, below)


def as_yaml(value: object) -> str:
    """A value as one would write it after `key=`."""
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case list() | tuple():
            return f"[{', '.join(map(as_yaml, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {as_yaml(inner)}" for key, inner in value.items()) + "}"
        case _:
            return str(value)


def _allowed(slot: Slot) -> str:
    origin, args = get_origin(slot.annotation), get_args(slot.annotation)
    if slot.model is not None:
        return f"a group of keys ({', '.join(slot.names())})"
    if origin is Literal:
        choices = [as_yaml(choice) for choice in args]
        return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
    if origin is dict:
        return f"a mapping {{name: {Slot(args[1]).allowed()}}}"
    if origin is tuple:
        if args[-1] is Ellipsis:
            return f"a list [{Slot(args[0]).allowed()}, ...]"
        return f"a list [{', '.join(Slot(arg).allowed() for arg in args)}]"
    if slot.annotation is JsonValue:
        return "any value"
    assert isinstance(slot.annotation, type), slot.annotation
    return _PLAIN[slot.annotation] + _range(slot.constraints)


def _range(constraints: tuple[object, ...]) -> str:
    low = next((f"at least {c.ge}" for c in constraints if isinstance(c, annotated_types.Ge)), "")
    above = next((f"above {c.gt}" for c in constraints if isinstance(c, annotated_types.Gt)), "")
    high = next((f"at most {c.le}" for c in constraints if isinstance(c, annotated_types.Le)), "")
    below = next((f"below {c.lt}" for c in constraints if isinstance(c, annotated_types.Lt)), "")
    if low and below:
        text = f" of {low} and {below}"
    elif low and high:
        text = f" from {low.removeprefix('at least ')} to {high.removeprefix('at most ')}"
    elif above:
        text = f" {above}"
    else:
        text = f" of {low or high}" if low or high else ""
    return text.replace(".0", "")
