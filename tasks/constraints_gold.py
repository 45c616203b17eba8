"""Constraint targets, as IFEval's files and ours write them."""

import json
from collections.abc import Mapping

from tasks.errors import RowError, short
from tasks.instructions import check_arguments
from tasks.problem import Constraint, ConstraintsTarget, Target
from tasks.structured_gold import from_json


def read_constraints(value: object, choices: tuple[str, ...]) -> Target:
    """One instruction or a list of them, as text (its id) or as `{id, arguments}`; or `{instruction_id_list, kwargs}` as in IFEval.

    `instruction_id` and `kwargs` are read as `id` and `arguments`. Any of it may be JSON text. Raises `RowError` with the nearest known id.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        value = from_json(value, "constraints")
    if isinstance(value, Mapping) and "instruction_id_list" in value:
        value = _pairs(value["instruction_id_list"], value.get("kwargs"))
    entries = value if isinstance(value, list | tuple) else [value]
    if not entries:
        raise RowError("constraints are at least one instruction: with none, every answer would be right")
    return ConstraintsTarget(tuple(_constraint(entry) for entry in entries))


def _pairs(ids: object, arguments: object) -> list[object]:
    if not isinstance(ids, list) or not isinstance(arguments, list) or len(ids) != len(arguments):
        raise RowError("instruction_id_list and kwargs are lists of the same length")
    return [{"id": instruction, "arguments": given} for instruction, given in zip(ids, arguments, strict=True)]


def _constraint(entry: object) -> Constraint:
    if isinstance(entry, str):
        entry = {"id": entry}
    names = {"id", "instruction_id", "arguments", "kwargs"}
    if not isinstance(entry, Mapping) or not set(entry) <= names:
        raise RowError(f"a constraint is an instruction's id or {{id, arguments}}, not {short(entry)}")
    instruction = entry.get("id", entry.get("instruction_id"))
    arguments = entry.get("arguments", entry.get("kwargs")) or {}
    if not isinstance(instruction, str) or not isinstance(arguments, Mapping):
        raise RowError(f"a constraint has an id (a text) and arguments (an object), not {short(entry)}")
    return Constraint(instruction, json.dumps(check_arguments(instruction, arguments), ensure_ascii=False, sort_keys=True))
