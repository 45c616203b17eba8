"""What must hold for every mathematical answer, whatever it says."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.maths.equality import equal_answers
from rewards.maths.words import in_digits

numbers = st.fractions(min_value=-999, max_value=999, max_denominator=60)
FORMS = (
    lambda f: rf"\frac{{{f.numerator}}}{{{f.denominator}}}",
    lambda f: f"{f.numerator}/{f.denominator}",
    lambda f: rf"x = \dfrac{{{f.numerator}}}{{{f.denominator}}}",
    lambda f: rf"${f.numerator * 3}/{f.denominator * 3}$",
    lambda f: rf"\text{{ }}{f.numerator} \div {f.denominator}",
    lambda f: f"（{f.numerator}）／{f.denominator}",
)


@given(numbers, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_every_way_to_write_a_fraction_is_right(value: Fraction, form, other) -> None:  # type: ignore[no-untyped-def]
    assert equal_answers(form(value), other(value))


@given(numbers, numbers, st.sampled_from(FORMS), st.sampled_from(FORMS))
def test_no_way_to_write_another_fraction_is(value: Fraction, wrong: Fraction, form, other) -> None:  # type: ignore[no-untyped-def]
    assert equal_answers(form(value), other(wrong)) == (value == wrong)


@given(st.sets(st.integers(-99, 99), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_the_order_of_a_set_is_nothing_and_that_of_a_tuple_everything(members: set[int], random) -> None:  # type: ignore[no-untyped-def]
    first = sorted(members)
    second = random.sample(first, len(first))
    listed = [", ".join(map(str, order)) for order in (first, second)]
    assert equal_answers(rf"\{{{listed[0]}\}}", rf"\{{{listed[1]}\}}")
    assert equal_answers(f"({listed[0]})", f"({listed[1]})") == (first == second)
    assert not equal_answers(rf"\{{{listed[0]}\}}", rf"\{{{listed[1]}, 100\}}")


@given(st.integers(-50, 50), st.integers(1, 50), st.sampled_from("()[]"), st.sampled_from("()[]"))
def test_an_interval_is_its_inequality_and_no_other(low: int, length: int, left: str, right: str) -> None:
    left, right = "(" if left in "()" else "[", ")" if right in "()" else "]"
    interval = f"{left}{low}, {low + length}{right}"
    relation = {"(": "<", "[": r"\leq", ")": "<", "]": r"\leq"}
    assert equal_answers(interval, rf"{low} {relation[left]} x {relation[right]} {low + length}")
    other = "[" if left == "(" else "("
    assert not equal_answers(interval, f"{other}{low}, {low + length}{right}") or f"{other}{right}" == f"{left}{right}"


@given(st.integers(0, 99_999))
def test_chinese_numerals_are_read(value: int) -> None:
    assert in_digits(_chinese(value)) == str(value)


def _chinese(value: int) -> str:
    if value >= 10_000:
        low = value % 10_000
        return _chinese(value // 10_000) + "万" + (("零" if low < 1000 else "") + _chinese(low) if low else "")
    text, zero = "", False
    for unit, name in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = value // unit % 10
        text += ("零" if zero and text else "") + "零一二三四五六七八九"[digit] + name if digit else ""
        zero = not digit
    return text or "零"


@pytest.mark.parametrize(
    "code",
    [
        "__import__('os').system('touch {marker}')",
        "().__class__.__base__.__subclasses__()",
        "exec(\"open('{marker}', 'w')\")",
        r"\text{{__import__('pathlib').Path('{marker}').touch()}}",
        "Matrix([eval(\"open('{marker}','w')\")])",
        "[x for x in [open('{marker}', 'w')]]",
        "lambda: open('{marker}','w')",
        r"\operatorname{{exec}}(open('{marker}','w'))",
        "1+eval(chr(111)+chr(112)+\"en('{marker}','w')\")",
        'S(\'open("{marker}","w")\')',
    ],
)
@pytest.mark.parametrize("gold", ["1", "x+1", r"\{1,2\}", "(0,1)", r"\begin{pmatrix}1&2\end{pmatrix}", "y=2x"])
def test_no_answer_and_no_gold_is_ever_run(code: str, gold: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    text = code.format(marker=marker)
    assert not equal_answers(gold, text)
    assert not equal_answers(text, gold)
    assert not marker.exists()
