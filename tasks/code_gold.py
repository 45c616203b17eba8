"""Targets of code problems, in the forms that public data sets have."""

import json
from collections.abc import Mapping, Sequence

from tasks.errors import RowError, short
from tasks.problem import CallTest, CodeTarget, StdinTest, Target
from tasks.structured_gold import from_json

FIELDS = frozenset({"tests", "setup", "function", "inputs", "outputs"})


def read_code(value: object, choices: tuple[str, ...]) -> Target:
    """Raises `RowError`. The column holds one of

    - test code: a text (HumanEval), or a list of texts that each are one test (MBPP);
    - a list of `{input, output}`;
    - `{inputs, outputs}`, with `fn_name` for calls (APPS, TACO), whose inputs are lists of arguments;
    - `{tests: any of these, function, setup}`. HumanEval's `test` and `entry_point` are known too.

    Objects and lists may be JSON text.
    """
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        value = from_json(value, "code tests")
    if not isinstance(value, Mapping):
        return _tests(value, "", "")
    fields = {_RENAMED.get(str(key), str(key)): inner for key, inner in value.items() if inner is not None}
    if unknown := set(fields) - FIELDS:
        raise RowError(f"code tests have {', '.join(sorted(FIELDS))}, not {', '.join(sorted(unknown))}")
    function, setup = fields.get("function", ""), fields.get("setup", "")
    if not isinstance(function, str) or not isinstance(setup, str):
        raise RowError(f"function and setup are texts, not {short(function)} and {short(setup)}")
    if "inputs" in fields:
        return _inputs_and_outputs(fields.get("inputs"), fields.get("outputs"), function, setup)
    tests = fields.get("tests")
    if function and isinstance(tests, str) and "def check(" in tests and f"check({function})" not in tests:
        tests = f"{tests}\n\ncheck({function})\n"
    return _tests(tests, function, setup)


_RENAMED = {"fn_name": "function", "entry_point": "function", "test": "tests", "test_list": "tests", "test_setup_code": "setup"}


def _tests(value: object, function: str, setup: str) -> Target:
    if isinstance(value, str):
        return CodeTarget(asserts=(_code(value),), function=function, setup=_code(setup))
    if isinstance(value, Sequence) and value:
        if all(isinstance(item, str) for item in value):
            return CodeTarget(asserts=tuple(map(_code, value)), function=function, setup=_code(setup))
        if all(isinstance(item, Mapping) and {"input", "output"} <= set(item) for item in value):
            return _inputs_and_outputs([item["input"] for item in value], [item["output"] for item in value], function, setup)
    raise RowError(f"code tests are test code or a list of {{input, output}}, not {short(value)}")


def _inputs_and_outputs(inputs: object, outputs: object, function: str, setup: str) -> Target:
    if not isinstance(inputs, list | tuple) or not isinstance(outputs, list | tuple) or len(inputs) != len(outputs) or not inputs:
        raise RowError(f"as many inputs as outputs, and at least one, not {short(inputs)} and {short(outputs)}")
    pairs = list(zip(inputs, outputs, strict=True))
    if not function:
        return CodeTarget(stdin_tests=tuple(StdinTest(_lines(stdin), _lines(stdout)) for stdin, stdout in pairs))
    # APPS wraps each result in a list. Where every one is a list of one, nothing tells a wrapped result from a list: both are right.
    wrapped = all(isinstance(output, list | tuple) and len(output) == 1 for output in outputs)
    calls = []
    for arguments, output in pairs:
        if not isinstance(arguments, list | tuple):
            raise RowError(f"an input of a function is the list of its arguments, not {short(arguments)}")
        calls.append(CallTest(_json(arguments), tuple(_json(result) for result in ([output[0], output] if wrapped else [output]))))
    return CodeTarget(calls=tuple(calls), function=function, setup=_code(setup))


def _lines(value: object) -> str:
    """A text, or a list of lines."""
    if isinstance(value, list | tuple) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        return str(value)
    raise RowError(f"what a program reads or prints is a text or a list of lines, not {short(value)}")


def _code(text: str) -> str:
    try:
        compile(text, "test", "exec")
    except (SyntaxError, ValueError) as error:
        raise RowError(f"test code {short(text)} is no Python: {error}") from error
    return text


def _json(value: object) -> str:
    try:
        return json.dumps(value)
    except TypeError as error:
        raise RowError(f"{short(value)} is no JSON") from error
