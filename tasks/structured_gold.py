"""Targets whose gold has a structure of its own: function calls and JSON schemas."""

import json
from collections.abc import Mapping, Sequence

from tasks.errors import RowError, short
from tasks.problem import ExpectedCall, FunctionCallTarget, JsonSchemaTarget, Target


def read_function_calls(value: object, choices: tuple[str, ...]) -> Target:
    """Calls as `{name, arguments}`, as OpenAI's `{function: {name, arguments}}`, or as BFCL's `{name: {argument: [values]}}`.

    One, a list, or `{calls, ordered, functions}`; any of it as JSON text. No call is the right answer where `calls` is empty. `functions`
    are declarations as BFCL and OpenAI write them: an argument that a function requires may not be left out, whatever the call says.
    Raises `RowError`.
    """
    value = from_json(value, "function calls")
    ordered, required = False, dict[str, frozenset[str]]()
    if isinstance(value, Mapping) and "calls" in value:
        if unknown := set(value) - {"calls", "ordered", "functions"}:
            raise RowError(f"function calls have calls, ordered and functions, not {', '.join(sorted(map(str, unknown)))}")
        ordered = bool(value.get("ordered"))
        required = dict(_required_arguments(declared) for declared in _entries(value.get("functions") or ()))
        value = from_json(value["calls"], "function calls")
    return FunctionCallTarget(tuple(_expected_call(entry, required) for entry in _entries(value)), ordered)


def read_json_schema(value: object, choices: tuple[str, ...]) -> Target:
    """A schema, or `{schema, value}` when one value alone is right; as objects or JSON text. Raises `RowError`."""
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for

    value = from_json(value, "a JSON schema")
    schema, gold = value, None
    if isinstance(value, Mapping) and "schema" in value and set(value) <= {"schema", "value"}:
        schema, gold = from_json(value["schema"], "a JSON schema"), _json_text(value["value"]) if "value" in value else None
    schema = dict(schema) if isinstance(schema, Mapping) else schema
    if not isinstance(schema, dict | bool):
        raise RowError(f"a JSON schema is an object, not {short(schema)}")
    try:
        validator_for(schema, default=Draft202012Validator).check_schema(schema)  # type: ignore[arg-type]
    except SchemaError as error:
        raise RowError(f"no JSON schema: {error.message}") from error
    return JsonSchemaTarget(_json_text(schema), gold)


def from_json(value: object, what: str) -> object:
    """The value, read if it is JSON text."""
    if not isinstance(value, str):
        return value
    try:
        result: object = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{what}: {short(value)} is no JSON") from error
    return result


def _entries(value: object) -> Sequence[object]:
    """One object or a list of them, each without OpenAI's wrapping."""
    entries = [value] if isinstance(value, Mapping) else from_json(value, "function calls")
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise RowError(f"function calls are a list of {{name, arguments}}, not {short(value)}")
    return [inner if isinstance(entry, Mapping) and isinstance(inner := entry.get("function"), Mapping) else entry for entry in entries]


def _required_arguments(declared: object) -> tuple[str, frozenset[str]]:
    if not isinstance(declared, Mapping) or not isinstance(name := declared.get("name"), str):
        raise RowError(f"a function is {{name, parameters}}, not {short(declared)}")
    parameters = declared.get("parameters")
    return name, frozenset(parameters.get("required") or () if isinstance(parameters, Mapping) else ())


def _expected_call(entry: object, required: Mapping[str, frozenset[str]]) -> ExpectedCall:
    if not isinstance(entry, Mapping):
        raise RowError(f"a call is {{name, arguments}}, not {short(entry)}")
    if isinstance(name := entry.get("name"), str) and set(entry) <= {"name", "arguments", "id", "type"}:
        arguments = from_json(entry.get("arguments") or {}, f"arguments of {name}")
        if not isinstance(arguments, Mapping):
            raise RowError(f"arguments of {name} are an object, not {short(arguments)}")
        return ExpectedCall(name, _json_text(arguments))
    if len(entry) == 1:
        (name, arguments), *_ = entry.items()
        if isinstance(name, str) and isinstance(arguments, Mapping) and all(isinstance(values, list) for values in arguments.values()):
            needed = required.get(name, frozenset())
            return ExpectedCall(name, _json_text({key: _any_of(values, needed=key in needed) for key, values in arguments.items()}))
    raise RowError(f"a call is {{name, arguments}}, not {short(entry)}")


def _any_of(values: list[object], *, needed: bool = False) -> dict[str, object]:
    """BFCL lists the right values of an argument; `""` among them says that it may be left out. So inside objects too.

    Beside other texts it is one that may be given; beside numbers and lists it has the wrong type.
    """
    given = [value for value in values if value != ""]
    right = values if not given or any(isinstance(value, str) for value in given) else given
    return {"$any_of": [_nested(value) for value in right], "$optional": "" in values and not needed}


def _nested(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: _any_of(inner) if isinstance(inner, list) else inner for key, inner in value.items()}
    return [_nested(item) for item in value] if isinstance(value, list) else value


def _json_text(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise RowError(f"{short(value)} is no JSON: {error}") from error
