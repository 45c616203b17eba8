"""Function calls: names and arguments against the gold calls."""

import json
import re
import unicodedata
from collections.abc import Sequence

from rewards.json_answer import same_json
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.tool_calls import MalformedCallError, asked_calls, executed_calls
from rewards.transcript import Transcript
from tasks.message import Json, ToolCall
from tasks.problem import ExpectedCall, FunctionCallTarget


@reward("function_call", target=FunctionCallTarget, version="2")
def grade_function_call(
    target: FunctionCallTarget, transcript: Transcript, *, partial: bool = False, executed: bool = False, ignore_case: bool = True
) -> Grade:
    """1 if the calls are the gold calls, each once: no call, argument or value too many or missing. In any order unless the target says so.

    With `partial`, 2 * matched / (calls + gold calls). With `executed`, the calls that ran without error count, not those asked for.
    Numbers are equal by value (5 is 5.0), never to texts or booleans; texts after NFKC with blanks collapsed and none beside commas
    and, with `ignore_case`, in any case; lists in order; objects key by key. Arguments as JSON text are read. A malformed call makes
    all of them wrong.
    """
    try:
        calls = executed_calls(transcript) if executed else asked_calls(transcript)
    except MalformedCallError as error:
        return Grade(0.0, False, str(error), {"precision": 0.0, "recall": 0.0, "malformed": 1.0})
    shown = json.dumps([[call.name, dict(call.arguments)] for call in calls], ensure_ascii=False)
    matched = num_matched(target, calls, ignore_case)
    right = matched == len(target.calls) == len(calls)
    precision = matched / len(calls) if calls else float(right)
    recall = matched / len(target.calls) if target.calls else float(right)
    parts = {"precision": precision, "recall": recall, "malformed": 0.0}
    some = 2 * matched / (len(calls) + len(target.calls)) if calls or target.calls else 1.0
    return Grade(some if partial else float(right), right, shown, parts)


def num_matched(target: FunctionCallTarget, calls: Sequence[ToolCall], ignore_case: bool) -> int:
    """The size of the largest one-to-one matching; with `ordered`, how many of the gold calls stand at their own place."""
    if not calls or not target.calls:
        return 0
    if target.ordered:
        return sum(call_fits(gold, call, ignore_case) for gold, call in zip(target.calls, calls, strict=False))
    from scipy.optimize import linear_sum_assignment

    table = [[call_fits(gold, call, ignore_case) for call in calls] for gold in target.calls]
    rows, columns = linear_sum_assignment(table, maximize=True)
    return sum(table[row][column] for row, column in zip(rows, columns, strict=True))


def call_fits(gold: ExpectedCall, call: ToolCall, ignore_case: bool) -> bool:
    return gold.name == call.name and fits(json.loads(gold.arguments), dict(call.arguments), ignore_case)


def fits(gold: Json, value: Json, ignore_case: bool) -> bool:
    """Whether a value is the gold one, or one of those in a `{"$any_of": [...]}`."""
    if isinstance(gold, dict) and isinstance(choices := gold.get("$any_of"), list):
        return any(fits(choice, value, ignore_case) for choice in choices)
    if isinstance(gold, dict) and isinstance(value, dict):
        required = {key for key, inner in gold.items() if not _is_optional(inner)}
        return required <= value.keys() <= gold.keys() and all(fits(gold[key], inner, ignore_case) for key, inner in value.items())
    if isinstance(gold, list) and isinstance(value, list):
        return len(gold) == len(value) and all(fits(a, b, ignore_case) for a, b in zip(gold, value, strict=True))
    if isinstance(gold, str) and isinstance(value, str):
        return _normal(gold, ignore_case) == _normal(value, ignore_case)
    return same_json(gold, value)


def _is_optional(gold: Json) -> bool:
    return isinstance(gold, dict) and "$any_of" in gold and gold.get("$optional") is True


def _normal(text: str, ignore_case: bool) -> str:
    text = re.sub(r" ?, ?", ",", " ".join(unicodedata.normalize("NFKC", text).split()))
    return text.casefold() if ignore_case else text
