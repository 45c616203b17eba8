"""The queries that the filter looks at."""

from collections.abc import Mapping

from rl.config.settings import RunSettings
from tasks.build import Task, training_problems
from tasks.problem import Problem


def filtered_pools(settings: RunSettings, tasks: Mapping[str, Task]) -> dict[str, list[Problem]]:
    """By task that is trained on; none where the run filters nothing. Raises `TaskError` for a pool that a family cannot fill."""
    if not (settings.query_filter.enabled and settings.uses_loop):
        return {}
    return {name: training_problems(tasks[name], settings.tasks[name].filtered) for name in settings.weights}
