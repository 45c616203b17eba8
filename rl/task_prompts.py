"""Whether the prompts of the tasks leave room for an answer, before anything is trained."""

from collections.abc import Mapping
from itertools import islice

from rollouts.render import Renderer
from tasks.build import Task
from tasks.errors import TaskError
from tasks.problem import Problem

LOOKED_AT = 8


def check_prompts(tasks: Mapping[str, Task], renderer: Renderer, max_model_len: int) -> None:
    """Raises `TaskError` for a task none of whose first held-out prompts leaves room for a token."""
    for name, task in tasks.items():
        shortest = min((_tokens(problem, renderer) for problem in islice(task.heldout, LOOKED_AT)), default=0)
        if shortest >= max_model_len:
            raise TaskError(
                f"rollout.max_model_len={max_model_len} leaves no room for an answer to tasks.{name}: the shortest of its first prompts "
                f"has {shortest} tokens, those of its images included; raise rollout.max_model_len"
            )


def _tokens(problem: Problem, renderer: Renderer) -> int:
    images = [image for message in problem.messages for image in message.images]
    return len(renderer.expanded(renderer.prompt_ids(problem.messages), images))
