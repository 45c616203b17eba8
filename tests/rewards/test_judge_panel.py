"""Rubrics, comparisons, several samples, several judges: one outcome out of many marks."""

import asyncio
import json
from pathlib import Path

import PIL.Image
import pytest
from judge_server import PLAIN, Scripted, judge_at, judge_settings, serving, shown_to

from rewards.errors import RewardError
from rewards.judge.exhibit import references_of
from rewards.judge.settings import JudgeSettings
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.transcript import Transcript
from tasks.message import ExecutedCall, ImagePart, Json, Message, TextPart, ToolCall, text_message
from tasks.problem import Box, BoxesTarget, ChoiceTarget, CountTarget, Criterion, MathTarget, NumberTarget, RubricTarget, Target, TextTarget

TARGET = TextTarget(("Rayleigh scattering",))
RUBRIC = RubricTarget(
    (Criterion("It names scattering.", 2.0), Criterion("It names the wavelength."), Criterion("It blames the sea.", -1.0))
)


def transcript(answer: str = "Air scatters blue light most.") -> Transcript:
    return Transcript((text_message("user", "Why is the sky blue?"),), (text_message("assistant", answer),))


async def grade(settings: JudgeSettings, target: Target = TARGET, seen: Transcript | None = None) -> Outcome:
    judge = judge_at(settings)
    try:
        return await judge.grade(target, seen or transcript())
    finally:
        judge.close()


def marks(**fields: Json) -> Scripted:
    return Scripted(json.dumps({"reason": "", "canary": "CANARY", **fields}))


async def test_a_rubric_is_the_weighted_share_of_its_criteria_and_a_fault_costs() -> None:
    cases = {("yes", "no", "no"): 2 / 3, ("yes", "yes", "yes"): 2 / 3, ("no", "no", "yes"): 0.0, ("yes", "yes", "no"): 1.0}
    for said, reward in cases.items():
        async with serving(marks(criterion_1=said[0], criterion_2=said[1], criterion_3=said[2])) as server:
            outcome = await grade(judge_settings(server.url, template="rubric"), RUBRIC)
        assert isinstance(outcome, Grade)
        assert outcome.reward == pytest.approx(reward)
        assert outcome.verdict is (reward >= 0.7)
        assert outcome.parts == {f"criterion_{number}": float(word == "yes") for number, word in enumerate(said, 1)}
    schema = server.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["required"] == ["reason", "canary", "criterion_1", "criterion_2", "criterion_3"]
    assert "It blames the sea." in shown_to(server.bodies[0])


async def test_a_rubric_without_a_mark_for_every_criterion_is_no_grade() -> None:
    async with serving(marks(criterion_1="yes", criterion_2="yes")) as server:
        outcome = await grade(judge_settings(server.url, template="rubric"), RUBRIC)
    assert isinstance(outcome, Ungraded)
    assert (outcome.reason, outcome.detail[:14]) == ("judge-unparsable", "no criterion_3")


async def test_the_marks_of_a_rubric_may_stand_on_lines() -> None:
    async with serving(Scripted("Well.\n- Canary: CANARY\n- criterion_1: yes\n- **criterion_2**: no\ncriterion_3: No.")) as server:
        outcome = await grade(judge_settings(server.url, template="rubric"), RUBRIC)
    assert isinstance(outcome, Grade)
    assert outcome.reward == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("template", "target", "reason"),
    [("rubric", TARGET, "missing-criteria"), (PLAIN, RUBRIC, "unread-criteria"), ("pairwise", TextTarget(()), "missing-reference")],
)
async def test_a_template_that_does_not_fit_the_target_asks_nothing(template: str, target: Target, reason: str) -> None:
    async with serving(Scripted()) as server:
        outcome = await grade(judge_settings(server.url, template=template), target)
    assert isinstance(outcome, Ungraded)
    assert (outcome.reason, server.bodies) == (reason, [])


