"""The page of a scored file in a real browser. Needs Chromium (`apt-get install chromium`)."""

import json
import sys
from pathlib import Path

import PIL.Image
import pytest

from rewards import report
from rewards.offline.scored import ComponentScore, ScoredRow

sys.path.append(str(Path(__file__).resolve().parents[1] / "rl"))
from chromium_page import chromium, chromium_page

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium found: `apt-get install chromium` to check the page in a browser")
HOSTILE = '</pre><script>window.hacked = 1</script><img src=x onerror="window.hacked = 2"><b>bold</b>'


def test_the_page_shows_what_was_scored_and_runs_nothing(tmp_path: Path) -> None:
    PIL.Image.new("RGB", (640, 320), "red").save(tmp_path / "red.png")
    answers = [{"prompt": "What is it?", "response": HOSTILE, "images": ["red.png"]} for _ in range(6)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(answer) + "\n" for answer in answers))
    rows = [
        ScoredRow(n, f"a.jsonl:{n}", None, "a", n, n / 6, n > 3, "x", None, "", 9, {"math": ComponentScore(n / 6)}, {}) for n in range(1, 7)
    ]
    (tmp_path / "s.jsonl").write_bytes(b"".join(row.line() for row in rows))
    made_with = {"data": [{"data": str(tmp_path / "a.jsonl"), "bytes": (tmp_path / "a.jsonl").stat().st_size}], "columns": {}}
    (tmp_path / "s.summary.json").write_text(json.dumps({"made_with": made_with}))
    assert report.main([str(tmp_path / "s.jsonl")]) == 0
    with chromium_page(tmp_path / "profile") as page:
        page.open(tmp_path / "s.html")
        assert page.complaints == []
        assert page.value("window.hacked === undefined")
        assert page.value("document.querySelectorAll('script, b b, pre img').length") == 0
        assert HOSTILE in str(page.value("document.querySelector('details.example').textContent"))
        assert page.value("document.querySelector('details.example img').naturalWidth") == 420
        assert page.value("[...document.querySelectorAll('.bars')].every((bars) => bars.getBoundingClientRect().height > 50)")
        assert page.value("document.documentElement.scrollWidth <= window.innerWidth")
