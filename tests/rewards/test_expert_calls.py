"""`python -m rewards.targets`: estimates of tool calls, asked of a server, recorded, and read by tasks."""

import asyncio
import base64
import io
import json
from pathlib import Path

import PIL.Image
import pyarrow
import pyarrow.parquet
import pytest
from judge_server import JudgeServer, Scripted, canary_in, forbid_sockets, serving, shown_to

from rewards.errors import RewardError
from rewards.judge.budget import Budget
from rewards.judge.expert import Estimate, Expert, expert_settings
from rewards.judge.reward import servers_of
from rewards.mixture import check_target
from rewards.outcome import Ungraded
from rewards.targets import main
from rl.config.task_settings import TaskSettings
from tasks.datafile import load_problems
from tasks.message import Json, text_message
from tasks.problem import MathTarget, MissingTarget

VOTES = {"How many apples?": [0, 0, 0, 0, 0], "Which digit is on the sign?": [1, 1, 2, 1, 0], "Which sign is larger?": [2, 3, 2, 2, 2]}
ROWS: tuple[dict[str, Json], ...] = tuple({"prompt": prompt, "target": str(number), "note": "生"} for number, prompt in enumerate(VOTES))


def by_question(number: int, body: dict) -> Scripted:
    calls = next(votes for prompt, votes in VOTES.items() if prompt in shown_to(body))[body["seed"]]
    return Scripted(json.dumps({"reason": "", "canary": canary_in(body), "calls": calls}))


