import json
from pathlib import Path

import PIL.Image
from made_run import IMAGE_TOKEN, algebra, decode, encode, grounding, rollout_of

from rewards.outcome import Grade, Ungraded
from rl.records.rollout_records import RecordedRollout, read_rollouts, write_rollouts
from rollouts.rollout import Given, Rollout, Sampled
from tasks.message import ImagePart, Message, TextPart, ToolCall, text_message


def one_record(tmp_path: Path, rollout: Rollout, outcome: Grade | Ungraded, advantage: float | None = None):
    path = tmp_path / "step_000001.jsonl"
    write_rollouts(path, 1, [RecordedRollout(rollout, outcome, advantage)], decode)
    (record,) = read_rollouts(path)
    return record


def two_turns() -> Rollout:
    """The policy zooms, is shown a crop, and answers: 4 segments."""
    problem = grounding(0)
    crop = PIL.Image.new("RGB", (28, 28), "red")
    call = Message("assistant", (TextPart("<think>closer</think>zoom"),), (ToolCall("zoom", {"bbox_2d": [0, 0, 500, 500]}),))
    shown = Message("tool", (ImagePart(crop), TextPart("the crop")))
    return Rollout(
        problem,
        3,
        (
            Given(problem.messages, (IMAGE_TOKEN,) * 6 + encode("Locate")),
            Sampled(call, encode("zoom!"), (-0.5,) * 5, policy_version=7),
            Given((shown,), (IMAGE_TOKEN,) * 4 + encode("ok")),
            Sampled(text_message("assistant", "<think>seen</think>\nhere"), encode("here"), (-0.5,) * 4, policy_version=8),
        ),
        "complete",
    )


def test_a_record_says_which_tokens_were_sampled_run_by_run(tmp_path: Path):
    record = one_record(tmp_path, two_turns(), Grade(1.0, True))
    assert record.mask == (("given", 12), ("sampled", 5), ("given", 6), ("sampled", 4))
    assert [(s.kind, s.num_tokens, s.policy_version) for s in record.segments] == [
        ("given", 12, None), ("sampled", 5, 7), ("given", 6, None), ("sampled", 4, 8),
    ]  # fmt: skip


def test_placeholders_of_an_image_are_counted_not_repeated(tmp_path: Path):
    record = one_record(tmp_path, two_turns(), Grade(1.0, True))
    assert [s.text for s in record.segments] == ["<|image_pad|>×6Locate", "zoom!", "<|image_pad|>×4ok", "here"]


def test_a_record_holds_the_whole_grade(tmp_path: Path):
    grade = Grade(0.75, True, "[1, 2]", {"iou": 0.8, "format": 1.0})
    record = one_record(tmp_path, two_turns(), grade, advantage=-0.25)
    assert (record.reward, record.verdict, record.extracted, record.parts) == (0.75, True, "[1, 2]", {"iou": 0.8, "format": 1.0})
    assert (record.ungraded, record.advantage, record.policy_version, record.status) == (None, -0.25, 7, "complete")
    assert (record.problem_id, record.task, record.index, record.step) == ("grounding/00000", "grounding", 3, 1)
    assert record.target["kind"] == "boxes"


def test_an_ungraded_rollout_has_a_reason_and_no_reward(tmp_path: Path):
    record = one_record(tmp_path, rollout_of(algebra(1), 0, "4"), Ungraded("timeout", "after 10 s"))
    assert (record.reward, record.verdict, record.ungraded, record.ungraded_detail) == (None, None, "timeout", "after 10 s")


def test_images_come_back_pixel_by_pixel_in_their_order(tmp_path: Path):
    rollout = two_turns()
    record = one_record(tmp_path, rollout, Grade(1.0))
    saved = [PIL.Image.open(tmp_path / "images" / name) for name in record.images]
    assert [image.tobytes() for image in saved] == [image.tobytes() for image in rollout.images]


def test_the_same_pixels_are_stored_once(tmp_path: Path):
    for step in (1, 2):
        write_rollouts(tmp_path / f"step_{step:06d}.jsonl", step, [RecordedRollout(two_turns(), Grade(1.0))] * 3, decode)
    assert len(list((tmp_path / "images").iterdir())) == 2


def test_tool_calls_are_recorded_with_their_arguments(tmp_path: Path):
    record = one_record(tmp_path, two_turns(), Grade(1.0))
    assert record.segments[1].messages[0].tool_calls == ({"name": "zoom", "arguments": {"bbox_2d": [0, 0, 500, 500]}},)


def test_a_record_reads_with_json_alone(tmp_path: Path):
    one_record(tmp_path, rollout_of(algebra(2), 0, "<think>2 + 2</think>\n4"), Grade(1.0, True))
    plain = json.loads((tmp_path / "step_000001.jsonl").read_text())
    assert (plain["thinking"], plain["answer_text"], plain["target"]) == ("2 + 2", "4", {"kind": "math", "answer": "4"})
    assert plain["segments"][0]["messages"][0] == {
        "role": "user", "parts": [{"text": "Solve $2x + 3 = 11$ for x.", "image": None}], "tool_calls": [],
    }  # fmt: skip


def test_a_half_last_record_is_not_read(tmp_path: Path):
    path = tmp_path / "step_000001.jsonl"
    write_rollouts(path, 1, [RecordedRollout(two_turns(), Grade(1.0))] * 2, decode)
    path.write_bytes(path.read_bytes()[:-5])
    assert len(list(read_rollouts(path))) == 1
