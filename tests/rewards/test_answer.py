import pytest

from rewards.answer import Response, final_answer, split_response
from rewards.plain import normal_text, stated_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>a</think> 12 ", "12"),
        ("a</think>\n12", "12"),
        ("12", "12"),
        ("<think>a</think>b<think>c</think>d", "d"),
        ("<think>a</think>", ""),
        ("<think>12", ""),
        ("<think>a</think>12<think>13", ""),
        ("", ""),
    ],
)
def test_the_answer_is_what_follows_the_thinking(text: str, answer: str) -> None:
    assert final_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "thinking", "answer"),
    [
        ("<think>\na\n</think>\n\nb", "a", "b"),
        ("a\n</think>\nb", "a", "b"),
        ("<think>\nnever closed", "never closed", None),
        ("no thinking", "", "no thinking"),
        ("<think>a</think>b</think>c", "a b", "c"),
        ("<think>a</think>b<think>c</think>d", "a b c", "d"),
        ("<think></think>\n12", "", "12"),
        ("", "", ""),
    ],
)
def test_the_thinking_is_all_before_its_last_closing_tag_without_the_tags(text: str, thinking: str, answer: str | None) -> None:
    assert split_response(text) == Response(thinking, answer)


def test_thinking_that_is_never_closed_leaves_no_answer() -> None:
    assert split_response("<think>12").answer is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"so \boxed{a \text{b}} it is", r"a \text{b}"),
        (r"\boxed{a} and \boxed{b}", None),
        ("<answer> a </answer>", "a"),
        ("<answer>a</answer><answer>b</answer>", None),
        ("The answer is: Paris.", "Paris."),
        ("最终答案是：北京", "北京"),
        ("Paris", "Paris"),
    ],
)
def test_the_stated_answer_is_one_or_none(text: str, answer: str | None) -> None:
    assert stated_answer(text) == answer


def test_normal_text_drops_width_case_and_outer_marks_but_no_inner_ones() -> None:
    assert normal_text(" “Ｐａｒｉｓ  City”。") == "paris city"
    assert normal_text("3.5") == "3.5"
    assert normal_text("北 京") == "北京"
