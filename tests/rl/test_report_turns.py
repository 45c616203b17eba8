"""Rollouts of several turns on the page: what each turn thought, where it looked, and what came back."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest
from chromium_page import ChromiumPage, chromium, chromium_page
from made_run import config_of, decode, encode

from rewards.outcome import Grade
from rl.records.rollout_records import RecordedRollout
from rl.records.run_folder import RunFolder
from rl.records.run_records import Records
from rl.report.curves import curves
from rl.report.page import write_report
from rollouts.rollout import Given, Rollout, Sampled
from tasks.message import ExecutedCall, ImagePart, Message, TextPart, ToolCall, text_message
from tasks.problem import CountTarget, Problem

ZOOM = "image_zoom_in_tool"
BOX = [250, 0, 750, 500]
in_chromium = pytest.mark.skipif(chromium() is None, reason="no Chromium found: `apt-get install chromium` to check the page in a browser")


def said(text: str, *calls: ToolCall) -> Sampled:
    ids = encode(f"{text}<|im_end|>")
    return Sampled(Message("assistant", (TextPart(text),), calls), ids, (-0.1,) * len(ids), 0)


def seen(*messages: Message) -> Given:
    return Given(messages, encode("".join(message.text or "image" for message in messages)))


def zooming() -> Rollout:
    """Two turns with tools: one call that shows a crop, then two of which one is refused; then the answer."""
    scene, crop = PIL.Image.new("RGB", (200, 100), "white"), PIL.Image.new("RGB", (64, 32), "red")
    prompt = Message("user", (ImagePart(scene), TextPart("Digit on red?")))
    reward = {"count": 0.8, "tool_calls": {"weight": 0.2, "gate": "count"}}
    problem = Problem("details/1", (prompt,), CountTarget(7), reward, "details", (ZOOM,), 2)
    first = ToolCall(ZOOM, {"bbox_2d": BOX, "label": "red", "img_idx": 0})
    again = ToolCall(ZOOM, {"bbox_2d": [0, 0, 500, 500], "label": "red", "img_idx": 1})
    lost = ToolCall(ZOOM, {"bbox_2d": [9, 9, 1, 1], "label": "red", "img_idx": 0})
    segments = (
        seen(prompt),
        said("<think>\nWhere is red?\n</think>\n\nI look.", first),
        seen(Message("tool", (ImagePart(crop),))),
        said("<think>\nCloser.\n</think>\n\nAgain.", again, lost),
        seen(Message("tool", (ImagePart(crop),)), text_message("tool", "Error: no area")),
        said("<think>\nA seven.\n</think>\n\n7"),
    )
    ran = (ExecutedCall(first, True, 0.25), ExecutedCall(again, True, 0.5), ExecutedCall(lost, False, 0.0))
    return Rollout(problem, 0, segments, "complete", ran, ("tool_error",), 0.75)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "turns")
    grade = Grade(1.0, True, "7", {"count": 1.0, "tool_calls": 1.0})
    with folder.claimed(config_of("turns", tasks={"details": {}})), Records(folder) as records:
        for step in (1, 2):
            records.log(step, {"rollout/calls_expected_0": 0.5 / step, "rollout/calls_expected_2": float(step)})
        records.write_rollouts(1, [RecordedRollout(zooming(), grade, 0.5)], decode)
    write_report(folder)
    return folder


def test_calls_are_drawn_over_training_by_the_calls_that_problems_need(run: RunFolder) -> None:
    (chart,) = (chart for chart in curves(run, ()) if chart.title == "Tool calls by calls needed")
    assert {series.label: series.ys for series in chart.series} == {"0 needed": (0.5, 0.25), "2 needed": (1.0, 2.0)}


def test_the_calls_of_a_control_are_laid_over_them(run: RunFolder, tmp_path: Path) -> None:
    control = RunFolder(tmp_path / "without")
    with control.claimed(config_of("without", tasks={"details": {}})), Records(control) as records:
        records.log(1, {"rollout/calls_expected_2": 1.5, "rollout/calls_expected_3": 3.0, "rollout/length_mean": 40.0})
    charts = {chart.title: chart for chart in curves(run, (control,))}
    shown = [(series.label, series.dashed, series.colour, series.ys) for series in charts["Tool calls by calls needed"].series]
    assert shown == [("0 needed", False, 0, (0.5, 0.25)), ("2 needed", False, 1, (1.0, 2.0)), ("2 needed, without", True, 1, (1.5,))]
    assert "Response length" not in charts, "the run itself has none, and that chart is not a comparison"


def test_the_page_holds_every_turn_with_its_calls_and_every_image_once(run: RunFolder) -> None:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', run.report_path.read_text(), re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    (rollout,) = data["rollouts"]
    assert [segment["kind"] for segment in rollout["segments"]] == ["given", "sampled"] * 3
    assert [len(segment["messages"][0]["tool_calls"]) for segment in rollout["segments"]] == [0, 1, 0, 2, 0, 0]
    assert len(data["images"]) == 2
    assert [call["ok"] for call in rollout["executed_calls"]] == [True, True, False]


@pytest.fixture(scope="module")
def page(run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromiumPage]:
    with chromium_page(tmp_path_factory.mktemp("profile")) as browser:
        browser.open(run.report_path)
        yield browser


def texts(page: ChromiumPage, selector: str) -> list[str]:
    found = page.value(f"[...document.querySelectorAll({selector!r})].map((one) => one.textContent)")
    assert isinstance(found, list)
    return [str(text) for text in found]


@in_chromium
def test_each_turn_shows_thinking_words_call_and_response_in_order(page: ChromiumPage) -> None:
    first, second = texts(page, "#detail .turn")
    order = ["Turn 1", "Where is red?", "I look.", json.dumps(BOX, separators=(",", ":")), "image 0, and where it looked"]
    places = [first.index(text) for text in order]
    assert places == sorted(places)
    assert first.endswith("toolimage 1"), "the crop stands below the call, under the number that later calls name it by"
    assert "Error: no area" in second
    assert second.index("Error: no area") > second.index("[9,9,1,1]")
    assert page.complaints == []


@in_chromium
def test_the_box_lies_where_the_model_looked_on_the_image_that_it_named(page: ChromiumPage) -> None:
    rectangles = page.value(
        "[...document.querySelectorAll('#detail .zoomed')].map((zoomed) => {"
        "const [image, box] = [zoomed.querySelector('img'), zoomed.querySelector('.box')].map((one) => one.getBoundingClientRect());"
        "return [image.width, image.height, box.x - image.x, box.y - image.y, box.width, box.height]; })"
    )
    assert isinstance(rectangles, list)
    width, height, *box = rectangles[0]
    assert (width, height) == pytest.approx((202, 102), abs=1.5)  # the scene, with its border
    assert box == pytest.approx([width / 4, 0, width / 2, height / 2], abs=1.5)
    assert rectangles[1][0] / rectangles[1][1] == pytest.approx(2, rel=0.05)
    assert page.value("document.querySelectorAll('#detail .zoomed')[1].querySelector('img').naturalWidth") == 64  # the crop


@in_chromium
def test_crops_stand_beside_the_calls_that_gave_them(page: ChromiumPage) -> None:
    assert page.value("[...document.querySelectorAll('#detail .turn .message img')].map((image) => image.naturalWidth)") == [64, 64]


@in_chromium
def test_the_grade_names_every_reward_with_its_weight_and_gate_and_every_call_that_ran(page: ChromiumPage) -> None:
    shown = " ".join(texts(page, "#detail section"))
    for text in (
        "weight 0.8",
        "weight 0.2, only where count is right",
        f"ran {ZOOM}",
        "refused after 0 s",
        "3 ran, 2 needed",
        "tool_error",
    ):
        assert text in shown
    runs = page.value("[...document.querySelectorAll('#detail .strip span')].map((run) => run.className)")
    assert runs == ["given", "sampled"] * 3
