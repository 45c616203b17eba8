"""What stands in a data file is data: naming a file, a module or an address there imports nothing, opens nothing and asks nobody."""

import json
import sys
from pathlib import Path

import pytest

from rewards import score
from rewards.errors import RewardError
from rewards.judge.__main__ import main as judge
from rewards.offline.scored import read_scored
from rl.config.task_settings import TaskSettings
from rl.task_rewards import check_task_rewards
from tasks.build import build_task
from tasks.message import Json

PLUGIN = """
from pathlib import Path
Path(__file__).with_suffix(".ran").touch()
from rewards import Grade, reward

@reward("planted", target="any")
def planted(target, transcript):
    return Grade(1.0)

def parse(text):
    return {"score": 10}
"""


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "planted.py"
    path.write_text(PLUGIN)
    monkeypatch.syspath_prepend(str(tmp_path))
    return path


def rewards_in_rows(file: Path) -> list[Json]:
    asking: dict[str, Json] = {"model": "m", "base_url": "http://localhost:1/v1"}
    return [
        f"{file}:planted",
        str(file),
        "planted",
        "planted:planted",
        {f"{file}:planted": 1.0},
        {"mine": {"reward": f"{file}:planted"}},
        {"judge": {"settings": {**asking, "parser": f"{file}:parse"}}},
        {"judge": {"settings": {**asking, "api_key_env": "HOME"}}},
        {"judge": {"settings": {"model": "m", "mode": "replay", "record": str(file)}}},
        {"judge": {"settings": {"model": "m", "judges": [{"base_url": "http://localhost:1/v1"}]}}},
        {"code": {"settings": {"isolation": "none"}}},
    ]


def test_rows_that_name_code_files_or_addresses_are_bad_rows(planted: Path, tmp_path: Path) -> None:
    data, out = tmp_path / "a.jsonl", tmp_path / "s.jsonl"
    rows = [{"prompt": "?", "response": "42", "target": "42", "reward": reward} for reward in rewards_in_rows(planted)]
    rows += [{"prompt": "?", "response": "42", "target": {"kind": kind, "answer": "42"}} for kind in (f"{planted}:parse", "planted:parse")]
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert score.main([f"data={data}", f"out={out}", "workers=1", "reward=math"]) == 1
    assert [row.ungraded for row in read_scored(out)] == ["bad-row"] * len(rows)
    assert not planted.with_suffix(".ran").exists()
    assert "planted" not in sys.modules


def test_problems_that_name_them_are_refused_before_anything_runs(planted: Path, tmp_path: Path) -> None:
    for number, reward in enumerate(rewards_in_rows(planted)):
        data = tmp_path / f"problems_{number}.jsonl"
        rows = [{"prompt": f"{n}?", "target": "42", "reward": reward if n == 3 else None} for n in range(4)]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = build_task("mine", TaskSettings(data=str(data), pool=3, heldout=1), 0)
        with pytest.raises(RewardError, match=rf"problems_{number}\.jsonl:4: "):
            check_task_rewards({"mine": task})
    assert not planted.with_suffix(".ran").exists()


def test_a_judge_reads_no_reward_of_a_row(planted: Path, tmp_path: Path) -> None:
    data, record = tmp_path / "a.jsonl", tmp_path / "judge.sqlite"
    data.write_text(json.dumps({"prompt": "?", "response": "...", "target": "42", "reward": f"{planted}:planted"}) + "\n")
    arguments = [f"data={data}", "judge.model=m", f"judge.record={record}", "judge.base_url=http://localhost:1/v1"]
    assert judge(["rejudge", *arguments, f"out={tmp_path / 'judged.jsonl'}"]) == 0
    assert json.loads((tmp_path / "judged.jsonl").read_text())["reward"] == 0.0
    assert not planted.with_suffix(".ran").exists()
