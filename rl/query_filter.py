"""Which queries are worth training on: those that the policy to be trained does not answer nearly always.

Qwen3-VL's report (section 4.4.1) samples every query 16 times with each model to be trained and drops those with a pass rate above 90 %.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rl.config.settings import QueryFilterSettings
from rl.evaluate import Attempt, attempt_all, check_ungraded
from rl.graded import GradedGroup
from tasks.problem import Problem


@dataclass(frozen=True, slots=True)
class PassRate:
    """`judged` samples of a query had a verdict, `right` of them were right."""

    task: str
    problem_id: str
    right: int
    judged: int


def is_kept(rate: PassRate, settings: QueryFilterSettings) -> bool:
    """A query without a single verdict is dropped: nothing could be learnt from it."""
    if rate.judged == 0 or (settings.drop_unsolved and rate.right == 0):
        return False
    return rate.right / rate.judged <= settings.max_pass_rate


async def pass_rates(problems: Sequence[Problem], samples: int, attempt: Attempt, table: Path, max_ungraded_share: float) -> list[PassRate]:
    """One row for each problem, in order; read from `table` when it is there, else sampled and written to it."""
    if table.exists():
        return [PassRate(**json.loads(line)) for line in table.read_text().splitlines()]
    groups = await attempt_all(problems, samples, attempt)
    check_ungraded(groups, max_ungraded_share, "the query filter")
    rates = [_rate(group) for group in groups]
    table.parent.mkdir(parents=True, exist_ok=True)
    unfinished = table.with_suffix(".unfinished")
    unfinished.write_text("".join(json.dumps(asdict(rate)) + "\n" for rate in rates))
    unfinished.rename(table)
    return rates


def kept_problems(
    problems: Mapping[str, Sequence[Problem]], rates: Sequence[PassRate], settings: QueryFilterSettings
) -> dict[str, list[Problem]]:
    """The problems of each task that pass the filter. Raises `ValueError` when a task has none left."""
    kept_ids = {(rate.task, rate.problem_id) for rate in rates if is_kept(rate, settings)}
    kept = {task: [p for p in pool if (task, p.id) in kept_ids] for task, pool in problems.items()}
    for task, left in kept.items():
        if not left:
            raise ValueError(
                f"tasks.{task}: the query filter dropped all {len(problems[task])} queries; make the task harder, "
                f"raise query_filter.max_pass_rate={settings.max_pass_rate}, or remove the task"
            )
    return kept


def table_key(policy_key: str, problems: Sequence[Problem], samples: int, sampling: str) -> str:
    """Equal only where policy, queries (texts, pixels, targets, rewards) and sampling are: the name under which a table is kept."""
    queries = [
        (p.source, p.id, [m.text for m in p.messages], repr(p.target), p.reward if isinstance(p.reward, str) else dict(p.reward))
        for p in problems
    ]
    digest = hashlib.sha256(json.dumps([policy_key, queries, samples, sampling], sort_keys=True).encode())
    for image in (image for problem in problems for message in problem.messages for image in message.images):
        digest.update(repr(image.size).encode() + image.tobytes())
    return digest.hexdigest()[:16]


def _rate(group: GradedGroup) -> PassRate:
    return PassRate(group.problem.source, group.problem.id, sum(group.verdicts), len(group.verdicts))
