"""Off-policy distillation: teachers answer training problems, rewards and filters reject, the rest is imitated."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from distill.conversation import worked_answer
from distill.imitable import followed
from distill.imitated import Imitated
from distill.response_filters import dropped_by
from distill.teacher_answers import AnswerTable, TeacherAnswer
from distill.writers import Writer, Written
from rewards.isolation import RewardPool
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.transcript import Transcript
from rl.config.teaching_settings import OffPolicySettings, ThinkingMode
from tasks.errors import TaskError
from tasks.problem import Problem


async def collect_answers(
    settings: OffPolicySettings,
    problems: Mapping[str, Sequence[Problem]],
    writers: Mapping[str, Writer],
    teacher_of: Mapping[str, str],
    pool: RewardPool,
    table: AnswerTable,
    stream: str,
    unfit: Callable[[Problem, Sequence[str]], Awaitable[str | None]],
    answered: Callable[[], None],
) -> list[tuple[Problem, TeacherAnswer]]:
    """Every answer to every problem, in the order of the problems; problems that `table` holds are not asked again.

    A problem that no engine takes, such as one that is too long, has no answers and is one of the table's failures.

    `writers` are the teachers by name, `teacher_of` names each task's. `unfit` says what keeps the student from an answer
    that no filter drops. `answered` is called once for each problem.
    """

    async def asked(task: str, problem: Problem) -> tuple[TeacherAnswer, ...]:
        teacher = teacher_of[task]
        writer = writers[teacher]
        asking = [(mode, f"{stream}/{teacher}" if mode == "thinking" else f"{stream}/{teacher}/{mode}") for mode in settings.modes]
        try:
            of_modes = [await writer.write(problem, settings.samples, named, thinking=mode == "thinking") for mode, named in asking]
        except ValueError as error:
            table.failures.append(f"{task}: {problem.id}: {error}")
            return ()
        written = [(mode, named, one) for (mode, named), of_mode in zip(asking, of_modes, strict=True) for one in of_mode]
        outcomes = await pool.grade_many([(problem.reward, problem.target, _transcript(problem, one)) for *_, one in written])
        graded = [
            _row(settings, task, problem, i, teacher, writer, named, mode, one, outcome)
            for i, ((mode, named, one), outcome) in enumerate(zip(written, outcomes, strict=True))
        ]
        fit = [row if row.dropped_by else replace(row, dropped_by=await unfit(problem, row.turns)) for row in graded]
        rows = tuple(_thinned(fit, settings.per_problem))
        table.add(rows)
        return rows

    async def one(task: str, problem: Problem) -> list[tuple[Problem, TeacherAnswer]]:
        rows = table.of(task, problem.id)
        if rows is None:
            rows = await asked(task, problem)
        answered()
        return [(problem, row) for row in rows]

    found = await asyncio.gather(*(one(task, problem) for task, of_task in problems.items() for problem in of_task))
    return [pair for pairs in found for pair in pairs]


def imitated(answers: Sequence[tuple[Problem, TeacherAnswer]]) -> list[Imitated]:
    """What nothing dropped. Raises `TaskError` if that is nothing.

    What tools returned is not kept: they run again where the student's sequence is recorded.
    """
    kept = [(problem, row) for problem, row in answers if row.dropped_by is None]
    if not kept:
        raise TaskError(
            f"distillation.off_policy: the filters dropped all {len(answers)} answers; teacher_answers.jsonl says which and why. Raise "
            "distillation.off_policy.max_tokens where they are incomplete (and rollout.max_model_len, which holds prompt and answer), "
            "or choose a better teacher"
        )
    return [
        followed(problem, row.turns) if problem.tools else worked_answer(problem.messages, row.answer, thinking=row.mode == "thinking")
        for problem, row in kept
    ]


def _thinned(rows: Sequence[TeacherAnswer], per_problem: int | None) -> Iterator[TeacherAnswer]:
    """The answers to a problem: of those kept, different texts only, at most `per_problem` in each mode."""
    kept: set[tuple[ThinkingMode, tuple[str, ...]]] = set()
    for row in rows:
        if row.dropped_by is not None:
            yield row
        elif (row.mode, row.turns) in kept:
            yield replace(row, dropped_by="duplicate")
        elif per_problem is not None and sum(mode == row.mode for mode, _ in kept) >= per_problem:
            yield replace(row, dropped_by="per_problem")
        else:
            kept.add((row.mode, row.turns))
            yield row


def _transcript(problem: Problem, written: Written) -> Transcript:
    return Transcript(problem.messages, written.response, written.executed_calls, written.complete, problem.expected_calls)


def _row(
    settings: OffPolicySettings,
    task: str,
    problem: Problem,
    sample: int,
    teacher: str,
    writer: Writer,
    stream: str,
    mode: ThinkingMode,
    written: Written,
    outcome: Outcome,
) -> TeacherAnswer:
    grade = outcome if isinstance(outcome, Grade) else None
    dropped = dropped_by(settings.filters, _transcript(problem, written), outcome, settings.min_reasoning_chars)
    return TeacherAnswer(
        task=task,
        problem=problem.id,
        sample=sample,
        answer=written.turns[-1],
        complete=written.complete,
        teacher=teacher,
        model=writer.model,
        temperature=settings.temperature,
        stream=stream,
        reward=grade.reward if grade else None,
        verdict=grade.verdict if grade else None,
        dropped_by=dropped,
        calling_turns=written.turns[:-1],
        mode=mode,
        max_tokens=settings.max_tokens,
        server=writer.server,
        ungraded=f"{outcome.reason}: {outcome.detail}" if isinstance(outcome, Ungraded) else None,
    )
