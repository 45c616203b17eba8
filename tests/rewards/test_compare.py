import json
from pathlib import Path

import pytest

from rewards import compare
from rewards.offline.scored import ComponentScore, ScoredRow


def scored(row: int, reward: float | None, **more: object) -> ScoredRow:
    plain = ScoredRow(
        row=row, where=f"a.jsonl:{row}", id=None, source="a", step=None, reward=reward, verdict=None if reward is None else reward > 0,
        answer=None, ungraded="timeout" if reward is None else None, detail="", chars=0, components={"math": ComponentScore(reward)},
        graded_by={},
    )  # fmt: skip
    return ScoredRow(**{**{name: getattr(plain, name) for name in plain.__slots__}, **more})


def write(path: Path, *rows: ScoredRow) -> str:
    path.write_bytes(b"".join(row.line() for row in rows))
    return str(path)


def compared(tmp_path: Path, before: list[ScoredRow], after: list[ScoredRow]) -> dict:
    arguments = [write(tmp_path / "before.jsonl", *before), write(tmp_path / "after.jsonl", *after), f"out={tmp_path}/c.json", "examples=2"]
    assert compare.main(arguments) == 0
    return json.loads((tmp_path / "c.json").read_text())


def test_what_changed_is_counted_and_the_largest_changes_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = compared(
        tmp_path,
        [scored(1, 1.0), scored(2, 0.0), scored(3, 0.5), scored(4, 1.0), scored(5, 1.0)],
        [scored(1, 1.0), scored(2, 1.0), scored(3, 0.75), scored(4, None), scored(6, 1.0)],
    )
    assert (found["paired"], found["changed"], found["only_before"], found["only_after"]) == (4, 3, 1, 1)
    assert found["difference"]["mean"] == pytest.approx((0 + 1 + 0.25) / 3)
    assert found["verdicts"] == {"right -> right": 2, "wrong -> right": 1, "right -> no verdict": 1}
    assert found["ungraded"] == {"graded -> graded": 3, "graded -> timeout": 1}
    assert [change["after"]["row"] for change in found["largest"]] == [4, 2]
    assert "ungraded: timeout" in capsys.readouterr().out


def test_rows_are_paired_by_id_and_occurrence_wherever_they_stand(tmp_path: Path) -> None:
    before = [scored(1, 0.0, id="p"), scored(2, 1.0, id="p"), scored(3, 0.5, id="q")]
    after = [scored(1, 0.5, id="q"), scored(2, 0.0, id="p"), scored(3, 1.0, id="p")]
    found = compared(tmp_path, before, after)
    assert (found["paired"], found["changed"]) == (3, 0)


def test_a_file_that_holds_no_scores_is_named_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.jsonl").write_text('{"reward": 1}\n')
    assert compare.main([str(tmp_path / "x.jsonl"), str(tmp_path / "x.jsonl")]) == 2
    assert "x.jsonl:1: not written by python -m rewards.score" in capsys.readouterr().err
