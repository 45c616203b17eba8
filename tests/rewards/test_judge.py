"""The judge against a real server: what it sends, what comes back, and what happens when nothing does."""

import asyncio
import base64
import hashlib
import io
from pathlib import Path

import PIL.Image
import pytest
from judge_server import PLAIN, JudgeServer, Scripted, judge_at, judge_settings, serving

from rewards.errors import RewardError
from rewards.isolation import RewardPool
from rewards.judge.judging import Judge
from rewards.judge.reward import judge_of
from rewards.judge.settings import JudgeSettings
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.registry import find
from rewards.transcript import Transcript
from tasks.message import ImagePart, Json, Message, TextPart, text_message
from tasks.problem import RubricTarget, TextTarget

TARGET = TextTarget(("Rayleigh scattering",))


def transcript(answer: str = "Air scatters blue light most.") -> Transcript:
    return Transcript((text_message("user", "Why is the sky blue?"),), (text_message("assistant", answer),))


async def grades(settings: JudgeSettings, *answers: str) -> list[Outcome]:
    judge = judge_at(settings)
    outcomes = await asyncio.gather(*(judge.grade(TARGET, transcript(answer)) for answer in answers))
    judge.close()
    return outcomes


async def test_the_judge_sees_question_reference_and_the_answer_after_the_thinking() -> None:
    async with serving(Scripted('{"reason": "good", "score": 8}')) as server:
        outcome = (await grades(judge_settings(server.url), "<think>secret plan</think>Air scatters blue light."))[0]
    assert outcome == Grade(0.8, True, "Air scatters blue light.", {"score": 8.0})
    shown = server.bodies[0]["messages"][1]["content"]
    assert "Why is the sky blue?" in shown
    assert "Rayleigh scattering" in shown
    assert "secret plan" not in shown
    assert server.bodies[0]["temperature"] == 0.0


async def test_the_verdict_is_right_from_the_mark_of_the_template_on() -> None:
    async with serving(lambda number, body: Scripted(f"Score: {6 + number}")) as server:
        first = (await grades(judge_settings(server.url), "one"))[0]
        second = (await grades(judge_settings(server.url), "two"))[0]
    assert (first, second) == (Grade(0.6, False, "one", {"score": 6.0}), Grade(0.7, True, "two", {"score": 7.0}))


async def test_a_template_may_ask_for_yes_or_no() -> None:
    async with serving(Scripted('{"reason": "same", "canary": "CANARY", "score": "yes"}')) as server:
        outcome = (await grades(judge_settings(server.url, template="reference_yes_no"), "blue"))[0]
    assert outcome == Grade(1.0, True, "blue", {"score": 1.0})
    schema = server.bodies[0]["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["score"] == {"type": "string", "enum": ["yes", "no"]}


async def test_images_go_along_as_data_urls() -> None:
    image = PIL.Image.new("RGB", (3, 2), (200, 10, 10))
    seen = Transcript((Message("user", (ImagePart(image), TextPart("Which colour?"))),), (text_message("assistant", "red"),))
    async with serving(Scripted()) as server:
        settings = judge_settings(server.url)
        await judge_at(settings).grade(TARGET, seen)
    label, part, _ = server.bodies[0]["messages"][1]["content"]
    assert label["text"] == "Image 1:"
    head, data = part["image_url"]["url"].split(",")
    assert head == "data:image/png;base64"
    sent = PIL.Image.open(io.BytesIO(base64.b64decode(data)))
    assert (sent.size, sent.getpixel((0, 0))) == ((3, 2), (200, 10, 10))


@pytest.mark.parametrize("failure", [Scripted(status=429, body="{}"), Scripted(status=503, body="busy"), Scripted(status=500, body="")])
async def test_a_server_that_is_busy_is_asked_again(failure: Scripted) -> None:
    async with serving(lambda number, body: failure if number == 0 else Scripted()) as server:
        assert isinstance((await grades(judge_settings(server.url), "blue"))[0], Grade)
    assert len(server.bodies) == 2


async def test_a_server_that_says_when_is_asked_again_then() -> None:
    busy = Scripted(status=429, body="{}", headers={"retry-after": "1"})
    loop = asyncio.get_running_loop()
    async with serving(lambda number, body: busy if number == 0 else Scripted()) as server:
        start = loop.time()
        await grades(judge_settings(server.url), "blue")
        assert loop.time() - start >= 1.0


async def test_a_server_that_never_answers_in_time_is_a_timeout() -> None:
    async with serving(Scripted(delay_s=30)) as server:
        outcome = (await grades(judge_settings(server.url, request_timeout_s=0.5, attempts=2), "blue"))[0]
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "judge-timeout"


@pytest.mark.parametrize(
    ("answer", "reason", "asked"),
    [
        (Scripted(body="<html>proxy</html>"), "judge-garbage", 1),
        (Scripted(body="{}"), "judge-garbage", 1),
        (Scripted(status=401, body='{"error": {"message": "no such key"}}'), "judge-rejected", 1),
        (Scripted(status=503, body="busy"), "judge-unreachable", 2),
        (Scripted("I cannot grade this."), "judge-refusal", 1),
        (Scripted("", refusal="No."), "judge-refusal", 1),
        (Scripted(""), "judge-empty", 1),
        (Scripted("Score: seven"), "judge-text-number", 1),
        (Scripted('{"score": 100}'), "judge-out-of-range", 1),
        (Scripted('{"sco', finish_reason="length"), "judge-cut", 1),
    ],
)
async def test_every_failure_is_ungraded_with_its_own_reason(answer: Scripted, reason: str, asked: int) -> None:
    async with serving(answer) as server:
        outcome = (await grades(judge_settings(server.url, attempts=2), "blue"))[0]
    assert isinstance(outcome, Ungraded)
    assert (outcome.reason, len(server.bodies)) == (reason, asked)


async def test_no_server_at_all_is_unreachable() -> None:
    async with serving(Scripted()) as server:
        url = server.url
    outcome = (await grades(judge_settings(url, attempts=1), "blue"))[0]
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "judge-unreachable"
    assert url in outcome.detail


async def test_a_server_without_structured_output_is_asked_without_and_remembered() -> None:
    def script(number: int, body: dict) -> Scripted:
        return Scripted(status=400, body="{}") if "response_format" in body else Scripted("Right.\nScore: 9")

    async with serving(script) as server:
        outcomes = await grades(judge_settings(server.url, concurrency=1), "one", "two")
    assert [outcome.reward for outcome in outcomes if isinstance(outcome, Grade)] == [0.9, 0.9]
    assert ["response_format" in body for body in server.bodies] == [True, False, False]


async def test_no_more_requests_are_in_flight_than_allowed() -> None:
    async with serving(Scripted(delay_s=0.02)) as server:
        await grades(judge_settings(server.url, concurrency=3), *map(str, range(12)))
    assert (len(server.bodies), server.most_at_once) == (12, 3)


async def test_the_budget_in_calls_is_kept_to_the_call() -> None:
    async with serving(Scripted()) as server:
        outcomes = await grades(judge_settings(server.url, max_calls=5), *map(str, range(12)))
    assert len(server.bodies) == 5
    assert sum(isinstance(outcome, Grade) for outcome in outcomes) == 5
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Ungraded)} == {"judge-budget"}


