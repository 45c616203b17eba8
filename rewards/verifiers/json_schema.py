"""An answer in JSON: against a schema, and against a value where there is one."""

import json
import re
from datetime import datetime
from functools import partial

from rewards.answer import final_answer
from rewards.json_answer import NotJsonError, one_json_value, same_json
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import JsonSchemaTarget

_DATE, _TIME = r"\d{4}-\d{2}-\d{2}", r"\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:\d{2})"
_DURATION_TIME = r"T(?=\d)(?:\d+H)?(?:\d+M)?(?:\d+S)?"
_LABEL = r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)"
_FORMATS = {
    "date-time": re.compile(rf"{_DATE}[Tt]{_TIME}", re.IGNORECASE),
    "time": re.compile(_TIME, re.IGNORECASE),
    "duration": re.compile(rf"P(?=[\dT])(?:\d+W|(?:\d+Y)?(?:\d+M)?(?:\d+D)?(?:{_DURATION_TIME})?)"),
    "hostname": re.compile(rf"(?=.{{1,253}}$){_LABEL}(?:\.{_LABEL})*"),
    "uri": re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[!#$&-;=?-Z_a-z~\[\]]|%[0-9A-Fa-f]{2})*"),
}
"""Those that jsonschema checks only with further packages."""


@reward("json_schema", target=JsonSchemaTarget, version="2")
def grade_json_schema(target: JsonSchemaTarget, transcript: Transcript) -> Grade:
    """1 if the final answer is JSON that the schema accepts and, where the target has a value, that is this value.

    The JSON is the whole answer or its one fenced block. It is read strictly: no NaN, no key twice, nothing repaired. `format` is checked
    (dates, addresses, ...); a `$ref` to another document is never fetched. Drafts by `$schema`, 2020-12 without one.
    """
    from jsonschema import FormatChecker
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    answer = final_answer(transcript.final_text)
    try:
        value = one_json_value(answer)
    except NotJsonError:
        return Grade(0.0, False, None, {"json": 0.0, "valid": 0.0, "value": 0.0})
    schema = json.loads(target.schema)
    kind = validator_for(schema, default=Draft202012Validator)
    checker = FormatChecker()
    checker.checkers = {**kind.FORMAT_CHECKER.checkers}
    for name in _FORMATS:
        checker.checks(name)(partial(_has_format, name))
    valid = kind(schema, registry=EMPTY_REGISTRY, format_checker=checker).is_valid(value)
    same = target.value is None or same_json(json.loads(target.value), value)
    right = valid and same
    return Grade(float(right), right, json.dumps(value, ensure_ascii=False), {"json": 1.0, "valid": float(valid), "value": float(same)})


def _has_format(name: str, value: object) -> bool:
    if not isinstance(value, str):
        return True
    if not _FORMATS[name].fullmatch(value):
        return False
    if name not in ("date-time", "time"):
        return True
    try:
        datetime.fromisoformat((value if name == "date-time" else f"2000-01-01T{value}").upper().replace(":60Z", ":59Z"))
    except ValueError:
        return False
    return True
