import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rewards import score
from rewards.grading import grade_here
from rewards.offline.scored import read_scored
from rewards.outcome import Grade
from rewards.transcript import Transcript
from tasks.message import text_message
from tasks.problem import MathTarget

ROOT = Path(__file__).resolve().parents[2]
SLOW = """
import time
from rewards import Grade, reward
from tasks.problem import MathTarget

@reward("slow_count", target=MathTarget)
def slow_count(target, transcript):
    with open({calls!r}, "a") as file:
        file.write(transcript.final_text + "\\n")
    time.sleep(0.02)
    return Grade(float(transcript.final_text) % 2, verdict=float(transcript.final_text) % 2 == 1)
"""


def write(path: Path, *rows: object) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return f"data={path}"


def answer(response: str | None = "42", **more: object) -> dict[str, object]:
    return {"prompt": "6 * 7 = ?", "response": response, "target": "42", **more}


def run(*arguments: str) -> int:
    return score.main(["workers=1", *arguments])


def summary_of(out: Path) -> dict:
    found = json.loads(out.with_suffix(".summary.json").read_text())
    assert found["finished"]
    return found


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert run(write(tmp_path / "a.jsonl", answer()), "reward=math", f"out={tmp_path}/file/s.jsonl") == 2
    assert capsys.readouterr().err == f"{tmp_path}/file: File exists\n"


def test_names_that_look_like_markup_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [answer(source="[/x]"), answer(source="[bold]:key:")]
    assert run(write(tmp_path / "a.jsonl", *rows), "reward={'[/math]': {reward: math}}", f"out={tmp_path}/s.jsonl") == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("[/x]", "[bold]:key:", "[/math]"))


