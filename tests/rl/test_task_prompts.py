"""A prompt without room for an answer."""

from pathlib import Path

import pytest

from rl.config.task_settings import TaskSettings
from rl.task_prompts import check_prompts
from rollouts.render import Renderer
from tasks.build import build_task
from tasks.errors import TaskError


@pytest.mark.parametrize("family", ["algebra", "counting"])
def test_a_length_that_no_prompt_fits_is_told_with_the_prompts_tokens(family: str, tiny_policy: Path) -> None:
    tasks, renderer = {"sums": build_task("sums", TaskSettings(family=family, heldout=8), 0)}, Renderer(tiny_policy)
    images = [[image for message in problem.messages for image in message.images] for problem in tasks["sums"].heldout]
    prompts = [renderer.prompt_ids(problem.messages) for problem in tasks["sums"].heldout]
    shortest = min(len(renderer.expanded(ids, seen)) for ids, seen in zip(prompts, images, strict=True))
    check_prompts(tasks, renderer, shortest + 1)
    told = rf"max_model_len={shortest} leaves no room for an answer to tasks.sums: .* has {shortest} tokens.*raise rollout.max_model_len"
    with pytest.raises(TaskError, match=told):
        check_prompts(tasks, renderer, shortest)
