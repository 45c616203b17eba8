"""Which queries are worth training on: those that the policy to be trained does not answer nearly always.

Qwen3-VL's report (section 4.4.1) samples every query 16 times with each model to be trained and drops those with a pass rate above 90 %.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

from rewards.mixture import check_spec, graded_by, spec_of
from rl.config.rollout_settings import QueryFilterSettings
from rl.evaluate import check_ungraded, some_at_a_time
from rl.graded import GradedGroup
from rl.records.json_lines import replace_bytes
from tasks.errors import TaskError
from tasks.problem import Problem

FilterAttempt: TypeAlias = Callable[[Problem, int, int], Awaitable[GradedGroup]]
"""Makes that many rollouts of a problem and grades them; each wave (0, 1, ...) draws other samples."""


@dataclass(frozen=True, slots=True)
class PassRate:
    """`judged` samples of a query had a verdict, `right` of them were right; `unjudged` ones had a grade without a verdict."""

    task: str
    problem_id: str
    right: int
    judged: int
    unjudged: int = 0


def is_kept(rate: PassRate, settings: QueryFilterSettings) -> bool:
    """A query without a single grade is dropped: nothing could be learnt from it. One whose reward gives no verdicts has no pass rate."""
    if rate.judged == 0:
        return rate.unjudged > 0
    if settings.drop_unsolved and rate.right == 0:
        return False
    return rate.right / rate.judged <= settings.max_pass_rate


def is_certain(rate: PassRate, settings: QueryFilterSettings) -> bool:
    """The query stays, whatever the samples still to come say. (That it goes is certain at the last sample alone.)"""
    best = rate.right + settings.samples - rate.judged
    return best / settings.samples <= settings.max_pass_rate and not (settings.drop_unsolved and rate.right == 0)


async def pass_rates(
    problems: Sequence[Problem],
    settings: QueryFilterSettings,
    attempt: FilterAttempt,
    table: Path,
    max_ungraded_share: float,
    in_flight: int,
    done: Callable[[], None] = lambda: None,
) -> list[PassRate]:
    """One row for each problem, in order; read from `table` when it is there, else sampled and written to it. `done` is called for each."""
    if table.exists():
        return _read(table)

    async def sampled(problem: Problem) -> list[GradedGroup]:
        groups: list[GradedGroup] = []
        for wave, size in enumerate(waves(settings)):
            groups.append(await attempt(problem, size, wave))
            if is_certain(_rate(groups), settings):
                break
        done()
        return groups

    by_problem = await some_at_a_time([partial(sampled, problem) for problem in problems], in_flight)
    check_ungraded([group for groups in by_problem for group in groups], max_ungraded_share, "the query filter")
    rates = [_rate(groups) for groups in by_problem]
    table.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(table, "".join(json.dumps(asdict(rate)) + "\n" for rate in rates).encode())
    return rates


def recorded_rates(problems: Sequence[Problem], recorded: Path) -> list[PassRate]:
    """What a run that goes on from a checkpoint recorded when it began: only the policy that it started from could be sampled for it."""
    rates = _read(recorded) if recorded.exists() else []
    if [(rate.task, rate.problem_id) for rate in rates] != [(problem.source, problem.id) for problem in problems]:
        raise TaskError(
            f"{recorded} does not hold the pass rates of this run's queries: it was removed, or the tasks' data changed, and the policy "
            "of the checkpoint is not the one that was sampled for it. Put back what was there, or start a new run: name=<another>"
        )
    return rates


def kept_problems(
    problems: Mapping[str, Sequence[Problem]], rates: Sequence[PassRate], settings: QueryFilterSettings
) -> dict[str, list[Problem]]:
    """The problems of each task that pass the filter. Raises `TaskError` when a task has none left."""
    kept_ids = {(rate.task, rate.problem_id) for rate in rates if is_kept(rate, settings)}
    kept = {task: [p for p in pool if (task, p.id) in kept_ids] for task, pool in problems.items()}
    for task, left in kept.items():
        if not left:
            raise TaskError(
                f"tasks.{task}: the query filter dropped all {len(problems[task])} queries; make the task harder, "
                f"raise query_filter.max_pass_rate={settings.max_pass_rate}, or remove the task"
            )
    return kept


def table_key(policy_key: str, problems: Sequence[Problem], waves: Sequence[int], sampling: str) -> str:
    """Equal only where policy, queries (texts, pixels, targets, rewards) and sampling are: the name under which a table is kept.

    Another seed, engine or dtype would be another draw of the same rates: none of them is in it.
    """
    queries = [
        (p.source, p.id, [m.text for m in p.messages], repr(p.target), p.reward if isinstance(p.reward, str) else dict(p.reward))
        for p in problems
    ]
    digest = hashlib.sha256(json.dumps([policy_key, queries, list(waves), sampling], sort_keys=True).encode())
    for image in (image for problem in problems for message in problem.messages for image in message.images):
        digest.update(repr(image.size).encode() + image.tobytes())
    return digest.hexdigest()[:16]


def graders(problems: Sequence[Problem]) -> str:
    """What grades these problems, as a text: rewards with their versions and settings, and the content of files of the user's own."""
    specs = [spec_of(reward) for reward in {repr(problem.reward): problem.reward for problem in problems}.values()]
    paths = sorted({entry.origin.path for spec in specs for entry in check_spec(spec) if entry.origin.path})
    files = {path: hashlib.sha256(Path(path).read_bytes()).hexdigest() for path in paths}
    return json.dumps([[graded_by(spec) for spec in specs], files])


def waves(settings: QueryFilterSettings) -> tuple[int, ...]:
    """How many samples are taken at a time: as few as could make certain that a query stays, then as many again as there are."""
    if not settings.stop_when_certain:
        return (settings.samples,)
    failures = (wrong for wrong in range(1, settings.samples) if (settings.samples - wrong) / settings.samples <= settings.max_pass_rate)
    taken = [next(failures, settings.samples)]
    while sum(taken) < settings.samples:
        taken.append(min(sum(taken), settings.samples - sum(taken)))
    return tuple(taken)


def _read(table: Path) -> list[PassRate]:
    return [PassRate(**json.loads(line)) for line in table.read_text().splitlines()]


def _rate(groups: Sequence[GradedGroup]) -> PassRate:
    problem, verdicts = groups[0].problem, [verdict for group in groups for verdict in group.verdicts]
    graded = sum(len(group.grades) for group in groups)
    return PassRate(problem.source, problem.id, sum(verdicts), len(verdicts), graded - len(verdicts))
