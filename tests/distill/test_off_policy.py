"""Off-policy distillation: what is imitated, what is dropped and why, and that nothing is asked twice."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from distill.off_policy import collect_answers, imitated
from distill.response_filters import dropped_by
from distill.teacher_answers import AnswerTable, dropped_counts
from distill.worked_turns import WorkedTurns
from distill.writers import Written
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.transcript import Transcript
from rl.config.teaching_settings import OffPolicySettings, ResponseFilter
from tasks.errors import TaskError
from tasks.message import ExecutedCall, Message, TextPart, ToolCall, text_message
from tasks.problem import NumberTarget, Problem

FILTERS: tuple[ResponseFilter, ...] = ("ungraded", "incomplete", "wrong_final", "repetition", "language_mixing", "guess")
GOOD = "Two and two are added first, which makes four, so the result is 4"
RIGHT, WRONG = Grade(1.0, True, "4"), Grade(0.0, False, "4")
LOOP = "and then we think again about it. " * 40 + "4"
MIXED = "First we add the numbers, 然后我们再把结果乘以二然后继续计算下去, and so the answer is 4"


def transcript(text: str, complete: bool = True) -> Transcript:
    return Transcript((text_message("user", "What is two plus two?"),), (text_message("assistant", text),), (), complete=complete)


@pytest.mark.parametrize(
    ("text", "complete", "outcome", "name"),
    [
        (GOOD, True, RIGHT, None),
        (GOOD, True, Ungraded("timeout", ""), "ungraded"),
        (GOOD, False, RIGHT, "incomplete"),
        ("<think>I wonder", True, RIGHT, "incomplete"),
        ("<think>all of it</think>", True, RIGHT, "incomplete"),
        (GOOD, True, WRONG, "wrong_final"),
        (GOOD, True, Grade(0.0, None, None), "wrong_final"),
        (LOOP, True, RIGHT, "repetition"),
        (MIXED, True, RIGHT, "language_mixing"),
        ("it is 4", True, RIGHT, "guess"),
        ("The answer, at last, is \\boxed{4}.", True, RIGHT, None),
        ("The answer is \\boxed{4}.", True, RIGHT, "guess"),
        ("<answer>4</answer>", True, RIGHT, "guess"),
        (f"<answer>4</answer> {GOOD}", True, RIGHT, "guess"),
        ('```json\n[{"bbox_2d": [10, 20, 300, 400], "label": "bicycle"}]\n```', True, RIGHT, "guess"),
        ('Here: {"bbox_2d": [10, 20, 300, 400], "label": "bicycle"}', True, RIGHT, "guess"),
        (f"<think>\n{GOOD}\n</think>\n\n\\boxed{{4}}", True, RIGHT, None),
        (f"{GOOD}\n</think>\n\n\\boxed{{4}}", True, RIGHT, None),
        ("<think>\n\n</think>\n\n\\boxed{4}", True, RIGHT, "guess"),
        (f"<think>\n\n</think>\n\n{GOOD}: \\boxed{{4}}", True, RIGHT, "guess"),
    ],
)
def test_each_filter_drops_what_it_is_named_for(text: str, complete: bool, outcome: Outcome, name: str | None) -> None:
    assert dropped_by(FILTERS, transcript(text, complete), outcome, 16) == name


@pytest.mark.parametrize(
    ("text", "complete", "outcome", "name"),
    [
        (GOOD, False, RIGHT, "incomplete"),
        (GOOD, True, WRONG, "wrong_final"),
        (LOOP, True, RIGHT, "repetition"),
        ("4", True, RIGHT, "guess"),
    ],
)
def test_a_filter_that_is_not_asked_for_drops_nothing(text: str, complete: bool, outcome: Outcome, name: ResponseFilter) -> None:
    others = tuple(other for other in FILTERS if other != name)
    assert dropped_by(others, transcript(text, complete), outcome, 16) is None


class Scripted:
    """Writes, for problem i, one right answer, one wrong one, and the right one again."""

    model, server = "scripted", "http://127.0.0.1:1/v1"

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()

    async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
        self.asked[problem.id] += 1
        return [Written((text_message("assistant", text),), True) for text in (f"{GOOD} ({problem.id})", "wrong", f"{GOOD} ({problem.id})")]


class ByWord:
    """Grades "wrong" as wrong."""

    async def grade_many(self, calls: Sequence[tuple[object, object, Transcript]]) -> list[Outcome]:
        return [WRONG if "wrong" in seen.final_text else RIGHT for _, _, seen in calls]


PROBLEMS = {"sum": [Problem(f"sum/{i}", (text_message("user", f"2 + {i}?"),), NumberTarget(4), "number", "sum") for i in range(4)]}
SETTINGS = OffPolicySettings(samples=3, filters=("wrong_final",))


async def fits(problem: Problem, turns: Sequence[str]) -> str | None:
    return None


def collect(writer: Scripted, path: Path):  # type: ignore[no-untyped-def]
    table = AnswerTable(path, 3)
    return asyncio.run(
        collect_answers(SETTINGS, PROBLEMS, {"big": writer}, {"sum": "big"}, ByWord(), table, "0", fits, lambda: None)  # type: ignore[arg-type]
    )


def test_every_answer_has_a_row_with_where_it_comes_from_and_what_became_of_it(tmp_path: Path) -> None:
    answers = collect(Scripted(), tmp_path / "answers.jsonl")
    rows = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert len(rows) == len(answers) == 12
    origin = ("teacher", "model", "server", "stream", "temperature", "max_tokens")
    assert {tuple(row[key] for key in origin) for row in rows} == {("big", "scripted", "http://127.0.0.1:1/v1", "0/big", 1.0, 128)}
    assert sorted((row["problem"], row["sample"]) for row in rows) == [(f"sum/{i}", j) for i in range(4) for j in range(3)]
    assert [row["dropped_by"] for row in rows if row["sample"] == 1] == ["wrong_final"] * 4
    assert dropped_counts([row for _, row in answers]) == {"wrong_final": 4, "duplicate": 4}


def test_a_problem_that_no_engine_takes_ends_nothing(tmp_path: Path) -> None:
    class Short(Scripted):
        async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
            if problem.id == "sum/1":
                raise ValueError("a prompt of 300 tokens leaves no room in 256")
            return await super().write(problem, samples, stream, thinking=thinking)

    table = AnswerTable(tmp_path / "answers.jsonl", 3)
    seen = []
    answers = asyncio.run(
        collect_answers(SETTINGS, PROBLEMS, {"big": Short()}, {"sum": "big"}, ByWord(), table, "0", fits, lambda: seen.append(1))  # type: ignore[arg-type]
    )
    assert {problem.id for problem, _ in answers} == {"sum/0", "sum/2", "sum/3"}
    assert table.failures == ["sum: sum/1: a prompt of 300 tokens leaves no room in 256"]
    assert len(seen) == 4


def test_the_row_of_an_ungraded_answer_says_why(tmp_path: Path) -> None:
    class Late(ByWord):
        async def grade_many(self, calls: Sequence[tuple[object, object, Transcript]]) -> list[Outcome]:
            return [Ungraded("timeout", "no answer within 10 s"), *(await super().grade_many(calls))[1:]]

    table = AnswerTable(tmp_path / "answers.jsonl", 3)
    asked = collect_answers(SETTINGS, PROBLEMS, {"big": Scripted()}, {"sum": "big"}, Late(), table, "0", fits, lambda: None)  # type: ignore[arg-type]
    reasons = [row.ungraded for _, row in asyncio.run(asked)]
    assert reasons == ["timeout: no answer within 10 s", None, None] * 4


def test_both_modes_are_asked_each_from_its_own_stream_and_imitated_as_they_were_asked(tmp_path: Path) -> None:
    class Modal(Scripted):
        async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
            text = f"<think>\n{GOOD}\n</think>\n\n4" if thinking else f"4 from {stream}"
            return [Written((text_message("assistant", text),), True)] * samples

    both = SETTINGS.model_copy(update={"modes": ("thinking", "non_thinking"), "samples": 2, "per_problem": 1})
    table = AnswerTable(tmp_path / "answers.jsonl", 4)
    answers = asyncio.run(
        collect_answers(both, PROBLEMS, {"big": Modal()}, {"sum": "big"}, ByWord(), table, "0", fits, lambda: None)  # type: ignore[arg-type]
    )
    assert [(row.sample, row.mode, row.stream) for _, row in answers[:4]] == [
        (0, "thinking", "0/big"),
        (1, "thinking", "0/big"),
        (2, "non_thinking", "0/big/non_thinking"),
        (3, "non_thinking", "0/big/non_thinking"),
    ]
    kept = imitated(answers)
    assert [(one.thinking, "<think>" in one.messages[-1].text) for one in kept[:2]] == [(True, True), (False, False)]  # type: ignore[union-attr]
    assert len(kept) == 8


def test_what_is_imitated_is_what_was_kept_and_the_same_text_only_once(tmp_path: Path) -> None:
    kept = imitated(collect(Scripted(), tmp_path / "answers.jsonl"))
    assert [one.messages[-1].text for one in kept] == [f"{GOOD} (sum/{i})" for i in range(4)]
    assert [one.messages[0].text for one in kept] == [f"2 + {i}?" for i in range(4)]


class Agent:
    """Looks once, or twice in vain, then answers."""

    model, server = "agent", None

    async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
        return [self._written(looks, right) for looks, right in ((1, True), (2, False), (1, True))]

    def _written(self, looks: int, right: bool) -> Written:
        call = ToolCall("image_zoom_in_tool", {"img_idx": 0})
        look = (Message("assistant", (TextPart("<think>\nlook\n</think>\n\nzoom"),), (call,)), text_message("tool", "seen"))
        answer = text_message("assistant", f"<think>\n{GOOD}\n</think>\n\n" + ("4" if right else "wrong"))
        return Written((*look * looks, answer), True, (ExecutedCall(call, True, 0.1),) * looks)


def test_an_agents_trajectories_are_followed_turn_by_turn_where_the_rewards_accept_them(tmp_path: Path) -> None:
    played = {"sum": [replace(problem, tools=("image_zoom_in_tool",)) for problem in PROBLEMS["sum"]]}
    table = AnswerTable(tmp_path / "answers.jsonl", 3)
    answers = asyncio.run(
        collect_answers(SETTINGS, played, {"big": Agent()}, {"sum": "big"}, ByWord(), table, "0", fits, lambda: None)  # type: ignore[arg-type]
    )
    kept = imitated(answers)
    assert len(kept) == 4
    for one, problem in zip(kept, played["sum"], strict=True):
        assert isinstance(one, WorkedTurns)
        assert (one.messages, one.tools, one.may_fail) == (problem.messages, problem.tools, True)
        assert one.turns == ("<think>\nlook\n</think>\n\nzoom", f"<think>\n{GOOD}\n</think>\n\n4")
    again = AnswerTable(tmp_path / "answers.jsonl", 3).of("sum", "sum/0")
    assert again is not None
    assert [len(row.calling_turns) for row in again] == [1, 2, 1]


def test_a_killed_run_asks_only_for_problems_whose_answers_are_not_whole(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    whole = collect(Scripted(), path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:7]) + lines[7][:20])
    again = Scripted()
    assert collect(again, path) == whole
    assert sum(again.asked.values()) == 2
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert sorted((row["problem"], row["sample"]) for row in rows) == [(f"sum/{i}", j) for i in range(4) for j in range(3)]
    nothing = Scripted()
    assert collect(nothing, path) == whole
    assert not nothing.asked


def test_every_answer_is_imitated_or_counted_by_what_dropped_it(tmp_path: Path) -> None:
    class Various(Scripted):
        async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
            return [Written((text_message("assistant", text),), True) for text in ("a", "wrong", "unfit", "a", "b", "c")]

    async def unfit(problem: Problem, turns: Sequence[str]) -> str | None:
        return "special_token" if "unfit" in turns else None

    fewer = SETTINGS.model_copy(update={"per_problem": 2})
    table = AnswerTable(tmp_path / "answers.jsonl", 6)
    answers = asyncio.run(
        collect_answers(fewer, PROBLEMS, {"big": Various()}, {"sum": "big"}, ByWord(), table, "0", unfit, lambda: None)  # type: ignore[arg-type]
    )
    assert [row.dropped_by for _, row in answers] == [None, "wrong_final", "special_token", "duplicate", None, "per_problem"] * 4
    assert [one.messages[-1].text for one in imitated(answers)] == ["a", "b"] * 4


def test_a_teacher_of_whom_nothing_is_left_is_an_error_that_says_where_to_look() -> None:
    with pytest.raises(TaskError, match=r"dropped all 2 answers; teacher_answers\.jsonl"):
        imitated([(PROBLEMS["sum"][0], row) for row in _rows(2, "incomplete")])


def _rows(number: int, dropped: str | None = None):  # type: ignore[no-untyped-def]
    from distill.teacher_answers import TeacherAnswer

    return [TeacherAnswer("sum", "sum/0", i, f"text {i}", True, "big", "m", 1.0, "0", 1.0, True, dropped) for i in range(number)]
