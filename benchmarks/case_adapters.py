"""Rows of labelled case files as calls of our rewards: one small function for each file, by the file's name."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from rewards.isolation import Call
from rewards.transcript import Transcript
from tasks.message import Message, ToolCall, text_message
from tasks.problem import (
    Box,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    ExpectedCall,
    FunctionCallTarget,
    MathTarget,
    PuzzleTarget,
    Target,
)

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled answer. `expected` is the reward that it must get, within `tolerance`; `group` is its row in the table."""

    name: str
    group: str
    reward: str
    target: Target
    response: Message
    expected: float
    prompt: str = ""
    tolerance: float = 0.05

    @property
    def call(self) -> Call:
        return self.reward, self.target, Transcript((text_message("user", self.prompt),), (self.response,))


def cases_of(name: str, rows: list[Row]) -> list[Case]:
    """The cases of a file; none for a file that no adapter reads. Rows without an expected verdict are left out."""
    adapter = ADAPTERS.get(name)
    return [case for row in rows if row["expected"] is not None for case in adapter(row)] if adapter else []


def _math(group: str) -> Callable[[Row], Iterator[Case]]:
    """A bare answer is graded twice: in a box, and as it is."""

    def adapt(row: Row) -> Iterator[Case]:
        forms = {group: row["pred"]}
        if row["form"] == "answer":
            forms = {f"{group}, boxed": rf"\boxed{{{row['pred']}}}", f"{group}, bare": row["pred"]}
        elif group == "math":
            forms = {f"{group}, boxed": row["pred"]}
        for name, text in forms.items():
            yield Case(row["id"], name, "math", MathTarget(row["gold"]), text_message("assistant", text), float(row["expected"]))

    return adapt


def _logic(row: Row) -> Iterator[Case]:
    """By verdict: partial credit is off."""
    entry = {"question": row["question"], "answer": row["gold"], "metadata": row.get("metadata", {})}
    target = PuzzleTarget(row["source"], json.dumps(entry))
    yield Case(row["id"], "logic", "puzzle", target, text_message("assistant", row["response"]), float(row["expected"] >= 1.0))


def _visual(row: Row) -> Iterator[Case]:
    response = text_message("assistant", row["response"])
    yield Case(row["id"], "visual", "boxes", _boxes(row["gold"]), response, row["expected"], tolerance=1e-4)


def _toolcall(row: Row) -> Iterator[Case]:
    """An argument that the function requires may not be left out, whatever the gold call says."""
    required = {function["name"]: set(function["parameters"].get("required", ())) for function in row["functions"]}
    gold = tuple(
        ExpectedCall(name, json.dumps({key: _any_of(choices, required=key in required[name]) for key, choices in arguments.items()}))
        for call in row["gold"]
        for name, arguments in call.items()
    )
    calls = tuple(ToolCall(call["name"], call["arguments"]) for call in row["response"])
    yield Case(row["id"], "toolcall", "function_call", FunctionCallTarget(gold), Message("assistant", (), calls), float(row["expected"]))


def _any_of(choices: list[Any], *, required: bool = False) -> Mapping[str, Any]:
    """The Berkeley leaderboard's list of right values, in which an empty text says that the argument may be left out."""
    values = [{k: _any_of(v) for k, v in choice.items()} if isinstance(choice, dict) else choice for choice in choices if choice != ""]
    return {"$any_of": values, "$optional": "" in choices and not required}


def _adversarial(row: Row) -> Iterator[Case]:
    kind, gold = row["kind"].split(".")[0], row["gold"]
    make = _ADVERSARIAL.get(kind)
    if make:
        reward, target = make(row, gold)
        response = text_message("assistant", row["response"])
        yield Case(row["kind"], f"adversarial, {kind}", reward, target, response, float(row["expected"]), row["prompt"])


_ADVERSARIAL: Mapping[str, Callable[[Row, Any], tuple[str, Target]]] = {
    "math": lambda row, gold: ("math", MathTarget(str(gold))),
    "visual": lambda row, gold: ("boxes", _boxes(gold)),
    "count": lambda row, gold: ("count", CountTarget(int(gold))),
    "mcq": lambda row, gold: ("choice", ChoiceTarget(gold, _options(row["prompt"]))),
    "format": lambda row, gold: ("format", MathTarget(str(gold))),
}


def _options(prompt: str) -> tuple[str, ...]:
    """The texts after `A.`, `B)`, ... in a prompt."""
    return tuple(text.strip() for text in re.findall(r"(?:^|\s)\(?[A-Z][.):]\s*(.+?)(?=\s+\(?[A-Z][.):]\s|\n|$)", prompt))


def _boxes(gold: list[Row]) -> BoxesTarget:
    return BoxesTarget(tuple(Box(*item["bbox_2d"], label=item.get("label", "")) for item in gold))


ADAPTERS: Mapping[str, Callable[[Row], Iterator[Case]]] = {
    "math": _math("math"),
    "math_meta": _math("math_meta"),
    "math_adv": _math("math_adv"),
    "logic": _logic,
    "visual": _visual,
    "toolcall": _toolcall,
    "adversarial": _adversarial,
}
