"""An answer in JSON: against a schema, and against a value where there is one."""

import json

from rewards.answer import final_answer
from rewards.json_answer import NotJsonError, one_json_value, same_json
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import JsonSchemaTarget


@reward("json_schema", target=JsonSchemaTarget)
def grade_json_schema(target: JsonSchemaTarget, transcript: Transcript) -> Grade:
    """1 if the final answer is JSON that the schema accepts and, where the target has a value, that is this value.

    The JSON is the whole answer or its one fenced block. It is read strictly: no NaN, no key twice, nothing repaired. `format` is checked
    (dates, addresses, ...); a `$ref` to another document is never fetched. Drafts by `$schema`, 2020-12 without one.
    """
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing.jsonschema import EMPTY_REGISTRY

    answer = final_answer(transcript.final_text)
    try:
        value = one_json_value(answer)
    except NotJsonError:
        return Grade(0.0, False, None, {"json": 0.0, "valid": 0.0, "value": 0.0})
    schema = json.loads(target.schema)
    kind = validator_for(schema, default=Draft202012Validator)
    valid = kind(schema, registry=EMPTY_REGISTRY, format_checker=kind.FORMAT_CHECKER).is_valid(value)
    same = target.value is None or same_json(json.loads(target.value), value)
    right = valid and same
    return Grade(float(right), right, json.dumps(value, ensure_ascii=False), {"json": 1.0, "valid": float(valid), "value": float(same)})
