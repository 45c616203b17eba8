"""Off-policy distillation as a stage of a run: engines for the teachers, their answers, the student's training."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from distill.imitable import unfit
from distill.imitated import Imitated
from distill.off_policy import collect_answers, imitated
from distill.on_policy import teacher_of_task
from distill.teacher_answers import AnswerTable, dropped_counts
from distill.teachers import TeacherError
from distill.writers import EngineWriter, ServerWriter, Writer
from rewards.isolation import RewardPool
from rl.assembly import build_generator, build_turns, engine_preload, sampling, tool_runner
from rl.cluster import Cluster, RayGenerator
from rl.config.settings import RunSettings
from rollouts.render import Renderer
from rollouts.tools.runner import ToolRunner
from tasks.build import Task, training_problems
from tasks.errors import TaskError
from tasks.problem import Problem


def check_tools(settings: RunSettings, tasks: Mapping[str, Task]) -> None:
    """Raises `TaskError` where problems with tools are to be played by a server, which is asked for one turn, or without thinking."""
    for name, teacher in teacher_of_task(settings).items():
        task = tasks[name]
        if not any(p.tools for p in (task.train.problem(0), *task.heldout)):
            continue
        if "non_thinking" in settings.distillation.off_policy.modes:
            raise TaskError(
                f"tasks.{name}: its problems have tools, which are played with thinking; "
                "distillation.off_policy.modes=[thinking], or leave it out"
            )
        if settings.distillation.teachers[teacher].server is not None:
            raise TaskError(
                f"tasks.{name}: its problems have tools, and distillation.teachers.{teacher}.server is asked for one turn; "
                "leave the task out, or give it to a teacher that is a checkpoint"
            )


def check_modes(settings: RunSettings, student: Path, teachers: Mapping[str, Path]) -> None:
    """Raises `TeacherError` where answers without thinking are asked for and a chat template has no such mode.

    Then a teacher could not be asked, and the student would meet both kinds of answers after the same prompts.
    """
    if "non_thinking" not in settings.distillation.off_policy.modes:
        return
    for key, path in {"policy.path": student, **{f"distillation.teachers.{name}.path": path for name, path in teachers.items()}}.items():
        if not Renderer(path).has_modes:
            raise TeacherError(
                f"{key}: the chat template of {path} has no enable_thinking, so it cannot ask for an answer without thinking; "
                "distillation.off_policy.modes=[thinking], or a hybrid checkpoint such as Qwen3-8B"
            )


async def teachers_conversations(
    settings: RunSettings,
    tasks: Mapping[str, Task],
    student: Path,
    teachers: Mapping[str, Path],
    cluster: Cluster,
    pool: RewardPool,
    folder: Path,
    max_images: int,
    answered: Callable[[], None],
    note: Callable[[str], None],
) -> list[Imitated]:
    """What the teachers wrote and the filters kept; all of it stays in `folder/teacher_answers.jsonl`."""
    off = settings.distillation.off_policy
    problems = {name: training_problems(tasks[name], off.problems) for name in settings.weights}
    table = AnswerTable(folder / "teacher_answers.jsonl", off.samples * len(off.modes))
    renderer = Renderer(student)
    async with tool_runner(settings) as runner, _writers(settings, teachers, cluster, runner, max_images) as writers:

        async def unfit_here(problem: Problem, turns: Sequence[str]) -> str | None:
            return await unfit(settings, problem, turns, renderer, runner)

        stream = f"{settings.seed}/off_policy"
        answers = await collect_answers(off, problems, writers, teacher_of_task(settings), pool, table, stream, unfit_here, answered)
    if table.failures and not answers:
        raise TaskError(f"distillation.off_policy: no problem could be answered; the first: {table.failures[0]}")
    if table.failures:
        note(f"{len(table.failures)} problems were not answered; the first: {table.failures[0]}")
    kept = imitated(answers)
    dropped = ", ".join(f"{name} {number}" for name, number in sorted(dropped_counts([row for _, row in answers]).items()))
    note(f"{len(kept)} of {len(answers)} teachers' answers are imitated; dropped: {dropped or 'none'}")
    return kept


@asynccontextmanager
async def _writers(
    settings: RunSettings, teachers: Mapping[str, Path], cluster: Cluster, runner: ToolRunner, max_images: int
) -> AsyncIterator[dict[str, Writer]]:
    """Engines live while the context lasts."""
    off, rollout = settings.distillation.off_policy, settings.rollout
    writers: dict[str, Writer] = {}
    generators: dict[str, RayGenerator] = {}
    engines = []
    for name, teacher in settings.distillation.teachers.items():
        if teacher.server is not None:
            assert teacher.path is not None
            writers[name] = ServerWriter(teacher.path, teacher.server, off.temperature, off.max_tokens)
            continue
        actors = cluster.actors(rollout.replicas, preload=engine_preload(rollout.engine))
        generators[name] = RayGenerator(actors)
        await generators[name].start(build_generator(settings, teachers[name], max_images))
        engines.append((generators[name], actors))
    try:
        for name, generator in generators.items():
            renderer = Renderer(teachers[name])
            how = replace(sampling(settings, renderer), max_tokens=off.max_tokens, temperature=off.temperature)
            turns = build_turns(settings, generator, renderer, runner, how)
            writers[name] = EngineWriter(str(teachers[name]), generator, renderer, how, turns)
        yield writers
    finally:
        for generator, actors in engines:
            await generator.close()
            cluster.release(actors)