@pytest.mark.parametrize(
    ("as_first", "as_second", "reward", "verdict"),
    [
        ("A", "B", 1.0, True),
        ("B", "A", 0.0, False),
        ("A", "A", 0.5, True),
        ("B", "B", 0.5, True),
        ("tie", "B", 0.75, True),
        ("tie", "A", 0.25, False),
    ],
)
async def test_two_answers_are_compared_in_both_orders(as_first: str, as_second: str, reward: float, verdict: bool) -> None:
    def script(number: int, body: dict) -> Scripted:
        shown = shown_to(body)
        answer_first = shown.index("Air scatters") < shown.index("Rayleigh")
        return marks(winner=as_first if answer_first else as_second)

    async with serving(script) as server:
        outcome = await grade(judge_settings(server.url, template="pairwise"))
    assert isinstance(outcome, Grade)
    assert (outcome.reward, outcome.verdict, len(server.bodies)) == (reward, verdict, 2)
    assert set(outcome.parts) == {"shown_first", "shown_second"}


async def test_votes_are_averaged_and_each_sample_has_its_seed() -> None:
    said = {0: 10, 1: 8, 2: 3}
    async with serving(lambda number, body: marks(score=said[body["seed"]])) as server:
        settings = judge_settings(server.url, samples=3, temperature=0.7)
        outcome = await grade(settings)
        majority = await grade(judge_settings(server.url, samples=3, temperature=0.7, aggregate="majority"))
    assert isinstance(outcome, Grade)
    assert outcome.reward == pytest.approx(0.7)
    assert outcome.verdict is True
    assert outcome.parts == pytest.approx({"score": 7.0, "votes": 3.0, "agreement": 2 / 3})
    assert isinstance(majority, Grade)
    assert majority.reward == 1.0


async def test_a_tie_of_votes_is_not_right() -> None:
    async with serving(lambda number, body: marks(score=10 * body["seed"])) as server:
        outcome = await grade(judge_settings(server.url, samples=2, temperature=0.7))
    assert isinstance(outcome, Grade)
    assert (outcome.reward, outcome.verdict) == (0.5, False)


async def test_more_than_half_of_the_votes_must_be_there() -> None:
    async def lost(number_lost: int) -> Outcome:
        script = lambda number, body: Scripted("") if body["seed"] < number_lost else marks(score=10)  # noqa: E731
        async with serving(script) as server:
            return await grade(judge_settings(server.url, samples=4, temperature=0.7))

    assert isinstance(await lost(1), Grade)
    outcome = await lost(2)
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "judge-empty"


async def test_several_judges_count_alike_whatever_each_is_like() -> None:
    def script(number: int, body: dict) -> Scripted:
        return marks(score={"one": 10, "two": 4, "three": "yes"}[body["model"]])

    async with serving(script) as server, serving(script) as other:
        panel: Json = [{"model": "one"}, {"model": "two", "base_url": other.url}, {"model": "three", "template": "reference_yes_no"}]
        outcome = await grade(judge_settings(server.url, judges=panel))
    assert isinstance(outcome, Grade)
    assert outcome.reward == pytest.approx((1.0 + 0.4 + 1.0) / 3)
    assert outcome.verdict is True
    assert outcome.parts["votes"] == 3.0
    assert [body["model"] for body in other.bodies] == ["two"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"judges": [{"modle": "one"}]},
        {"judges": {}},
        {"judges": [{"temperature": "hot"}]},
        {"samples": 3},
        {"aggregate": "sum"},
        {"extra_body": 1},
    ],
)
def test_a_panel_that_cannot_be_served_is_an_error(wrong: dict[str, Json]) -> None:
    with pytest.raises(RewardError, match="judge"):
        judge_settings("http://localhost:1/v1", **wrong)


async def test_the_mark_to_pass_and_the_weights_may_be_others_than_the_templates() -> None:
    async with serving(marks(feedback=10, steps=4)) as server:
        even = await grade(judge_settings(server.url, template="trajectory"))
        strict = await grade(judge_settings(server.url, template="trajectory", pass_at=8.0))
        steps = await grade(judge_settings(server.url, template="trajectory", weights={"steps": 3}))
    assert isinstance(even, Grade)
    assert (even.reward, even.verdict) == (0.7, True)
    assert isinstance(strict, Grade)
    assert (strict.reward, strict.verdict) == (0.7, False)
    assert isinstance(steps, Grade)
    assert steps.reward == pytest.approx((10 + 3 * 4) / 40)
    with pytest.raises(RewardError, match="did you mean 'steps'"):
        judge_at(judge_settings(server.url, template="trajectory", weights={"step": 3}))


