"""Whether the rewards of the tasks can grade their problems, before anything starts."""

from collections.abc import Mapping

from rewards.errors import RewardError
from rewards.mixture import check_row_reward, check_target, spec_of
from tasks.build import Task, training_problems


def check_task_rewards(tasks: Mapping[str, Task]) -> None:
    """Raises `RewardError` for a reward that cannot grade the problems it is for, and for one that a row of data may not name."""
    for name, task in tasks.items():
        for where, reward in task.row_rewards:
            try:
                check_row_reward(spec_of(reward))
            except RewardError as error:
                raise RewardError(f"{where}: {error}") from error
        for problem in (*training_problems(task, 1), *task.heldout):
            try:
                check_target(problem.reward, problem.target)
            except RewardError as error:
                raise RewardError(f"tasks.{name}: {error}") from error
