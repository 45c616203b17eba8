import math

import pytest
from PIL import Image
from reward_calls import response

from rewards.adapters import as_trl, as_verl, call_trl, call_verl
from rewards.grading import grade_here
from rewards.outcome import Grade, Ungraded
from tasks.problem import MathTarget

TEXTS = [r"\boxed{42}", "<think>no</think>\nThe answer is $42$", r"\boxed{41}", "", "no idea"]


def test_a_trl_reward_gives_here_what_trl_gets_from_it() -> None:
    from trl.rewards import accuracy_reward, think_format_reward

    for text in TEXTS:
        completion = [[{"role": "assistant", "content": text}]]
        for function in (accuracy_reward, think_format_reward):
            theirs = function(prompts=["?"], completions=completion, completion_ids=[[]], solution=["42"])[0]
            assert call_trl(function, MathTarget("42"), response(text), pass_at=1.0) == Grade(theirs, theirs >= 1.0)


def test_a_trl_reward_that_abstains_is_ungraded() -> None:
    assert call_trl(lambda completions, **_: [None], MathTarget("42"), response("42")) == Ungraded("abstained")
    outcome = call_trl(lambda completions, **_: [1.0, 1.0], MathTarget("42"), response("42"))
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "bad-return"


def test_a_verl_function_gives_here_what_verl_gets_from_it() -> None:
    from verl.utils.reward_score import default_compute_score

    for text in ["#### 42", "#### 41", "nothing"]:
        theirs = default_compute_score("openai/gsm8k", text, "42", {})
        assert call_verl(default_compute_score, MathTarget("42"), response(text), data_source="openai/gsm8k") == Grade(theirs)


def test_a_verl_dict_is_reward_verdict_and_parts() -> None:
    outcome = call_verl(lambda **_: {"score": 0.5, "acc": 1, "overlong": -0.25, "note": "x"}, MathTarget("42"), response("42"))
    assert outcome == Grade(0.5, True, None, {"overlong": -0.25})


def test_a_reward_of_ours_is_a_trl_function_called_as_the_trainer_calls_it() -> None:
    function = as_trl({"math": 1.0, "format": 0.2}, timeout_s=60)
    assert function.__name__ == "math+format"
    conversations = [[{"role": "assistant", "content": text}] for text in TEXTS]
    prompts = [[{"role": "user", "content": "?"}]] * len(TEXTS)
    rewards = function(
        prompts=prompts, completions=conversations, completion_ids=[[1]] * len(TEXTS), solution=["42"] * len(TEXTS), trainer_state=None
    )
    plain = function(prompts=["?"] * len(TEXTS), completions=TEXTS, solution=["42"] * len(TEXTS))
    ours = [grade_here({"math": 1.0, "format": 0.2}, MathTarget("42"), response(text)) for text in TEXTS]
    assert rewards == plain == [outcome.reward for outcome in ours if isinstance(outcome, Grade)]
    assert function(completions=["42"], solution=[None]) == [None]


def test_the_turns_of_a_trl_agent_may_have_images_and_tool_calls() -> None:
    picture = Image.new("RGB", (8, 8))
    prompt = [{"role": "user", "content": [{"type": "image", "image": picture}, {"type": "text", "text": "How many?"}]}]
    call = {"type": "function", "function": {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [0, 0, 9, 9]}}}
    completion = [
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "name": "image_zoom_in_tool", "content": "ok"},
        {"role": "assistant", "content": [{"type": "text", "text": r"\boxed{42}"}]},
    ]
    assert as_trl("math", timeout_s=60)(prompts=[prompt], completions=[completion], solution=["42"]) == [1.0]
    unanswered = completion[:1]
    assert as_trl("math", timeout_s=60)(prompts=[prompt], completions=[unanswered], solution=["42"]) == [0.0]


@pytest.mark.parametrize(("gold", "score", "ungraded"), [("42", 1.0, 0.0), ("41", 0.0, 0.0), (None, 0.0, 1.0)])
async def test_a_reward_of_ours_is_a_verl_compute_score(gold: str | None, score: float, ungraded: float) -> None:
    compute_score = as_verl("math", timeout_s=60)
    found = await compute_score(
        data_source="x", solution_str=r"\boxed{42}", ground_truth=gold, extra_info={"index": 1}, reward_router_address=None
    )
    assert (found["score"], found["ungraded"]) == (score, ungraded)
    assert set(found) == {"score", "acc", "ungraded", "ungraded_reason"}
    assert not math.isnan(float(found["acc"]))
