"""Reward functions of TRL and verl inside a reward of ours, and rewards of ours as functions for TRL and verl.

@reward("brief", target=MathTarget)
def brief(target: MathTarget, transcript: Transcript) -> Outcome:
    return call_trl(their_function, target, transcript)

trainer = GRPOTrainer(reward_funcs=[as_trl("math")], ...)
compute_score = as_verl({"math": 1.0, "format": 0.2})  # reward.custom_reward_function.path=this_file.py
"""

import atexit
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

import PIL.Image

from rewards.isolation import RewardPool
from rewards.mixture import RewardSpec, check_spec, spec_of
from rewards.offline.answers import answered_calls
from rewards.offline.targets import target_kind
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.transcript import Transcript
from tasks.gold import read_target
from tasks.message import ImagePart, Json, Message, TextPart, text_message
from tasks.problem import (
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    MathTarget,
    MissingTarget,
    NumberTarget,
    RewardNotation,
    Target,
    TextTarget,
)
from tasks.prompt import read_recorded

Turns: TypeAlias = "str | Sequence[Mapping[str, object]]"
TrlFunction: TypeAlias = Callable[..., list[float | None]]
VerlFunction: TypeAlias = Callable[..., float | Mapping[str, object] | None]
NO_RESPONSE = Ungraded("no-response", "the response is None")
UNGRADED_SCORE = 0.0
"""What verl gets for an ungraded response, since it needs a number: what a wrong answer gets, so that none gains by breaking its grader."""


def call_trl(
    function: TrlFunction,
    target: Target,
    transcript: Transcript,
    *,
    column: str = "solution",
    conversational: bool = True,
    pass_at: float | None = None,
) -> Outcome:
    """What a TRL reward function, `f(prompts, completions, **columns) -> list[float | None]`, says of one completion.

    The gold answer is passed as the list `column`; None is `Ungraded("abstained")`. `pass_at` is the least value whose verdict is right;
    without it there is no verdict.
    """
    prompt, completion = _turns(transcript.prompt, conversational), _turns(transcript.response, conversational)
    gold = {column: [gold_value(target)]}
    values = function(prompts=[prompt], completions=[completion], completion_ids=[[]], **gold)
    if not isinstance(values, list) or len(values) != 1:
        return Ungraded("bad-return", f"returned {values!r} for one completion"[:200])
    value = values[0]
    if value is None:
        return Ungraded("abstained")
    return Grade(float(value), None if pass_at is None else float(value) >= pass_at)


def call_verl(
    function: VerlFunction, target: Target, transcript: Transcript, *, data_source: str = "", extra_info: Mapping[str, Json] | None = None
) -> Outcome:
    """What a verl function, `compute_score(data_source, solution_str, ground_truth, extra_info) -> float | dict`, says of a response.

    Of a dict, `score` is the reward, `acc` the verdict, and every other number a part; None is `Ungraded("abstained")`.
    """
    score = function(
        data_source=data_source,
        solution_str=transcript.final_text,
        ground_truth=gold_value(target),
        extra_info=dict(extra_info or {}),
    )
    if score is None:
        return Ungraded("abstained")
    if not isinstance(score, Mapping):
        return Grade(float(score))
    value, acc = score.get("score"), score.get("acc")
    if not isinstance(value, int | float):
        return Ungraded("bad-return", f"a score of {value!r}")
    numbers = {name: float(part) for name, part in score.items() if isinstance(part, int | float) and name not in ("score", "acc")}
    return Grade(float(value), None if acc is None else bool(acc), parts=numbers)


