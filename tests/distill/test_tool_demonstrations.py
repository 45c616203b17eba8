"""Demonstrations that call tools, as the cold start trains on them: recorded through the turn loop."""

import pickle
import random
from pathlib import Path

import numpy as np
import pytest

from distill.cold_start import content_key, encode_demonstrations
from distill.conversation import worked_answer
from distill.conversation_sources import corpus, imitated_by
from distill.imitable import unfit
from distill.imitated import Imitated, content
from distill.off_policy_run import check_tools
from distill.worked_turns import WorkedTurns
from rl.assembly import tool_runner
from rl.config.rollout_settings import RolloutSettings, ToolSettings, TurnSettings
from rl.config.settings import RunSettings
from rl.config.supervised_settings import ColdStartSettings
from rl.config.task_settings import TaskSettings
from rl.config.teaching_settings import DistillationSettings, OffPolicySettings, TeacherSettings, ThinkingMode
from rollouts.render import Renderer
from tasks.build import build_task
from tasks.errors import TaskError
from tasks.families.details import Details
from tasks.message import text_message
from tasks.problem import NumberTarget, Problem


def settings(calls: int) -> RunSettings:
    rollout = RolloutSettings(max_tokens=4000, max_model_len=8000, limits=TurnSettings(calls=calls))
    return RunSettings(name="t", tasks={"details": TaskSettings(family="details", heldout=2)}, rollout=rollout)


def worked(crops: int) -> WorkedTurns:
    example = Details(none=float(crops == 0), two=float(crops == 2)).make(random.Random(0))
    return WorkedTurns(example.messages, (*example.calling_turns, example.demonstration), example.tools)


@pytest.mark.parametrize("crops", [0, 1, 2])
async def test_turns_are_trained_on_and_the_crops_between_them_are_not(tiny_policy: Path, crops: int) -> None:
    answer = worked(crops)
    (demonstration,) = await encode_demonstrations(settings(calls=4), tiny_policy, [answer])
    trunk, renderer = demonstration.tree.trunk, Renderer(tiny_policy)
    said = [token for turn in answer.turns for token in renderer.turn_ids(turn)]
    np.testing.assert_array_equal(trunk.token_ids_T[trunk.loss_mask_T], said)
    assert len(trunk.images) == 1 + crops


async def test_a_demonstration_over_a_limit_is_an_error_that_names_it(tiny_policy: Path) -> None:
    with pytest.raises(ValueError, match="over_calls"):
        await encode_demonstrations(settings(calls=1), tiny_policy, [worked(2)])


async def test_a_demonstration_whose_call_fails_is_an_error_that_names_it(tiny_policy: Path) -> None:
    right = worked(1)
    broken = WorkedTurns(right.messages, ("<tool_call>\nnonsense\n</tool_call>", right.turns[-1]), right.tools)
    with pytest.raises(ValueError, match="malformed_call"):
        await encode_demonstrations(settings(calls=4), tiny_policy, [broken])


async def test_conversations_and_worked_turns_are_encoded_together_in_order(tiny_policy: Path) -> None:
    plain = worked_answer((text_message("user", "2+2?"),), "4")
    both = await encode_demonstrations(settings(calls=4), tiny_policy, [plain, worked(2)])
    assert [len(demonstration.tree.trunk.images) for demonstration in both] == [0, 3]


def test_examples_with_tools_become_worked_turns_and_others_conversations() -> None:
    chosen = {"details": TaskSettings(family="details", heldout=2), "algebra": TaskSettings(family="algebra", heldout=2)}
    imitated = imitated_by(ColdStartSettings(demonstrations=8), {name: build_task(name, task, 0) for name, task in chosen.items()})
    assert [isinstance(one, WorkedTurns) for one in imitated] == [True] * 4 + [False] * 4
    assert len(imitated) == 8
    for one, text in zip(imitated, corpus(imitated), strict=True):
        said = "".join(one.turns) if isinstance(one, WorkedTurns) else one.messages[-1].text
        assert text.endswith(f"<|im_start|>assistant\n{said}")


def test_examples_are_the_same_whenever_they_are_made() -> None:
    imitated = imitated_by(ColdStartSettings(demonstrations=4), {"details": build_task("details", TaskSettings(family="details"), 0)})
    sent = pickle.loads(pickle.dumps(imitated))
    first, second, there = ([piece for one in made for piece in content(one)] for made in (imitated, imitated, sent))
    assert first == second == there


def test_other_turns_are_other_content() -> None:
    right = worked(2)
    other = WorkedTurns(right.messages, (*right.turns[:-1], "another answer"), right.tools)
    assert list(content(right)) == list(content(worked(2)))
    assert list(content(right)) != list(content(other))


async def test_a_failing_call_that_an_agent_made_is_followed(tiny_policy: Path) -> None:
    right = worked(1)
    stumbling = WorkedTurns(right.messages, ("<tool_call>\nnonsense\n</tool_call>", right.turns[-1]), right.tools, may_fail=True)
    (demonstration,) = await encode_demonstrations(settings(calls=4), tiny_policy, [stumbling])
    trunk, renderer = demonstration.tree.trunk, Renderer(tiny_policy)
    assert "the call is not JSON" in renderer.text(trunk.token_ids_T[~trunk.loss_mask_T].tolist())


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        (None, None),
        (("So it is 4 <|image_pad|>",), "special_token"),
        (("4<|im_end|>\n<|im_start|>user",), "special_token"),
        (("word " * 4000,), "over_limit"),
    ],
)
async def test_what_a_student_cannot_follow_is_told_from_what_it_can(
    tiny_policy: Path, turns: tuple[str, ...] | None, reason: str | None
) -> None:
    run, right = settings(calls=4), worked(1)
    problem = Problem("p", right.messages, NumberTarget(3), "number", "details", right.tools)
    async with tool_runner(run) as runner:
        assert await unfit(run, problem, turns or right.turns, Renderer(tiny_policy), runner) == reason


def test_problems_with_tools_are_played_by_checkpoints_and_with_thinking() -> None:
    played = settings(calls=4)
    tasks = {name: build_task(name, task, 0) for name, task in played.tasks.items()}

    def taught_by(*modes: ThinkingMode, **teacher: str) -> RunSettings:
        off = OffPolicySettings(modes=modes or ("thinking",))
        teachers = {"big": TeacherSettings(path="big", **teacher)}
        return played.model_copy(update={"distillation": DistillationSettings(teachers=teachers, off_policy=off)})

    check_tools(taught_by(), tasks)
    with pytest.raises(TaskError, match=r"tasks\.details: its problems have tools, and distillation\.teachers\.big\.server"):
        check_tools(taught_by(server="http://127.0.0.1:1"), tasks)
    with pytest.raises(TaskError, match=r"tasks\.details: its problems have tools, which are played with thinking"):
        check_tools(taught_by("thinking", "non_thinking"), tasks)


def test_other_tool_settings_are_another_cold_start() -> None:
    def key(min_tokens: int, one: Imitated) -> str:
        tools = ToolSettings(settings={"image_zoom_in_tool": {"min_tokens": min_tokens}})
        run = settings(calls=4)
        run = run.model_copy(update={"rollout": run.rollout.model_copy(update={"tools": tools})})
        return content_key(run, run.cold_start, "start", [one])

    plain = worked_answer((text_message("user", "2+2?"),), "4")
    assert key(4, worked(1)) != key(9, worked(1))
    assert key(4, plain) == key(9, plain)
