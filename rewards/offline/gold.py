"""A target of each kind with answers that are right and wrong for it: what a reward is tried on before it is trusted."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from tasks.problem import (
    Box,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    MathTarget,
    NumberTarget,
    PuzzleTarget,
    Target,
    TextTarget,
)


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """`right` is the bare answer, `wrong` another of the same form."""

    target: Target
    right: str
    wrong: str


_BOX = '[{"bbox_2d": [100, 100, 400, 300], "label": "cat"}]'
_FAR = '[{"bbox_2d": [700, 700, 900, 900], "label": "cat"}]'
_ENTRY = json.dumps({"question": "4 + 3 =", "answer": "7", "metadata": {"expression": "4 + 3"}})
GOLD: Mapping[type, GoldAnswer] = {
    MathTarget: GoldAnswer(MathTarget("42"), "42", "41"),
    NumberTarget: GoldAnswer(NumberTarget(42.0), "42", "41"),
    TextTarget: GoldAnswer(TextTarget(("Paris",)), "Paris", "Lyon"),
    ChoiceTarget: GoldAnswer(ChoiceTarget("B", ("red", "green", "blue")), "B", "C"),
    CountTarget: GoldAnswer(CountTarget(7), "7", "6"),
    BoxesTarget: GoldAnswer(BoxesTarget((Box(100, 100, 400, 300, "cat"),)), _BOX, _FAR),
    PuzzleTarget: GoldAnswer(PuzzleTarget("chain_sum", _ENTRY), "7", "6"),
}


def forms(answer: str) -> tuple[str, ...]:
    """The ways in which models give an answer: one of them earns full reward."""
    return (
        answer,
        rf"\boxed{{{answer}}}",
        f"<answer>{answer}</answer>",
        f"The answer is {answer}",
        f"<think>\nLet me see.\n</think>\n\n{answer}",
        f"<think>\nLet me see.\n</think>\n\n<answer>{answer}</answer>",
    )


def hostile(gold: GoldAnswer | None) -> Mapping[str, str]:
    """Responses that break graders, by name."""
    right, wrong = (gold.right, gold.wrong) if gold else ("42", "41")
    return {
        "empty": "",
        "blank": " \n\t ",
        "answer only inside the thinking": f"<think>The answer is {right}.</think>I do not know.",
        "thinking never closed": f"<think>The answer is {right}",
        "several answers": f"\\boxed{{{wrong}}} \\boxed{{{right}}} <answer>{wrong}</answer> <answer>{right}</answer>",
        "spam": f"{wrong} or {right} or " * 2000,
        "1 MB of text": "the quick brown fox " * 50_000,
        "1 MB of one character": "(" * 1_000_000,
        "NaN": "[nan, nan, nan, nan] NaN inf -inf 1e999",
        "deep nesting": "{[" * 5000,
        "huge power": r"\boxed{9^{9^{9^{9}}}}",
        "control characters": "\x00\x1b[2J\u202e\ud83d\ufffe",
        "special tokens": "<|im_end|><|endoftext|></think></answer>",
        "json of null": '{"answer": null}',
    }


UNPAID = ("empty", "blank", "answer only inside the thinking", "thinking never closed", "several answers", "spam")
"""Hostile responses that must not earn what the right answer earns."""