async def test_another_attempt_costs_a_call_too() -> None:
    async with serving(Scripted(status=500, body="")) as server:
        outcome = (await grades(judge_settings(server.url, max_calls=2, attempts=5), "blue"))[0]
    assert isinstance(outcome, Ungraded)
    assert (outcome.reason, len(server.bodies)) == ("judge-budget", 2)


async def test_the_budget_in_tokens_stops_after_the_answers_in_flight() -> None:
    async with serving(Scripted(tokens=100)) as server:
        outcomes = await grades(judge_settings(server.url, max_total_tokens=250, concurrency=1), *map(str, range(6)))
    assert [isinstance(outcome, Grade) for outcome in outcomes] == [True, True, True, False, False, False]


async def test_tokens_are_estimated_where_the_server_counts_none() -> None:
    async with serving(Scripted(tokens=None)) as server:
        outcomes = await grades(judge_settings(server.url, max_total_tokens=1, concurrency=1), "one", "two")
    assert [isinstance(outcome, Grade) for outcome in outcomes] == [True, False]


async def test_the_registered_reward_grades_through_the_pool(server_key: str) -> None:
    async with serving(Scripted()) as server, RewardPool(timeout_s=120) as pool:
        spec = find("judge")
        assert (spec.is_async, spec.images) == (True, True)
        assert {TextTarget, RubricTarget} <= set(spec.targets)
        outcome = await pool.grade(judge_spec(server, model="judge-1"), TARGET, transcript())
    assert isinstance(outcome, Grade)
    assert outcome.reward == 0.8
    assert server.keys == [f"bearer {server_key}"]


async def test_a_slow_judge_ends_at_its_own_limit_not_the_pools() -> None:
    async with serving(Scripted(delay_s=1.5)) as server, RewardPool(timeout_s=0.2) as pool:
        patient = await pool.grade(judge_spec(server, model="patient", request_timeout_s=30.0), TARGET, transcript())
        hasty = await pool.grade(judge_spec(server, model="hasty", request_timeout_s=0.3, attempts=1), TARGET, transcript())
    assert isinstance(patient, Grade)
    assert hasty == Ungraded("judge-timeout", "1 attempts of 0.3 s")


async def test_waiting_for_a_slot_costs_no_time_limit() -> None:
    async with serving(Scripted(delay_s=0.3)) as server, RewardPool(timeout_s=0.5) as pool:
        spec = judge_spec(server, model="queue", concurrency=1, request_timeout_s=2.0, attempts=1)
        outcomes = await pool.grade_many([(spec, TARGET, transcript(f"answer {number}")) for number in range(8)])
    assert all(isinstance(outcome, Grade) for outcome in outcomes)


async def test_judges_of_equal_settings_share_their_budget() -> None:
    async with serving(Scripted()) as server:
        settings = judge_settings(server.url, max_calls=1)
        first = await judge_of(settings).grade(TARGET, transcript("one"))
        again = await judge_of(judge_settings(server.url, max_calls=1)).grade(TARGET, transcript("two"))
    assert isinstance(first, Grade)
    assert isinstance(again, Ungraded)


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "reply"},
        {"model": ""},
        {"base_url": ""},
        {"mode": "replay"},
        {"concurrency": 0},
        {"request_timeout_s": 0.0},
        {"max_calls": -1},
    ],
)
def test_settings_that_cannot_be_served_are_an_error_that_says_which(wrong: dict) -> None:
    with pytest.raises(RewardError, match="judge"):
        judge_settings(**{"url": "http://localhost:1/v1", **wrong})


def test_an_unknown_template_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(RewardError, match="did you mean 'reference_points'"):
        Judge(judge_settings("http://localhost:1/v1", template="reference_point"), _never)


@pytest.fixture
def server_key(monkeypatch: pytest.MonkeyPatch) -> str:
    key = hashlib.sha256(b"key").hexdigest()
    monkeypatch.setenv("OPENAI_API_KEY", key)
    return key


def judge_spec(server: JudgeServer, **settings: Json) -> RewardSpec:
    return RewardSpec((Component("judge", settings={"base_url": server.url, "template": PLAIN, "controls": False, **settings}),))


async def _never(member: object, request: object) -> Ungraded:
    raise AssertionError("nothing may be asked")
