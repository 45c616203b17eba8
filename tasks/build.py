"""A task of a run from its settings."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from tasks.datafile import DataSettings, load_problems
from tasks.demonstrations import demonstrations
from tasks.errors import TaskError
from tasks.families import Option, make_family
from tasks.family import Example
from tasks.problem import Problem, RewardNotation
from tasks.source import EmptySource, PoolSource, ProceduralSource, Source, distinct
from tasks.stored_problem import StoredProblems
from tasks.table import BadRow


class TaskSettings(DataSettings, Protocol):
    """What a task is made of; `rl.config.task_settings.TaskSettings` is one. Exactly one of `family` and `data` is given."""

    @property
    def family(self) -> str | None: ...
    @property
    def heldout_reward(self) -> RewardNotation | None: ...
    @property
    def options(self) -> Mapping[str, Option]: ...
    @property
    def has_demonstrations(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Task:
    """Where the problems of one task come from.

    `train` and `heldout` share no content. `demonstrations(n)` gives n worked examples, none of them held-out content; None where the
    task has none. One that is only evaluated has neither. `bad_rows` were skipped, as the settings ask. `row_rewards` are the rewards that
    rows of data name for themselves, each with the first row that does.
    """

    name: str
    train: Source
    heldout: Sequence[Problem]
    demonstrations: Callable[[int], Iterable[Example]] | None
    bad_rows: tuple[BadRow, ...]
    row_rewards: tuple[tuple[str, RewardNotation], ...] = ()


def build_task(name: str, settings: TaskSettings, seed: int) -> Task:
    """The task `name`. The seed draws a family's problems and orders a file's; no seed moves content between the splits."""
    if settings.family is None:
        return _from_data(name, settings, seed)
    try:
        family = make_family(settings.family, settings.options)
    except TaskError as error:
        raise TaskError(f"tasks.{name}: {error}") from error
    reward = family.reward if settings.reward is None else settings.reward
    return Task(
        name=name,
        train=ProceduralSource(name, family, seed, "train", reward) if settings.weight else EmptySource(name),
        heldout=distinct(ProceduralSource(name, family, seed, "heldout", settings.heldout_reward or reward), settings.heldout),
        demonstrations=partial(demonstrations, family, seed=seed) if settings.has_demonstrations else None,
        bad_rows=(),
    )


def _from_data(name: str, settings: TaskSettings, seed: int) -> Task:
    if settings.options:
        raise TaskError(f"tasks.{name}.options: data has no options, only a family has")
    problems = load_problems(settings, name)
    heldout = problems.heldout
    if settings.heldout_reward is not None:
        heldout = StoredProblems(tuple(replace(problem, reward=settings.heldout_reward) for problem in heldout.stored))
    train = PoolSource(name, problems.train, seed) if settings.weight else EmptySource(name)
    return Task(name, train, heldout, None, problems.bad_rows, problems.row_rewards)


def training_problems(task: Task, number: int | None) -> list[Problem]:
    """The first training problems, none twice: all that a pool has, if they are fewer, or if no number is given."""
    return list(distinct(task.train, min(count for count in (number, task.train.size) if count is not None)))


def most_images(task: Task, calls: int) -> int:
    """The most images that a rollout of any problem can have, where each of `calls` tool calls may return one.

    A pool of data is counted whole, undecoded; of a family's endless problems the first and the held-out ones stand for all.
    """
    pool = task.train.problems if isinstance(task.train, PoolSource) else ()
    stored = [problem for problems in (pool, task.heldout) if isinstance(problems, StoredProblems) for problem in problems.stored]
    decoded = () if isinstance(task.heldout, StoredProblems) else (*training_problems(task, 1), *task.heldout)
    counts = [problem.num_images + bool(problem.tools) * calls for problem in stored]
    counts += [sum(len(message.images) for message in problem.messages) + bool(problem.tools) * calls for problem in decoded]
    return max(counts)