def test_every_row_comes_out_in_order_with_each_component_its_reason_time_and_version(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    rows = [
        answer("42", id="a"),
        answer("<think>42</think>no idea", id="a"),
        "no json",
        answer(None),
        answer(target=None),
        answer("7", id="b"),
    ]
    assert run(write(tmp_path / "a.jsonl", *rows), "reward={math: 1, format: {weight: 0.2, gate: math}}", f"out={out}") == 0
    scored = list(read_scored(out))
    assert [row.row for row in scored] == [1, 2, 3, 4, 5, 6]
    assert [row.reward for row in scored] == [1.0, 0.0, None, None, None, 0.0]
    assert [row.ungraded for row in scored] == [None, None, "bad-row", "bad-row", "missing-target", None]
    assert scored[2].where == f"{tmp_path}/a.jsonl:3"
    assert scored[4].components["format"].reward is not None
    assert scored[4].components["math"].ungraded == "missing-target"
    assert scored[0].graded_by == {
        "math": {"reward": "math", "version": "6"},
        "format": {"reward": "format", "version": "2", "weight": 0.2, "gate": "math"},
    }
    assert all(part.seconds is not None for row in scored for part in row.components.values())
    assert summary_of(out)["all"]["ungraded"] == {"bad-row": 2, "missing-target": 1}
    assert summary_of(out)["all"]["pass_at"] == {"1": 0.25, "2": 1.0}


def test_scoring_gives_the_number_that_grading_gives(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    texts = [r"\boxed{\frac{1}{2}}", "0.5", "1/2 or 1/3", "the answer is 50%", ""]
    assert run(write(tmp_path / "a.jsonl", *(answer(text, target=r"\frac12") for text in texts)), "reward=math", f"out={out}") == 0
    for text, row in zip(texts, read_scored(out), strict=True):
        transcript = Transcript((text_message("user", "6 * 7 = ?"),), (text_message("assistant", text),))
        outcome = grade_here("math", MathTarget(r"\frac12"), transcript)
        assert isinstance(outcome, Grade)
        assert (row.reward, row.verdict, row.answer) == (outcome.reward, outcome.verdict, outcome.answer)


def test_rewards_are_chosen_by_row_then_source_then_for_all(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    data = write(
        tmp_path / "a.jsonl",
        answer("forty-two", from_="text", target="forty-two"),
        answer("42", from_="sums"),
        answer("3", from_="sums", target=3, reward="count"),
        answer("42", reward="mahts"),
    )
    assert run(data, "reward=math", "by_source={text: exact}", "target=null", "columns.source=from_", f"out={out}") == 0
    scored = list(read_scored(out))
    assert [list(row.graded_by) for row in scored] == [["exact"], ["math"], ["count"], []]
    assert scored[3].where.endswith("a.jsonl:4")


def test_messages_that_end_with_the_assistants_are_prompt_and_response(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    messages = [{"role": "user", "content": "?"}, {"role": "assistant", "content": "<|im_start|> 42"}]
    assert (
        run(
            write(tmp_path / "a.jsonl", {"messages": messages, "gold": {"answer": 42}}),
            "columns.target=gold.answer",
            "reward=math",
            f"out={out}",
        )
        == 0
    )
    assert next(read_scored(out)).chars == len("<|im_start|> 42")


def test_tool_calls_are_held_against_the_column_of_expected_calls(tmp_path: Path) -> None:
    out = tmp_path / "s.jsonl"
    call = {"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [0, 0, 10, 10]}}
    rows = [answer(tool_calls=[call] * calls, expected_calls=expected) for calls, expected in ((1, 1), (0, 1), (2, 1), (1, 2), (0, None))]
    assert run(write(tmp_path / "a.jsonl", *rows), "reward=tool_calls", f"out={out}") == 0
    assert [row.reward for row in read_scored(out)] == [1.0, 0.0, 1.0, 0.5, None]


def test_parquet_gives_what_jsonl_gives(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [answer(str(number), id=number % 3) for number in range(40, 45)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "a.parquet")
    assert run(f"data={tmp_path}/a.parquet", "reward=math", f"out={tmp_path}/p.jsonl") == 0
    assert run(write(tmp_path / "a.jsonl", *rows), "reward=math", f"out={tmp_path}/j.jsonl") == 0
    both = [[(row.id, row.reward) for row in read_scored(tmp_path / name)] for name in ("p.jsonl", "j.jsonl")]
    assert both[0] == both[1]
    assert [reward for _, reward in both[0]] == [0.0, 0.0, 1.0, 0.0, 0.0]


def test_strict_stops_at_the_first_bad_row_and_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(tmp_path / "a.jsonl", answer(), "no json"), "reward=math", "strict=true", f"out={tmp_path}/s.jsonl") == 2
    assert "a.jsonl:2: no JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rewrad=math"], "unknown key 'rewrad'; did you mean 'reward'?"),
        (["reward=mahts"], "unknown reward 'mahts'; did you mean 'math'?"),
        (["reward={math: {settings: {tolernace: 1}}}"], "did you mean 'tolerance'?"),
        (["reward=math", "columns.respnose=x"], "did you mean 'response'?"),
        ([], "no reward is named; write reward=<name>"),
        (["reward=math", "target=maths"], "target=maths: there is no such kind"),
        (["--reward", "math"], "there are no flags"),
        (["reward=math", "workers=0"], "workers is 0"),
        (["reward=math", "rewards=[nowhere.py]"], "plug-in nowhere.py: there is no file"),
    ],
)
def test_a_wrong_request_says_what_and_the_way_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert score.main([write(tmp_path / "a.jsonl", answer()), f"out={tmp_path}/s.jsonl", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_killed_scoring_goes_on_after_its_last_whole_line(tmp_path: Path) -> None:
    calls, out = tmp_path / "calls", tmp_path / "s.jsonl"
    (tmp_path / "plugin.py").write_text(SLOW.format(calls=str(calls)))
    data = write(tmp_path / "a.jsonl", *(answer(str(number)) for number in range(400)))
    command = [sys.executable, "-m", "rewards.score", data, "reward=slow_count", f"rewards={tmp_path}/plugin.py", f"out={out}", "workers=1"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out.exists() and out.read_bytes().count(b"\n") >= 64):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.kill()
    process.wait()
    with out.open("ab") as file:
        file.write(b'{"row": 999, "cut')
    whole = out.read_bytes().count(b"\n")
    assert whole < 400
    time.sleep(1.0)  # the orphaned worker ends its call
    calls.unlink()
    assert subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL).returncode == 0
    assert [row.row for row in read_scored(out)] == list(range(1, 401))
    assert [row.reward for row in read_scored(out)] == [number % 2 for number in range(400)]
    assert calls.read_text().split() == [str(number) for number in range(whole, 400)]
    assert summary_of(out)["all"]["rows"] == 400


def test_a_finished_file_is_not_continued_with_another_reward_or_changed_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, out = write(tmp_path / "a.jsonl", answer()), tmp_path / "s.jsonl"
    assert run(data, "reward=math", f"out={out}") == 0
    written = out.read_bytes()
    assert run(data, "reward=math", f"out={out}") == 0
    assert out.read_bytes() == written
    assert run(data, "reward=exact", "target=text", f"out={out}") == 2
    assert "was made with another rewards" in capsys.readouterr().err.replace("target", "rewards")
    os.utime(tmp_path / "a.jsonl", (1, 1))
    assert run(data, "reward=math", f"out={out}") == 2
    assert "was made with another data" in capsys.readouterr().err
    assert run(data, "reward=math", f"out={out}", "overwrite=true") == 0
