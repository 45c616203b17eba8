"""Document text: distances worked by hand."""

import pytest
from reward_calls import response

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade
from tasks.message import Json
from tasks.problem import TextTarget

GOLD = "TOTAL 41.90 EUR"


def grade(gold: str, text: str, **settings: Json) -> Grade:
    outcome = grade_here(RewardSpec((Component("document_text", settings=settings),)), TextTarget((gold,)), response(text))
    assert isinstance(outcome, Grade)
    return outcome


@pytest.mark.parametrize(
    ("gold", "text", "worth"),
    [
        (GOLD, GOLD, 1.0),
        (GOLD, "<think>It says TOTAL.</think>\n" + GOLD, 1.0),
        (GOLD, f"<think>{GOLD}</think>", 0.0),  # in the thinking alone
        (GOLD, f"<answer>{GOLD}</answer>", 1.0),
        (GOLD, f"```text\n{GOLD}\n```", 1.0),
        (GOLD, "TOTAL 41.80 EUR", 1 - 1 / 15),
        (GOLD, "TOTAL  41.90\n EUR ", 1.0),
        (GOLD, "ＴＯＴＡＬ ４１．９０ ＥＵＲ", 1.0),
        (GOLD, "total 41.90 eur", 1 - 8 / 15),
        (GOLD, f"{GOLD} {GOLD}", 15 / 31),
        (GOLD, "", 0.0),
        ("", "abc", 0.0),
        ("", "", 1.0),
        ("他说：“你好。”", '他说:"你好。"', 1.0),
        ("今天天气很好", "今天 天气\n很好", 1.0),
        ("今天天气很好", "今天天汽很好", 1 - 1 / 6),
        ("café", "cafe\u0301", 1.0),
        ("a — b", "a - b", 1.0),
    ],
)
def test_a_text_earns_one_minus_its_distance_over_the_longer(gold: str, text: str, worth: float) -> None:
    assert grade(gold, text).reward == pytest.approx(worth)


@pytest.mark.parametrize(
    ("setting", "gold", "text"),
    [
        ("width", "ABC", "ＡＢＣ"),
        ("whitespace", "a b", "a\n b"),
        ("punctuation", "a — b", "a - b"),
    ],
)
def test_each_normalisation_can_be_turned_off(setting: str, gold: str, text: str) -> None:
    assert grade(gold, text).reward == 1.0
    assert grade(gold, text, **{setting: False}).reward < 1.0


def test_case_counts_unless_told_otherwise() -> None:
    assert (grade("ABC", "abc").reward, grade("ABC", "abc", ignore_case=True).reward) == (0.0, 1.0)


def test_the_threshold_makes_the_verdict_and_the_floor_the_reward() -> None:
    near = grade(GOLD, "TOTAL 41.80 EUR", threshold=0.93)
    assert (near.verdict, near.parts["document_text/distance"]) == (True, 1.0)
    assert grade(GOLD, "TOTAL 41.80 EUR", threshold=0.94).verdict is False
    assert grade(GOLD, "TOTAL 41.80 EUR", floor=0.95).reward == 0.0


def test_the_nearest_of_several_gold_texts_counts() -> None:
    assert grade_here("document_text", TextTarget(("abcd", "abcx", "zzzz")), response("abcx")).reward == 1.0  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["T" * 100_000, f"{GOLD} " + "abcdefghij " * 90_000, "[" * 10**6, "\x00\ud800", "nan"])
def test_spam_around_the_gold_earns_next_to_nothing(text: str) -> None:
    outcome = grade(GOLD, text)
    assert outcome.reward < 0.15
    assert outcome.verdict is False
