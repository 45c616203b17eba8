"""Rollouts over several turns, with images after the prompt, as the learner sees them."""

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from policy_batches import make_learner
from transformers import AutoImageProcessor, AutoModelForImageTextToText

from rewards.outcome import Grade
from rl.graded import GradedGroup, GradedRollout
from rl.signal import SapoSignal
from rl.training.model import Policy, SoftmaxSettings, TreeEncoder
from rl.training.pixels import PixelProcessor
from rollouts.generator import Sampling
from rollouts.recitation import Recitation
from rollouts.render import Renderer
from rollouts.rollout import Rollout
from rollouts.tools.runner import ToolRunner
from rollouts.turns import TurnLimits, TurnLoop
from tasks.message import ImagePart, Message, TextPart
from tasks.problem import CountTarget, Problem

SCRIPTS = (
    ("zoom 0 0 500 500", "zoom 500 0 1000 1000", "3"),
    ("zoom 0 0 500 500|zoom 0 0 500 500", "4"),
    ("5",),
)


@pytest.fixture(scope="module")
def rollouts(tiny_policy: Path) -> tuple[Rollout, ...]:
    noise = np.random.default_rng(0).integers(0, 256, (96, 160, 3), dtype=np.uint8)
    parts = (ImagePart(PIL.Image.fromarray(noise)), TextPart("How many?"))
    problem = Problem("p", (Message("user", parts),), CountTarget(3), "count", "p", ("image_zoom_in_tool",))
    renderer = Renderer(tiny_policy)

    async def roll(index: int, script: tuple[str, ...]) -> Rollout:
        turns = ["".join(_call(part) if part.startswith("zoom") else part for part in said.split("|")) for said in script]
        async with ToolRunner(settings={"image_zoom_in_tool": {"min_tokens": 6}}) as runner:
            sampling = Sampling(5000, 1.0, renderer.banned_ids, renderer.stop_ids)
            limits = TurnLimits(length=10000)
            loop = TurnLoop(Recitation(renderer, turns), renderer, runner, sampling, limits, describe_tools=False)
            return await loop.rollout(loop.opening(problem), index, "s")

    return tuple(asyncio.run(roll(index, script)) for index, script in enumerate(SCRIPTS))


def _call(said: str) -> str:
    box = [int(number) for number in said.split()[1:]]
    return f'<tool_call>{{"name": "image_zoom_in_tool", "arguments": {{"bbox_2d": {box}, "label": "x", "img_idx": 0}}}}</tool_call>'


def graded(rollouts: tuple[Rollout, ...]) -> GradedGroup:
    members = tuple(GradedRollout(rollout, Grade(float(index))) for index, rollout in enumerate(rollouts))
    return GradedGroup(rollouts[0].problem, members)


async def test_logprobs_of_a_group_with_tools_equal_hugging_faces_own_forward(tiny_policy: Path, rollouts: tuple[Rollout, ...]) -> None:
    """Positions are computed by transformers over the whole sequence there, by us along trunk and branch."""
    batch = await SapoSignal("standardised", 1).batch([graded(rollouts)])
    (tree,) = batch.trees
    with torch.no_grad():
        ours, _ = Policy(tiny_policy, torch.float32, SoftmaxSettings())(TreeEncoder.on_cpu(tiny_policy)([tree.tree]))
    model = AutoModelForImageTextToText.from_pretrained(tiny_policy, dtype=torch.float32)
    processor = AutoImageProcessor.from_pretrained(tiny_policy)
    expected = []
    for rollout in rollouts:
        ids = torch.tensor([rollout.token_ids])
        pixels = processor(images=list(rollout.images), return_tensors="pt")
        types = (ids == model.config.image_token_id).int()
        with torch.no_grad():
            logits = model(input_ids=ids, **pixels, mm_token_type_ids=types).logits[0]
        chosen = torch.log_softmax(logits[:-1], -1).gather(1, ids[0, 1:, None])[:, 0]
        expected.append(chosen[torch.tensor(rollout.sampled_mask[1:])])
    torch.testing.assert_close(ours, torch.cat(expected), rtol=0, atol=1e-4)


async def test_the_vision_tower_sees_each_distinct_image_once(tiny_policy: Path, rollouts: tuple[Rollout, ...]) -> None:
    (tree,) = (await SapoSignal("standardised", 1).batch([graded(rollouts)])).trees
    inputs = TreeEncoder.on_cpu(tiny_policy)([tree.tree])
    assert inputs.vision is not None
    assert len(inputs.vision.grids) == 1 + 2 + 2  # the prompt's, and two crops in each of two rollouts
    assert len(inputs.vision.distinct_grids) == 1 + 2  # three of the crops are the same


async def test_an_update_encodes_each_distinct_image_once_however_many_rollouts_saw_it(
    tiny_policy: Path, rollouts: tuple[Rollout, ...]
) -> None:
    """Counted where the vision tower runs: patches of the prompt's image and of the two crops that differ."""
    learner = make_learner(tiny_policy)
    seen: list[int] = []
    tower = learner.optimization.policy.model.model.visual
    tower.patch_embed.register_forward_pre_hook(lambda module, arguments: seen.append(len(arguments[0])))
    learner.update(await SapoSignal("standardised", 1).batch([graded(rollouts * 2)]))
    distinct = {image.tobytes(): image for rollout in rollouts for image in rollout.images}
    assert len(distinct) == 3
    processor = PixelProcessor(tiny_policy)
    assert sum(seen) == sum(processor.num_patches(image) for image in distinct.values())


async def test_gradients_are_those_of_seeing_every_image_by_itself(tiny_policy: Path, rollouts: tuple[Rollout, ...]) -> None:
    (tree,) = (await SapoSignal("standardised", 1).batch([graded(rollouts)])).trees
    policy, encoder = Policy(tiny_policy, torch.float32, SoftmaxSettings()), TreeEncoder.on_cpu(tiny_policy)

    def gradient(trees: list[object]) -> torch.Tensor:
        policy.zero_grad()
        for one in trees:
            policy(encoder([one]))[0].sum().backward()  # type: ignore[list-item]
        weight = policy.model.model.visual.patch_embed.proj.weight
        assert weight.grad is not None
        return weight.grad.clone()

    apart = [replace(tree.tree, branches=(branch,)) for branch in tree.tree.branches]
    torch.testing.assert_close(gradient([tree.tree]), gradient(list(apart)), rtol=1e-4, atol=1e-5)


def test_left_out_rollouts_are_in_neither_the_groups_mean_nor_the_batch(rollouts: tuple[Rollout, ...]) -> None:
    group = graded(rollouts)
    masked = replace(group, members=(*group.members[:2], replace(group.members[2], left_out=True)))
    assert masked.rewards == (0.0, 1.0)
    batch = asyncio.run(SapoSignal("standardised", 1).batch([masked]))
    assert [len(branch.stretch) for branch in batch.trees[0].branches] == [
        len(rollout.token_ids) - len(rollout.segments[0].token_ids) for rollout in rollouts[:2]
    ]
    assert [branch.advantage for branch in batch.trees[0].branches] == pytest.approx([-1.0, 1.0])
