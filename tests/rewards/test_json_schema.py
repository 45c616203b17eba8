"""Answers in JSON against schemas."""

import socket

import pytest
from reward_calls import response

from rewards.grading import grade_here
from rewards.outcome import Grade
from tasks.gold import read_target

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}


def reward_of(gold: object, answer: str) -> float:
    outcome = grade_here("json_schema", read_target("json_schema", gold, ()), response(answer))
    assert isinstance(outcome, Grade)
    return outcome.reward


@pytest.mark.parametrize(
    ("answer", "worth"),
    [
        ('{"name": "Ada", "age": 36}', 1),
        ('<think>{"name": 1}</think>\n{"name": "Ada"}', 1),
        ('Here it is:\n```json\n{"name": "Ada"}\n```\nDone.', 1),
        ('结果如下：\n```json\n{"name": "艾达"}\n```\n完成。', 1),
        ('{"name": "Ada", "age": 36.0}', 1),
        ('{"name": "Ada", "age": -1}', 0),
        ('{"name": "Ada", "age": true}', 0),
        ('{"age": 36}', 0),
        ('{"name": "Ada", "x": 1}', 0),
        ('{"name": "Ada", "age": NaN}', 0),
        ('{"name": 1, "name": "Ada"}', 0),
        ('{"name": "Ada",}', 0),
        ("{'name': 'Ada'}", 0),
        ('The answer is {"name": "Ada"}.', 0),
        ('```json\n{"name": "Ada"}\n```\n```json\n{"name": "Ada"}\n```', 0),
        ('<think>{"name": "Ada"}</think>', 0),
        ('<think>{"name": "Ada"}', 0),
        ("", 0),
        ("[" * 100_000, 0),
        ("\ud800", 0),
    ],
)
def test_an_answer_is_held_against_the_schema(answer: str, worth: float) -> None:
    assert reward_of(PERSON, answer) == worth


@pytest.mark.parametrize(("answer", "worth"), [("[1, 2.0]", 1), ("[2, 1]", 0), ("[true, 2]", 0), ('["1", 2]', 0), ("[1, 2, 3]", 0)])
def test_a_value_makes_one_answer_right(answer: str, worth: float) -> None:
    assert reward_of({"schema": {"type": "array"}, "value": [1, 2]}, answer) == worth


def test_formats_are_checked() -> None:
    schema = {"type": "string", "format": "date"}
    assert [reward_of(schema, '"2024-02-29"'), reward_of(schema, '"2023-02-29"')] == [1, 0]


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("date-time", "2024-02-29T10:00:00.5+08:00", "2024-02-29 10:00"),
        ("date-time", "2024-02-29T10:00:00Z", "2024-13-01T10:00:00Z"),
        ("time", "23:59:00Z", "25:00:00Z"),
        ("duration", "P1DT2H", "1 day"),
        ("duration", "P3W", "PT"),
        ("hostname", "a.example.com", "-a-.com"),
        ("uri", "https://example.com/a?b=1#c", "not a uri"),
        ("uri", "mailto:a@b.c", "/relative"),
    ],
)
def test_formats_are_checked_without_further_packages(name: str, right: str, wrong: str) -> None:
    assert [reward_of({"type": "string", "format": name}, f'"{text}"') for text in (right, wrong)] == [1, 0]
    assert reward_of({"format": name}, "5") == 1


def test_a_remote_reference_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a connection was tried")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    gold = read_target("json_schema", {"$ref": "http://localhost/schema.json"}, ())
    outcome = grade_here("json_schema", gold, response("1"))
    assert getattr(outcome, "reason", None) == "exception"