def as_trl(
    notation: RewardNotation | RewardSpec, *, column: str = "solution", target: str | None = None, workers: int = 1, timeout_s: float = 10.0
) -> Callable[..., list[float | None]]:
    """A reward or mixture as a TRL reward function. `column` holds the gold answers.

    Their kind is `target`, by default what the reward grades. What is ungraded is None, which TRL leaves out; so is a completion of None.
    """
    spec = spec_of(notation)
    kind = target or target_kind(spec, check_spec(spec))

    def reward_function(
        completions: Sequence["Turns | None"], prompts: Sequence[Turns] | None = None, **columns: object
    ) -> list[float | None]:
        golds = columns.get(column)
        values = golds if isinstance(golds, Sequence) else [None] * len(completions)
        asked = prompts if prompts is not None else [""] * len(completions)
        calls = [
            (spec, _target(kind, gold), _transcript(prompt, completion))
            for prompt, completion, gold in zip(asked, completions, values, strict=True)
            if completion is not None
        ]
        graded = iter(_pool(workers, timeout_s).grade_all(calls))
        outcomes = [NO_RESPONSE if completion is None else next(graded) for completion in completions]
        return [outcome.reward if isinstance(outcome, Grade) else None for outcome in outcomes]

    reward_function.__name__ = notation if isinstance(notation, str) else "+".join(component.key for component in spec.components)
    return reward_function


def as_verl(
    notation: RewardNotation | RewardSpec, *, target: str | None = None, workers: int = 1, timeout_s: float = 10.0
) -> Callable[..., Awaitable[dict[str, float | str]]]:
    """A reward or mixture as verl's `compute_score`. The keys are the same for every response, since verl stacks them.

    What is ungraded scores 0 and is marked by `ungraded`.
    """
    spec = spec_of(notation)
    kind = target or target_kind(spec, check_spec(spec))

    async def compute_score(
        data_source: str, solution_str: str | None, ground_truth: object, extra_info: Mapping[str, object] | None = None, **_: object
    ) -> dict[str, float | str]:
        outcome: Outcome = NO_RESPONSE
        if solution_str is not None:
            transcript = Transcript((), (text_message("assistant", solution_str),))
            outcome = await _pool(workers, timeout_s).grade(spec, _target(kind, ground_truth), transcript)
        if isinstance(outcome, Ungraded):
            return {"score": UNGRADED_SCORE, "acc": 0.0, "ungraded": 1.0, "ungraded_reason": outcome.reason}
        acc = float(outcome.verdict) if outcome.verdict is not None else outcome.reward
        return {"score": outcome.reward, "acc": acc, "ungraded": 0.0, "ungraded_reason": ""}

    return compute_score


def gold_value(target: Target) -> Json:
    """The gold answer as data files write it; null where there is none."""
    match target:
        case MathTarget() | ChoiceTarget():
            return target.answer
        case NumberTarget():
            return target.value
        case CountTarget():
            return target.count
        case TextTarget():
            return target.answers[0] if len(target.answers) == 1 else list(target.answers)
        case BoxesTarget():
            return [[box.x1, box.y1, box.x2, box.y2] for box in target.boxes]
        case MissingTarget():
            return None
        case _:
            raise TypeError(f"a {type(target).__name__} has no plain form that other systems read")


def _turns(messages: Sequence[Message], conversational: bool) -> Turns:
    if conversational:
        return [{"role": message.role, "content": message.text} for message in messages]
    return "".join(message.text for message in messages)


def _transcript(prompt: Turns, completion: Turns) -> Transcript:
    response = _messages("assistant", completion)
    return Transcript(_messages("user", prompt), response, answered_calls(response))


def _messages(role: Literal["user", "assistant"], turns: Turns) -> tuple[Message, ...]:
    if isinstance(turns, str):
        return (text_message(role, turns),)
    return tuple(_message(turn) for turn in turns)


def _message(turn: Mapping[str, object]) -> Message:
    """A turn as trainers hold it: its content a text, or parts with texts and images; none beside tool calls."""
    content = turn.get("content")
    parts: list[TextPart | ImagePart] = []
    for part in content if isinstance(content, list) else [{"text": content}]:
        image = part.get("image")
        parts.append(ImagePart(image) if isinstance(image, PIL.Image.Image) else TextPart(str(part.get("text") or "")))
    (read,) = read_recorded([{**turn, "content": None}], (), Path())
    return Message(read.role, tuple(parts), read.tool_calls)


def _target(kind: str | None, gold: object) -> Target:
    return MissingTarget() if kind is None else read_target(kind, gold, ())


@lru_cache(maxsize=8)
def _pool(workers: int, timeout_s: float) -> RewardPool:
    pool = RewardPool(workers, timeout_s)
    atexit.register(pool.close)
    return pool
