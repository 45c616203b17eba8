"""Multi-turn reasoning by rules: what can be said of a trajectory without a judge. It sees the form of the reasoning, not its truth."""

import json
from itertools import pairwise

from rewards.answer import final_answer, split_response
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.message import Message
from tasks.problem import Target


@reward("turn_rubric", target="any")
def grade_by_turn_rubric(target: Target, transcript: Transcript) -> Grade:
    """The share, in [0, 1], of five rules that the trajectory keeps; each is a part.

    `thinks`: every turn thinks before it acts or answers. `follows_up`: the thinking after a tool's response is not the one before it.
    `no_repeats`: no call asks for what an earlier one asked for. `no_errors`: every call ran, and no tool refused. `answers`: it ends by
    itself, with an answer. The judge (`judge` with the template `trajectory`) grades the same axis by its content.
    """
    turns = [message for message in transcript.response if message.role == "assistant"]
    thoughts = [split_response(message.text).thinking for message in turns]
    asked = [json.dumps([call.name, dict(call.arguments)], sort_keys=True) for message in turns for call in message.tool_calls]
    kept = {
        "thinks": bool(turns) and all(thoughts),
        "follows_up": all(now != before for before, now in pairwise(thoughts)),
        "no_repeats": len(set(asked)) == len(asked),
        "no_errors": len(transcript.executed_calls) == _num_responses(transcript.response) and all(c.ok for c in transcript.executed_calls),
        "answers": transcript.complete and bool(final_answer(transcript.final_text)),
    }
    return Grade(sum(kept.values()) / len(kept), parts={rule: float(holds) for rule, holds in kept.items()})


def _num_responses(response: tuple[Message, ...]) -> int:
    """Calls that were answered, refused ones included: one tool message each."""
    return sum(message.role == "tool" for message in response)
