"""`python -m rewards.judge`: judgements from the record, by others, audited and compared."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from judge_server import PLAIN, JudgeServer, Scripted, canary_in, forbid_sockets, serving, shown_to

from rewards import score
from rewards.judge.__main__ import main
from rewards.judge.agreement import Share, confusion, length_bias, position_bias, self_consistency
from rewards.judge.budget import spent
from rewards.judge.judgement import Judgement
from rewards.outcome import Grade, Ungraded

ROWS = (
    {"id": "a", "prompt": "Why is the sky blue?", "response": "Rayleigh scattering.", "target": "Rayleigh scattering", "correct": True},
    {"id": "b", "prompt": "Why is the sky blue?", "response": "It mirrors the sea.", "target": "Rayleigh scattering", "correct": False},
    {"id": "c", "prompt": "2 + 2?", "response": "<think>four</think>4", "target": "4", "correct": True},
    {"id": "d", "prompt": "2 + 2?", "response": "Some say 5, and I agree.", "target": "4", "correct": False},
)
SAID = {"Rayleigh scattering.": 10, "It mirrors the sea.": 1, "4": 4, "Some say 5, and I agree.": 9}


def by_answer(number: int, body: dict) -> Scripted:
    answer = shown_to(body).rsplit("Answer to grade:", 1)[1].split("\n")[2]
    return Scripted(json.dumps({"reason": "", "canary": canary_in(body), "score": SAID[answer]}))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


async def ask(server: JudgeServer | None, *arguments: str, model: str = "judge-1") -> int:
    """The command in a thread, since it has an event loop of its own."""
    settings = (
        [f"judge.model={model}", f"judge.template={PLAIN}", "judge.controls=false"]
        if arguments[0] in ("replay", "rejudge", "audit")
        else []
    )
    endpoint = [f"judge.base_url={server.url}"] if server and settings else []
    return await asyncio.to_thread(main, [*arguments, *settings, *endpoint])


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_answers_that_could_not_be_judged_are_told_with_the_reason(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = ["judge.base_url=http://127.0.0.1:9/v1", "judge.attempts=1", f"judge.record={tmp_path}/judge.sqlite"]
    assert await ask(None, "rejudge", f"data={data}", f"out={tmp_path}/j.jsonl", *nobody) == 1
    assert "judge-unreachable 4, the first: " in capsys.readouterr().err


@pytest.fixture
async def recorded(data: Path, tmp_path: Path) -> Path:
    record = tmp_path / "judge.sqlite"
    async with serving(by_answer) as server:
        assert await ask(server, "rejudge", f"data={data}", f"judge.record={record}", f"out={tmp_path / 'first.jsonl'}") == 0
        assert len(server.bodies) == len(ROWS)
    return record


async def test_a_replay_gives_the_same_file_byte_for_byte_without_a_socket(
    recorded: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forbid_sockets(monkeypatch)
    for strict in ("false", "true"):
        out = tmp_path / f"again_{strict}.jsonl"
        assert await ask(None, "replay", f"data={data}", f"judge.record={recorded}", f"strict={strict}", f"out={out}") == 0
        assert out.read_bytes() == (tmp_path / "first.jsonl").read_bytes()
    assert [line["reward"] for line in lines(tmp_path / "first.jsonl")] == [1.0, 0.1, 0.4, 0.9]


async def test_a_replay_reads_the_same_replies_under_another_mark_to_pass(recorded: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "lenient.jsonl"
    assert await ask(None, "replay", f"data={data}", f"judge.record={recorded}", "judge.pass_at=4", f"out={out}") == 0
    assert [line["verdict"] for line in lines(tmp_path / "first.jsonl")] == [True, False, False, True]
    assert [line["verdict"] for line in lines(out)] == [True, False, True, True]


async def test_a_strict_replay_fails_with_the_first_request_that_is_missing_and_names_it(
    recorded: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "strict.jsonl"
    assert await ask(None, "replay", f"data={data}", f"judge.record={recorded}", "strict=true", f"out={out}", model="another") == 2
    assert re.search(rf"judge another, strict replay: request [0-9a-f]{{64}} is not in {recorded}", capsys.readouterr().err)
    assert not out.exists()


async def test_scoring_by_a_judge_says_what_it_cost_and_a_strict_replay_of_it_fails_with_the_first_miss(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def judged(**settings: str | bool) -> str:
        common = {"model": "scorer", "template": PLAIN, "controls": False, "record": str(tmp_path / "judge.sqlite")}
        return "reward=" + json.dumps({"judge": {"settings": {**common, **settings}}})

    arguments, before = [f"data={data}", "target=text", "workers=1", "timeout_s=60"], spent()
    async with serving(by_answer) as server:
        live = judged(mode="record", base_url=server.url)
        assert await asyncio.to_thread(score.main, [*arguments, live, f"out={tmp_path / 'first.jsonl'}"]) == 0
    assert (spent().calls - before.calls, spent().tokens - before.tokens) == (4, 120)
    assert f"judge: {spent()}" in capsys.readouterr().out
    again = judged(mode="replay_strict")
    assert await asyncio.to_thread(score.main, [*arguments, again, f"out={tmp_path / 'again.jsonl'}"]) == 0
    both = [[(line["reward"], line["verdict"]) for line in lines(tmp_path / name)] for name in ("first.jsonl", "again.jsonl")]
    assert both[0] == both[1]
    data.write_text(data.read_text() + json.dumps({**ROWS[0], "id": "e", "response": "Nobody knows."}) + "\n")
    assert await asyncio.to_thread(score.main, [*arguments, again, f"out={tmp_path / 'more.jsonl'}"]) == 2
    assert "judge scorer, strict replay: request " in capsys.readouterr().err


async def test_another_model_is_asked_about_the_same_items_and_the_difference_is_shown(
    recorded: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "second.jsonl"
    async with serving(lambda number, body: Scripted('{"score": 0}') if "mirrors" not in shown_to(body) else Scripted("")) as server:
        assert await ask(server, "rejudge", f"data={data}", f"judge.record={recorded}", f"out={out}", model="judge-2") == 0
    capsys.readouterr()
    assert await ask(None, "diff", str(tmp_path / "first.jsonl"), str(out), f"out={tmp_path / 'diff.jsonl'}") == 1
    assert "4 of 4 items differ" in capsys.readouterr().out
    assert [(line["id"], line["kind"]) for line in lines(tmp_path / "diff.jsonl")] == [
        ("a", "verdict"),
        ("b", "graded in one file"),
        ("c", "reward or reason"),
        ("d", "verdict"),
    ]
    assert await ask(None, "diff", str(out), str(out)) == 0


async def test_an_audit_holds_the_verdicts_against_labels_and_another_judge(recorded: Path, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "audit.json"
    async with serving(lambda number, body: Scripted('{"score": 10}')) as server:
        await ask(
            server,
            "audit",
            f"data={data}",
            "label=correct",
            f"judge.record={recorded}",
            f"out={out}",
            "other.model=judge-2",
            "prices=[1,10]",
        )
        assert len(server.bodies) == len(ROWS)
    audit = json.loads(out.read_text())
    labels = audit["labels"]
    assert [labels[cell] for cell in ("right_right", "right_wrong", "wrong_right", "wrong_wrong")] == [1, 1, 1, 1]
    assert labels["accuracy"]["value"] == 0.5
    assert labels["kappa"]["value"] == 0.0
    assert labels["labelled_right"]["value"] == labels["judged_right"]["value"] == 0.5
    assert audit["other_judge"]["labelled_right"]["value"] == 1.0
    assert audit["cost"] == {
        "calls": 0,
        "tokens": 0,
        "recorded": 4,
        "recorded_tokens": 120,
        "paid": 0.0,
        "recorded_paid": 4 * (25 + 50) / 1e6,
    }


async def test_a_record_goes_through_lines_and_comes_back(recorded: Path, tmp_path: Path) -> None:
    assert await ask(None, "export", f"record={recorded}", f"lines={tmp_path / 'record.jsonl'}") == 0
    assert await ask(None, "import", f"record={tmp_path / 'copy.sqlite'}", f"lines={tmp_path / 'record.jsonl'}") == 0
    assert await ask(None, "export", f"record={tmp_path / 'copy.sqlite'}", f"lines={tmp_path / 'again.jsonl'}") == 0
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "record.jsonl").read_bytes()


async def test_a_row_that_cannot_be_read_is_named_and_the_rest_is_judged(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data.write_text("{}\n" + data.read_text())
    out = tmp_path / "out.jsonl"
    async with serving(by_answer) as server:
        await ask(server, "rejudge", f"data={data}", f"judge.record={tmp_path / 'judge.sqlite'}", f"out={out}")
    assert len(lines(out)) == len(ROWS)
    assert "answers.jsonl:1: no column" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("reply",), "unknown command 'reply'; did you mean 'replay'"),
        (("replay", "data=answers.jsonl", "juge.model=x"), "did you mean 'judge'"),
        (("replay", "data=nowhere.jsonl", "judge.model=x", "judge.record=none.sqlite"), "none.sqlite"),
        (("replay", "data=nowhere.jsonl", "judge.templat=x", "judge.record=none.sqlite"), "did you mean 'template'"),
        (("replay", "data=a.jsonl", "judge.model=x", "rewards=[mine.py]"), "what reads replies is judge.parser=path/to/file.py:name"),
        (("diff", "one.jsonl"), "after"),
        (("import", "record=a.sqlite", "lines=nowhere.jsonl"), "nowhere.jsonl"),
    ],
)
def test_a_wrong_request_says_the_way_out(arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


def judgements(cells: str) -> list[tuple[bool, bool]]:
    return [(cell in "tf", cell in "tn") for cell in cells]


def test_kappa_and_its_interval_worked_by_hand() -> None:
    pairs = judgements("t" * 20 + "f" * 5 + "n" * 10 + "w" * 15)
    kappa, (low, high) = confusion(pairs).kappa()
    assert kappa == pytest.approx((0.7 - 0.5) / (1 - 0.5))
    # Fleiss, Cohen and Everitt: the error of this table, by hand, is 0.1270.
    assert (low, high) == pytest.approx((0.4 - 1.96 * 0.1270, 0.4 + 1.96 * 0.1270), abs=1e-3)


def test_base_rates_make_high_agreement_worth_nothing() -> None:
    table = confusion(judgements("t" * 90 + "f" * 5 + "n" * 5))
    assert table.accuracy.value == 0.9
    assert table.kappa()[0] < 0


def test_kappa_of_one_class_is_undefined_and_no_number() -> None:
    kappa, interval = confusion(judgements("ttt")).kappa()
    assert kappa != kappa
    assert interval[0] != interval[0]


def test_the_interval_of_a_share_is_wilsons() -> None:
    assert Share(8, 10).interval == pytest.approx((0.4902, 0.9433), abs=1e-4)


def judged(reward: float, label: bool | None = None, chars: int = 0, **parts: float) -> Judgement:
    return Judgement("x", Grade(reward, reward > 0.5, "", parts), label, chars)


def test_a_judge_that_prefers_what_stands_first_is_seen() -> None:
    fair = [judged(1, shown_first=1, shown_second=1), judged(0, shown_first=0, shown_second=0)]
    biased = [judged(0.5, shown_first=1, shown_second=0)] * 3
    assert position_bias(fair).first_wins == 0.5
    assert position_bias(fair).swayed == Share(0, 2)
    assert position_bias(biased).first_wins == 1.0
    assert position_bias(biased).swayed == Share(3, 3)
    assert position_bias([judged(1.0)]) is None


def test_length_is_held_against_reward_among_answers_of_one_label() -> None:
    by_length = [judged(0.1 * n, label=False, chars=10 * n) for n in range(1, 9)]
    honest = [judged(1.0, label=True, chars=5), judged(1.0, label=True, chars=500)]
    assert length_bias(by_length)[0] == pytest.approx(1.0)
    assert length_bias([*by_length, *honest], label=False) == (pytest.approx(1.0), 8)
    assert length_bias(honest)[0] != length_bias(honest)[0]


def test_self_consistency_is_the_mean_agreement_of_votes_and_the_ungraded_have_none() -> None:
    assert self_consistency([judged(1, agreement=1.0), judged(1, agreement=0.5), Judgement("x", Ungraded("judge-empty"))]) == 0.75
    assert self_consistency([judged(1)]) is None