def write(path: Path, *rows: object) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def estimate(server: JudgeServer | None, data: Path, *arguments: str) -> int:
    """The command in a thread, since it has an event loop of its own."""
    endpoint = [f"judge.base_url={server.url}"] if server else []
    return await asyncio.to_thread(main, [f"data={data}", "judge.model=strong", "judge.attempts=1", *endpoint, *arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return write(tmp_path / "problems.jsonl", *ROWS)


async def test_the_median_of_the_votes_stands_beside_each_problem_and_tasks_read_it(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(by_question) as server:
        assert await estimate(server, data) == 0
    out = data.with_name("problems.targets.jsonl")
    assert lines(out) == [
        {**row, "expected_calls": calls, "expected_calls_votes": votes}
        for row, calls, votes in zip(ROWS, (0, 1, 2), VOTES.values(), strict=True)
    ]
    assert {body["temperature"] for body in server.bodies} == {0.7}
    assert "3 estimated, 1 of them with all votes alike" in capsys.readouterr().out
    problems = load_problems(TaskSettings(data=str(out), heldout=1, pool=9), "mine")
    asked = {problem.messages[0].text: problem.expected_calls for problem in (*problems.train, *problems.heldout)}
    assert asked == dict(zip(VOTES, (0, 1, 2), strict=True))


async def test_a_replay_without_a_socket_gives_the_same_bytes_and_a_strict_one_names_what_is_missing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with serving(by_question) as server:
        assert await estimate(server, data) == 0
    out, record = data.with_name("problems.targets.jsonl"), data.with_name("problems.targets.judge.sqlite")
    forbid_sockets(monkeypatch)
    again = tmp_path / "again.jsonl"
    assert await estimate(None, data, "judge.mode=replay_strict", f"judge.record={record}", f"out={again}") == 0
    assert again.read_bytes() == out.read_bytes()
    missing = ("judge.mode=replay_strict", f"judge.record={record}", "judge.samples=6", f"out={tmp_path / 'none.jsonl'}")
    assert await estimate(None, data, *missing) == 2
    assert "strict replay: request " in capsys.readouterr().err
    assert not (tmp_path / "none.jsonl").exists()
    assert not list(tmp_path.glob(".*.part"))


async def test_what_is_recorded_is_not_asked_again_and_a_row_that_has_its_number_keeps_it(data: Path, tmp_path: Path) -> None:
    async with serving(by_question) as server:
        assert await estimate(server, data) == 0
        assert await estimate(server, data) == 0
        assert len(server.bodies) == 15
        mixed = write(tmp_path / "mixed.jsonl", {**ROWS[0], "expected_calls": 7}, {**ROWS[1], "expected_calls": None})
        assert await estimate(server, mixed) == 0
        assert len(server.bodies) == 20
    assert [row["expected_calls"] for row in lines(tmp_path / "mixed.targets.jsonl")] == [7, 1]


async def test_failures_are_counted_and_leave_null(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(data, *ROWS, "no json", {"target": "1"}, {"prompt": "Any?", "expected_calls": "two"})

    def script(number: int, body: dict) -> Scripted:
        return Scripted("I cannot say.") if "sign is larger" in shown_to(body) else by_question(number, body)

    async with serving(script) as server:
        assert await estimate(server, data) == 0
    rows = lines(data.with_name("problems.targets.jsonl"))
    assert [row["expected_calls"] for row in rows] == [0, 1, None, None, None]
    said = capsys.readouterr()
    assert "without an estimate: bad-row 3, judge-refusal 1" in said.out
    assert "problems.jsonl:4: no JSON" in said.err


async def test_a_spent_budget_ends_the_asking_and_the_next_run_goes_on(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serving(by_question) as server:
        assert await estimate(server, data, "judge.max_calls=7", "judge.concurrency=1") == 0
        assert len(server.bodies) == 7
        assert "judge-budget 2" in capsys.readouterr().out
        assert await estimate(server, data) == 0
        assert len(server.bodies) == 15
    assert [row["expected_calls"] for row in lines(data.with_name("problems.targets.jsonl"))] == [0, 1, 2]


async def test_images_of_a_table_go_to_the_server_and_come_through(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (40, 30), (200, 10, 10)).save(buffer, "PNG")
    image = {"bytes": buffer.getvalue(), "path": None}
    rows = [{"prompt": prompt, "images": [image]} for prompt in ("Which digit is on the sign?", "How many apples?")]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "p.parquet")
    async with serving(by_question) as server:
        assert await estimate(server, tmp_path / "p.parquet") == 0
    assert server.bodies[0]["messages"][1]["content"][1]["image_url"]["url"].startswith("data:image/png;base64,")
    row = lines(tmp_path / "p.targets.jsonl")[0]
    assert base64.b64decode(row["images"][0]["bytes"]) == buffer.getvalue()
    problems = load_problems(TaskSettings(data=str(tmp_path / "p.targets.jsonl"), target="none", reward="format", heldout=1), "mine")
    read = [(problem.expected_calls, problem.messages[0].images[0].size) for problem in (*problems.train, *problems.heldout)]
    assert sorted(read) == [(0, (40, 30)), (1, (40, 30))]


async def test_the_expert_sees_the_tools_and_the_right_answer_only_where_it_is_asked_for(data: Path) -> None:
    async with serving(by_question) as server:
        assert await estimate(server, data, "tools={calculator: the value of an expression}", "judge.samples=1", "target=math") == 0
        assert await estimate(server, data, "judge.samples=1") == 0
    shown = [shown_to(body) for body in server.bodies]
    assert all("- calculator: the value of an expression" in text and "Right answer" in text for text in shown[:3])
    assert all("- image_zoom_in_tool: " in text and "Right answer" not in text for text in shown[3:])


@pytest.mark.parametrize(
    ("replies", "found"),
    [
        (("calls: 1", '{"calls": 4}', "calls: 2"), Estimate(2, (1, 4, 2))),
        (("calls: 1", "calls: 2", "who knows"), Estimate(1, (1, 2))),
        (("calls: 1", "calls: 2.5", '{"calls": 1.5}'), "judge-out-of-range"),
        (("calls: -1", "calls: 1000", "calls: 3"), "judge-out-of-range"),
        (("calls: many", "", "calls: 3"), "judge-text-number"),
    ],
)
async def test_votes_are_whole_numbers_and_more_than_half_must_be_there(
    tmp_path: Path, replies: tuple[str, ...], found: Estimate | str
) -> None:
    template = tmp_path / "plain.yaml"
    template.write_text("scale: calls\nsystem: Estimate.\nuser: |\n  <{{ fence }}>{{ question }}</{{ fence }}>\n")
    async with serving(lambda number, body: Scripted(replies[body["seed"]])) as server:
        settings = expert_settings({"model": "m", "base_url": server.url, "template": str(template), "samples": 3, "attempts": 1})
        budget = Budget(0, 0)
        expert = Expert(settings, servers_of(settings, budget), budget, ())
        outcome = await expert.estimate((text_message("user", "How many?"),), MissingTarget())
    assert (outcome.reason if isinstance(outcome, Ungraded) else outcome) == found


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("judge.template=rubric",), "it grades answers; take expert_calls"),
        (("judge.pass_at=3",), "judge.pass_at: an estimate is no grade"),
        (("judge.sampels=3",), "did you mean 'samples'"),
        (("columns.promt=question",), "did you mean 'prompt'"),
        (("target=mth",), "did you mean 'math'"),
        (("judge.mode=replay", "judge.record=none.sqlite"), "none.sqlite: there is no such file"),
    ],
)
def test_a_wrong_request_says_the_way_out(data: Path, arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"data={data}", "judge.model=m", "judge.base_url=http://localhost:1/v1", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_template_that_estimates_is_no_judge() -> None:
    spec = {"judge": {"settings": {"model": "m", "base_url": "http://localhost:1/v1", "template": "expert_calls"}}}
    with pytest.raises(RewardError, match="it asks for a number of calls, which is no grade"):
        check_target(spec, MathTarget("1"))
