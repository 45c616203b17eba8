"""Targets with their kind, as records keep them, and the kind that a reward asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from rewards.mixture import RewardSpec
from rewards.registry import Reward
from tasks.errors import RowError, nearest
from tasks.gold import TARGET_KINDS
from tasks.message import Json
from tasks.problem import Target

_KINDS: Mapping[str, type] = {kind.kind: kind for kind in get_args(Target)}


def stored_target(target: Target) -> dict[str, Json]:
    """`{"kind": ..., field: value, ...}`, which `read_stored_target` reads without loss."""
    return {"kind": target.kind, **asdict(target)}


def read_stored_target(fields: Mapping[str, object]) -> Target:
    """Raises `RowError` for a kind that there is not, or fields that it does not have."""
    kind = str(fields.get("kind"))
    if kind not in _KINDS:
        raise RowError(f"unknown kind of target {kind!r}; {nearest(kind, _KINDS)}")
    try:
        target: Target = TypeAdapter(_KINDS[kind]).validate_python({name: value for name, value in fields.items() if name != "kind"})
    except ValidationError as error:
        details = error.errors()[0]
        raise RowError(f"target of kind {kind!r}: {'.'.join(map(str, details['loc']))}: {details['msg']}") from error
    return target


def target_kind(spec: RewardSpec, entries: Sequence[Reward]) -> str | None:
    """The kind of gold that the first component with a target grades; None where none has. Raises `RowError` when that leaves a choice."""
    for component, entry in zip(spec.components, entries, strict=True):
        if entry.targets:
            kinds = [kind.kind for kind in entry.targets if kind.kind in TARGET_KINDS]  # type: ignore[attr-defined]
            if len(kinds) == 1:
                return str(kinds[0])
            takes = " or ".join(f"target={kind}" for kind in kinds) or "a target column of {kind: ..., ...}"
            raise RowError(f"reward {component.reward!r} grades several kinds of target: say which, {takes}")
    return None
