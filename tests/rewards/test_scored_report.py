import json
import random
import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from rewards import report
from rewards.offline.columns import ScoredColumns, correlations, pearson, signals
from rewards.offline.scored import ComponentScore, ScoredRow

HOSTILE = "</pre><script>window.hacked=1</script><img src=x onerror=alert(1)>"


def scored(row: int, reward: float | None, right: bool | None, chars: int = 100, step: int | None = None, **parts: float) -> ScoredRow:
    ungraded = "timeout" if reward is None else None
    components = {name: ComponentScore(value) for name, value in {"math": reward, **parts}.items()}
    return ScoredRow(row, f"a.jsonl:{row}", None, "a", step, reward, right, None, ungraded, "", chars, components, {})


def found(rows: list[ScoredRow]) -> list[str]:
    return [signal.title for signal in signals(ScoredColumns.of(rows))]


def test_reward_that_rises_while_correctness_does_not_is_a_signal_and_honest_learning_is_none() -> None:
    dice = random.Random(0)
    hacked = [scored(n, step / 10 + dice.random(), dice.random() < 0.5, step=step) for n, step in enumerate(sorted([*range(10)] * 100))]
    outcomes = [(step, dice.random() < step / 10) for step in sorted([*range(10)] * 100)]
    learnt = [scored(n, float(right), right, step=step) for n, (step, right) in enumerate(outcomes)]
    assert "Reward rises while correctness does not" in found(hacked)
    assert found(learnt) == []


def test_a_component_that_pays_wrong_answers_and_length_are_signals() -> None:
    dice = random.Random(1)
    rows = []
    for number in range(200):
        right, chars = number % 2 == 0, dice.randrange(1000)
        rows.append(scored(number, 1.0 if right else chars / 2000, right, chars, style=0.2 if right else 0.8 + dice.random() / 10))
    assert found(rows) == ["style pays wrong answers more", "Length is paid"]


def test_correlation_is_pearsons_over_the_rows_that_have_both() -> None:
    a, b = np.array([1.0, 2.0, 3.0, np.nan, 5.0]), np.array([2.0, 4.0, 6.5, 1.0, np.nan])
    assert pearson(a, b) == pytest.approx(np.corrcoef(a[:3], b[:3])[0, 1])
    assert pearson(a, np.ones(5)) is None
    names, table = correlations(ScoredColumns.of([scored(n, float(n), None, 100 - n) for n in range(5)]))
    assert names == ("reward", "length", "math")
    assert table[0][1] == pytest.approx(-1.0)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A scored file of twelve rows with their data, a picture among them, and its page."""
    PIL.Image.new("RGB", (640, 320), "red").save(tmp_path / "red.png")
    data = tmp_path / "a.jsonl"
    answers = [{"prompt": f"What is {n}?", "response": HOSTILE if n == 3 else f"It is {n}.", "images": ["red.png"]} for n in range(12)]
    data.write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    rows = [scored(n + 1, None if n == 5 else n / 11, n > 6, step=n, format=1.0 - n / 11) for n in range(12)]
    (tmp_path / "s.jsonl").write_bytes(b"".join(row.line() for row in rows))
    made_with = {"data": [{"data": str(data), "bytes": data.stat().st_size}], "columns": {}}
    (tmp_path / "s.summary.json").write_text(json.dumps({"made_with": made_with}))
    assert report.main([str(tmp_path / "s.jsonl")]) == 0
    return tmp_path / "s.html"


def test_the_page_holds_texts_images_numbers_and_nothing_that_runs_or_loads(page: Path) -> None:
    html = page.read_text()
    assert "What is 11?" in html
    assert "data:image/png;base64," in html
    assert "Ungraded: timeout" in html
    assert "<script" not in html
    assert "&lt;script&gt;window.hacked" in html
    assert not re.search(r"(?:src|href)=\"(?!data:)", html)


def test_without_its_data_the_page_says_so(page: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").unlink()
    assert report.main([str(tmp_path / "s.jsonl")]) == 0
    assert "has gone or changed since it was scored" in page.read_text()