async def test_a_parser_of_ones_own_reads_what_no_other_does(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("def read(text):\n    return {'score': 10 * ('[Correct]' in text)} if '[' in text else None\n")
    async with serving(Scripted("[Correct]")) as server:
        assert isinstance(await grade(judge_settings(server.url)), Ungraded)
        outcome = await grade(judge_settings(server.url, parser=f"{tmp_path}/mine.py:read"))
    assert isinstance(outcome, Grade)
    assert outcome.reward == 1.0


async def test_the_strict_parser_takes_one_json_object_and_nothing_else() -> None:
    async with serving(Scripted('Right.\n{"score": 8}')) as server:
        assert isinstance(await grade(judge_settings(server.url)), Grade)
        outcome = await grade(judge_settings(server.url, parser="json"))
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "judge-unparsable"


async def test_the_whole_trajectory_is_shown_with_its_calls_responses_and_images() -> None:
    scene, crop = PIL.Image.new("RGB", (8, 8), "red"), PIL.Image.new("RGB", (4, 4), "blue")
    call = ToolCall("image_zoom_in_tool", {"bbox_2d": [0, 0, 500, 500], "label": "sign"})
    seen = Transcript(
        (text_message("system", "You may call tools."), Message("user", (ImagePart(scene), TextPart("What does the sign say?")))),
        (
            Message("assistant", (TextPart("<think>Too small.</think>"),), (call,)),
            Message("tool", (TextPart("Here is the crop."), ImagePart(crop))),
            text_message("assistant", "<think>It reads 7.</think>7"),
        ),
        (ExecutedCall(call, True, 0.1),),
    )
    async with serving(marks(feedback=9, steps=8)) as server:
        outcome = await grade(judge_settings(server.url, template="trajectory"), TextTarget(("7",)), seen)
    assert isinstance(outcome, Grade)
    assert outcome.reward == pytest.approx(0.85)
    assert outcome.parts == {"feedback": 9.0, "steps": 8.0}
    shown = shown_to(server.bodies[0])
    in_order = [
        "Too small.",
        "Assistant calls a tool:",
        '"bbox_2d": [0, 0, 500, 500]',
        "Tool response (image 2):",
        "Here is the crop.",
        "It reads 7.",
    ]
    places = [shown.index(text) for text in in_order]
    assert places == sorted(places)
    assert "You may call tools." not in shown
    parts = server.bodies[0]["messages"][1]["content"]
    assert [part.get("text") for part in parts[:4]] == ["Image 1:", None, "Image 2:", None]


@pytest.mark.parametrize(
    ("target", "reference"),
    [
        (MathTarget("x^2"), "x^2"),
        (ChoiceTarget("B", ("red", "green")), "B. green"),
        (ChoiceTarget("B"), "B"),
        (CountTarget(3), "3"),
        (TextTarget(("a", "b")), "a"),
        (NumberTarget(2.5), '{"value": 2.5, "absolute": 0.0, "relative": 1e-06}'),
        (BoxesTarget((Box(1, 2, 3, 4, "cat"),)), '{"boxes": [{"x1": 1, "y1": 2, "x2": 3, "y2": 4, "label": "cat"}], "size": null}'),
    ],
)
def test_a_judge_can_read_every_kind_of_target(target: Target, reference: str) -> None:
    assert references_of(target)[0] == reference


async def test_requests_keep_to_the_rate() -> None:
    loop = asyncio.get_running_loop()
    async with serving(Scripted()) as server:
        judge = judge_at(judge_settings(server.url, requests_per_minute=120))
        start = loop.time()
        outcomes = await asyncio.gather(*(judge.grade(TARGET, transcript(f"answer {number}")) for number in range(123)))
        assert loop.time() - start >= 1.0
    assert all(isinstance(outcome, Grade) for outcome in outcomes)


async def test_tokens_keep_to_the_rate() -> None:
    loop = asyncio.get_running_loop()
    async with serving(Scripted()) as server:
        judge = judge_at(judge_settings(server.url, tokens_per_minute=60_000, max_tokens=30_300))
        start = loop.time()
        await asyncio.gather(*(judge.grade(TARGET, transcript(answer)) for answer in ("one", "two")))
        assert loop.time() - start >= 0.6
    assert len(server.bodies) == 2


async def test_what_else_a_server_needs_goes_along() -> None:
    async with serving(Scripted()) as server:
        await grade(judge_settings(server.url, extra_body={"chat_template_kwargs": {"enable_thinking": False}}))
    assert server.bodies[0]["chat_template_kwargs"] == {"enable_thinking": False}
