"""Curated answers about images and videos, right and wrong: the gold as data files hold it, and `worth`, what the response must earn."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reward_calls import response

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade
from rewards.visual.clock import stated_time
from rewards.visual.spans import seconds_of, spans_in, temporal_iou
from rewards.visual.tables import cells, table_in
from rewards.visual.values import same_value
from tasks.gold import read_target
from tasks.problem import ClockTarget, Span, SpansTarget, Target, ValuesTarget

ROWS = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "rewards" / "visual_answers.jsonl").read_text().splitlines()]


def grade(reward: str, target: Target, text: str, **settings: object) -> Grade:
    outcome = grade_here(RewardSpec((Component(reward, settings=settings),)), target, response(text))  # type: ignore[arg-type]
    assert isinstance(outcome, Grade)
    return outcome


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['reward']} {row['gold']}: {row['response'][:40]}")
def test_a_response_earns_what_it_is_worth(row: dict) -> None:  # type: ignore[type-arg]
    target = read_target(row["reward"], row["gold"], ())
    assert grade(row["reward"], target, row["response"], **row.get("settings", {})).reward == pytest.approx(row["worth"], abs=1e-6)


HOURS = ("twelve", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven")
CHINESE = ("十二", "一", "两", "三", "四", "五", "六", "七", "八", "九", "十", "十一")


@given(st.integers(0, 23), st.integers(0, 59))
def test_every_time_is_read_in_digits_and_with_its_half_of_the_day(hour: int, minute: int) -> None:
    half = "pm" if hour >= 12 else "am"
    for text in (f"{hour}:{minute:02}", f"{hour % 12 or 12}:{minute:02} {half}", f"{hour}点{minute}分"):
        assert grade("clock", ClockTarget(hour, minute, None, False), text).reward == 1
        assert grade("clock", ClockTarget(hour % 12, minute), text).reward == 1


@given(st.integers(1, 12), st.integers(1, 29))
def test_minutes_to_an_hour_are_those_before_it(hour: int, minute: int) -> None:
    before = ClockTarget((hour - 1) % 12, 60 - minute)
    for text in (f"{minute} minutes to {HOURS[hour % 12]}", f"差{minute}分{CHINESE[hour % 12]}点", f"{hour}点差{minute}分"):
        assert grade("clock", before, text).reward == 1
    after = ClockTarget(hour, minute)
    for text in (f"{minute} past {HOURS[hour % 12]}", f"{CHINESE[hour % 12]}点{minute}分"):
        assert grade("clock", after, text).reward == 1


@given(st.integers(0, 719), st.integers(0, 719))
def test_the_distance_on_the_dial_is_the_shorter_way_round(gold: int, said: int) -> None:
    hour, minute = divmod(said, 60)
    off = grade("clock", ClockTarget(gold // 60, gold % 60), f"{hour}:{minute:02}").parts["clock/minutes_off"]
    assert off == min(abs(gold - said), 720 - abs(gold - said))


def test_no_time_is_read_where_several_or_none_are_stated() -> None:
    assert stated_time("3:45 or 3:46") is None
    assert stated_time("I do not know") is None


@given(st.floats(0.01, 1e6), st.floats(-0.2, 0.2))
def test_a_number_is_right_within_the_tolerance_alone(gold: float, off: float) -> None:
    right = same_value(f"{gold:.6f}", f"{gold * (1 + off):.12f}", tolerance=0.05, exact_years=True)
    if abs(abs(off) - 0.05) > 1e-3 and gold > 1:
        assert right == (abs(off) < 0.05)


def test_chartqas_known_traps_are_closed() -> None:
    def relaxed(gold: str, answer: str) -> bool:
        return same_value(gold, answer, tolerance=0.05, exact_years=True)

    assert not relaxed("2010", "1920")
    assert relaxed("45%", "45")
    assert relaxed("45", "45%")
    assert not relaxed("0", "1")
    assert not relaxed("4", "4.5")
    assert relaxed("1,234", "1234")
    assert not relaxed("nan", "5")
    assert not relaxed("5", "inf")


def test_several_values_are_matched_whatever_their_order() -> None:
    target = ValuesTarget(("10", "10.4", "20"))
    assert grade("values", target, "20, 10.4, 10").reward == 1
    assert grade("values", target, "10, 10, 10").parts["values/matched"] == pytest.approx(2 / 3)


span = st.tuples(st.floats(0, 100), st.floats(0.5, 50)).map(lambda pair: Span(pair[0], pair[0] + pair[1]))


@given(span, span, st.floats(0, 100))
def test_temporal_iou_is_symmetric_bounded_and_the_same_when_both_move(a: Span, b: Span, shift: float) -> None:
    assert 0 <= temporal_iou(a, b) == temporal_iou(b, a) <= 1
    assert temporal_iou(a, a) == 1
    moved = temporal_iou(Span(a.start + shift, a.end + shift), Span(b.start + shift, b.end + shift))
    assert moved == pytest.approx(temporal_iou(a, b), abs=1e-9)


def test_temporal_iou_worked_by_hand() -> None:
    assert temporal_iou(Span(0, 10), Span(5, 15)) == pytest.approx(1 / 3)
    assert temporal_iou(Span(0, 10), Span(10, 20)) == 0


@given(st.integers(0, 5), st.integers(0, 59), st.integers(0, 59))
def test_seconds_are_the_same_in_every_form(hour: int, minute: int, second: int) -> None:
    total = hour * 3600 + minute * 60 + second
    words = (f"{hour}h {minute}min {second}s", f"{hour}小时{minute}分{second}秒")
    forms = (f"{hour}:{minute:02}:{second:02}", f"<{total}.0 seconds>", f"{total}", *words)
    assert [seconds_of(form) for form in forms] == [total] * len(forms)


@given(st.lists(span, min_size=1, max_size=4), st.lists(span, min_size=1, max_size=6))
def test_the_worth_of_spans_is_bounded_and_copies_do_not_pay(gold: list[Span], found: list[Span]) -> None:
    target = SpansTarget(tuple(gold))
    assert 0 <= grade("spans", target, json.dumps([[item.start, item.end] for item in found])).reward <= 1 + 1e-9
    exact = [[item.start, item.end] for item in gold]
    assert grade("spans", target, json.dumps(exact)).reward == pytest.approx(1)
    assert grade("spans", target, json.dumps(exact * 3)).reward == pytest.approx(0.5)


def test_many_narrow_spans_are_worth_little() -> None:
    guesses = "\n".join(f"{start}.0 to {start}.9 seconds" for start in range(100))
    assert grade("spans", SpansTarget((Span(3, 7.5),)), guesses).reward < 0.01
    assert spans_in("") is None


def test_cells_stand_under_their_row_and_column() -> None:
    rows = table_in("| a | b | b |\n|---|---|---|\n| x | 1 | 2 |\n| x | 3 | 4\\|5 |")
    assert rows is not None
    assert cells(rows) == {("x", 0, "b", 0): "1", ("x", 0, "b", 1): "2", ("x", 1, "b", 0): "3", ("x", 1, "b", 1): "4|5"}
    assert cells((("a",), ("x",), ("y",))) == {("x", 0, "a", 0): "x", ("y", 0, "a", 0): "y"}
