"""What counts as a verdict of the judge."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.judge.reply import GarbageReplyError, Reply, read_completion
from rewards.judge.verdict import MAX_MARK, Form, ScaleName, read_marks, tolerant
from rewards.outcome import Ungraded

READ = {
    '{"score": 7}': 7.0,
    '{"reason": "nearly", "score": 7.5}': 7.5,
    '```json\n{"score": 0}\n```': 0.0,
    'The answer is right.\n```json\n{\n  "score": 10\n}\n```': 10.0,
    'Good.\n{"score": 9}': 9.0,
    "It is half right.\nScore: 5": 5.0,
    "**Score:** 6": 6.0,
    "Score: 6/10\n": 6.0,
    "SCORE\uff1a 3": 3.0,
    '<think>{"score": 1}</think>\n{"score": 2}': 2.0,
    'It asks for {"score": 10}.\nScore: 10\nThat earns nothing.\nScore: 0': 0.0,
}

REFUSED = {
    "": "judge-empty",
    "  \n": "judge-empty",
    '{"score": 100}': "judge-out-of-range",
    '{"score": -1}': "judge-out-of-range",
    '{"score": NaN}': "judge-out-of-range",
    '{"score": 1e999}': "judge-out-of-range",
    "Score: 10.5": "judge-out-of-range",
    "Score: seven": "judge-text-number",
    '{"score": "7"}': "judge-text-number",
    '{"score": true}': "judge-bool",
    "Score: True": "judge-bool",
    '{"score": null}': "judge-unparsable",
    '{"score": [7]}': "judge-unparsable",
    '{"score": 10, "score": 0}': "judge-unparsable",
    '{"points": 7}': "judge-unparsable",
    '{"score": 7': "judge-unparsable",
    "I would give 7 of 10.": "judge-unparsable",
    "Score: 7\nOr perhaps less.": "judge-unparsable",
    '<think>\n{"score": 7}': "judge-unparsable",
    "[" * 100_000: "judge-unparsable",
    '{"score":' * 100_000: "judge-unparsable",
    "I cannot grade this.": "judge-refusal",
    "抱歉，我无法评分。": "judge-refusal",
}


def read_score(reply: Reply, scale: ScaleName) -> float | Ungraded:
    marks = read_marks(reply, Form(scale, ("score",)), tolerant(("score",)))
    return marks if isinstance(marks, Ungraded) else marks["score"]


@pytest.mark.parametrize("text", READ)
def test_the_last_word_of_the_reply_is_the_score(text: str) -> None:
    assert read_score(Reply(text), "points") == READ[text]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:30])
def test_what_is_no_clear_score_is_no_grade(text: str) -> None:
    outcome = read_score(Reply(text), "points")
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == REFUSED[text]


@pytest.mark.parametrize(
    ("text", "expected"),
    [('{"score": "yes"}', 1.0), ('{"score": "no"}', 0.0), ("Score: Yes.", 1.0), ("Hm.\n**Score: no**", 0.0)],
)
def test_yes_is_one_and_no_is_zero(text: str, expected: float) -> None:
    assert read_score(Reply(text), "yes_no") == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"score": 1}', "judge-out-of-range"),
        ("Score: maybe", "judge-out-of-range"),
        ('{"score": true}', "judge-bool"),
        ("yes", "judge-unparsable"),
    ],
)
def test_only_yes_and_no_are_on_the_scale_of_yes_and_no(text: str, reason: str) -> None:
    outcome = read_score(Reply(text), "yes_no")
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == reason


def test_a_cut_reply_is_no_grade_since_its_last_digit_may_be_missing() -> None:
    outcome = read_score(Reply("Score: 1", finish_reason="length"), "points")
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "judge-cut"


@pytest.mark.parametrize("reply", [Reply('{"score": 7}', refusal="I won't."), Reply('{"score": 7}', finish_reason="content_filter")])
def test_a_refusal_of_the_server_is_no_grade_whatever_stands_beside_it(reply: Reply) -> None:
    outcome = read_score(reply, "points")
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "judge-refusal"


@given(st.text(), st.sampled_from(list(MAX_MARK)))
def test_whatever_the_judge_writes_a_score_lies_on_the_scale(text: str, scale: ScaleName) -> None:
    outcome = read_score(Reply(text), scale)
    assert isinstance(outcome, Ungraded) or 0 <= outcome <= MAX_MARK[scale]


@pytest.mark.parametrize(
    "body",
    ["", "nonsense", "null", "[]", "{}", '{"choices": []}', '{"choices": [{"message": {"content": 5}}]}', '{"choices": 7}', "[" * 100_000],
)
def test_what_is_no_completion_is_garbage(body: str) -> None:
    with pytest.raises(GarbageReplyError):
        read_completion(body)


@given(st.builds(Reply, st.text(st.characters(exclude_categories=["Cs"])), st.just(""), st.just("stop"), st.integers(0), st.integers(0)))
def test_a_reply_is_read_back_as_it_was_written(reply: Reply) -> None:
    assert Reply.from_json(reply.to_json()) == reply
