"""Rewards that read the transcript alone: repetition, language mixing, length. Golden cases by hand, laws with hypothesis."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_calls import response

from rewards.errors import RewardError
from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade
from rewards.repetition import measure_repetition
from rewards.transcript import Transcript
from tasks.message import Json, text_message
from tasks.problem import TextTarget

TARGET = TextTarget(("x",))
PROSE = " ".join(f"{a}{b}{c}" for a in "bcdfgh" for b in "aeiou" for c in ("lm", "rt", "ng", "st", "ck", "x", "dd", "pp"))


def grade(reward: str, text: str, prompt: str = "question", complete: bool = True, **settings: Json) -> Grade:
    transcript = Transcript((text_message("user", prompt),), (text_message("assistant", text),), complete=complete)
    outcome = grade_here(RewardSpec((Component(reward, settings=settings),)), TARGET, transcript)
    assert isinstance(outcome, Grade)
    return outcome


@settings(max_examples=60, deadline=None)
@given(period=st.integers(1, 400), before=st.integers(0, 200), after=st.integers(0, 200), seed=st.integers(0, 99))
def test_a_loop_is_found_at_its_full_length_whatever_its_period_and_place(period: int, before: int, after: int, seed: int) -> None:
    draw = random.Random(seed)
    unit = [f"u{draw.randrange(10**6)}" for _ in range(period)]
    around = [f"a{draw.randrange(10**9)}" for _ in range(before + after)]
    text = " ".join(around[:before] + unit * 4 + around[before:])
    assert measure_repetition(text).loop == 4 * period


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**9), unique=True, max_size=300))
def test_a_text_of_different_words_has_no_loop_and_repeats_nothing(numbers: list[int]) -> None:
    found = measure_repetition(" ".join(f"w{number}" for number in numbers))
    assert (found.loop, found.share) == (0, 0.0)


def test_twice_is_no_loop_and_three_times_is() -> None:
    twice, thrice = (measure_repetition(" ".join([PROSE] * copies)) for copies in (2, 3))
    assert (twice.loop, thrice.loop) == (0, 3 * 240)
    assert twice.share == pytest.approx(237 / 477)  # 480 words have 477 four-word sequences; all but the 240 different ones are repeats


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        (PROSE, 1),
        ("蜜蜂飞到红花上采蜜，然后回到蜂巢，把花粉交给同伴。它们用舞蹈说明花在哪里，风从哪边来。" * 1, 1),
        ("a" * 5000, 0),
        ("好的。" * 60, 0),
        ("我们再想一想这个问题，" * 20, 0),
        ("".join(f"The bee number {n} flies to the {c} flower. " for n, c in enumerate(["red", "blue", "white", "pink", "grey"] * 8)), 0),
        (PROSE + " wait, let me check again." * 30, 0),
        (PROSE + " wait, let me check again." * 30 + " " + PROSE.upper()[::-1], 0),
        ("\n" * 20_000, 0),
        (PROSE + "\n" + "|----" * 12 + "|\n", 1),
        (PROSE + "\n" + "0 0 0 0 0 0 0 0 0 0\n" * 10, 1),
        ("no no no no no no no no no no", 1),
        ("", 1),
    ],
)
def test_repeating_oneself_earns_nothing(text: str, worth: float) -> None:
    assert grade("repetition", text).reward == worth


def test_the_limits_of_repetition_are_settings() -> None:
    text = PROSE + " again and" * 20
    assert [grade("repetition", text, max_loop=most).reward for most in (40, 39)] == [1.0, 0.0]
    double = f"{PROSE} {PROSE}"
    assert [grade("repetition", double, max_share=most).reward for most in (0.5, 0.49)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("prompt", "text", "worth"),
    [
        ("三乘四等于多少？", "<think>Three times four is twelve, obviously.</think>\n答案是12。", 0),
        ("三乘四等于多少？", "<think>三乘四，就是十二。</think>\n答案是12。", 1),
        ("What is 3*4?", "<think>Тhе аnswеr is twеlvе.</think>\n12", 0),  # Cyrillic look-alikes
        ("What is 3*4?", "<think>3*4=12</think>\n12", 1),
        ("What is 3*4?", "First we compute 然后得到 twelve, 所以 the answer is 12.", 0),
        ("What is 3*4?", "The answer is 十二.", 0),
        ("解方程", "<think>我们先解方程。Wait, let me check. 好的。</think>答案是2", 0),
        ("计算", "所以 therefore 我们得到 12", 0),
        ("Who wrote it?", "It was written by 李白 (Li Bai) in the Tang dynasty.", 1),
        ("What does it say?", 'The sign says "禁止停车", which means no parking.', 1),
        ("What does 谢谢你 mean?", "The phrase 谢谢你 is a way to thank somebody.", 1),
        ("什么是 dropout？", "训练中，dropout 会随机丢弃神经元，PyTorch 用 nn.Dropout 实现，batch normalization 则不同。", 1),
        ("谁发现了万有引力？", "艾萨克·牛顿（Isaac Newton）发现了它，公式为 $F = G m_1 m_2 / r^2$。", 1),
        ("计算面积", "设 AB = 3 cm，BC = 4 cm，则 sin A = 0.8，面积为 6 cm²。", 1),
        ("写代码", "```python\nfor i in range(10):\n    print('hello world this is the answer')\n```\n上面的代码打印十次。", 1),
        ("把“我爱你”翻译成英文", "I love you", 1),
        ("Translate this into Chinese: hello", "你好", 1),
        ("Solve it", "Let α be the root and β the other one. Then α+β=3.", 1),
        ("日本の首都は？", "日本の首都は東京です。", 1),
        ("日本の首都は？", "The capital of Japan is Tokyo.", 0),
        ("Назови столицу", "Столица России — Москва.", 1),
        ("What is 2+2?", '"答案是四，因为二加二等于四。"', 0),  # all of it in quotes
        ("Read: the quick brown fox jumps over the lazy dog. 请概括上文", "上文讲一只狐狸跳过懒狗。", 1),
        ("", "", 1),
    ],
)
def test_language_mixing_is_judged_as_labelled(prompt: str, text: str, worth: float) -> None:
    assert grade("language_mixing", text, prompt).reward == worth


def test_the_language_may_be_named_and_is_one_that_is_known() -> None:
    assert [grade("language_mixing", "巴黎", language=code).reward for code in ("zh", "en", "ru")] == [1.0, 1.0, 1.0]
    text = "巴黎是法国的首都。"
    assert [grade("language_mixing", text, "Capital?", language=code).reward for code in ("zh", "en", "prompt")] == [1.0, 0.0, 0.0]
    spec = RewardSpec((Component("language_mixing", settings={"language": "english"}),))
    outcome = grade_here(spec, TARGET, response(text))
    assert "unknown language 'english'" in outcome.detail  # type: ignore[union-attr]


def test_a_larger_share_of_foreign_units_may_be_allowed() -> None:
    text = "We know that it holds, 所以 we stop."  # one run of 2 characters beside 7 words
    assert [grade("language_mixing", text, "Why?", max_share=share).reward for share in (0.2, 0.23)] == [0.0, 1.0]


@pytest.mark.parametrize(
    ("words", "settings", "worth"),
    [
        (20, {"least": 20}, 1.0),
        (19, {"least": 20}, 0.0),
        (10, {"most": 10}, 1.0),
        (11, {"most": 10}, 0.0),
        (15, {"most": 10, "slope": 10}, 0.5),
        (5, {"least": 10, "slope": 20}, 0.75),
        (60, {"most": 10, "slope": 10}, 0.0),
    ],
)
def test_length_is_paid_between_its_bounds(words: int, settings: dict[str, Json], worth: float) -> None:
    assert grade("length", "<think>not counted at all</think>" + "word " * words + "\n" * 50, **settings).reward == worth


def test_a_chinese_character_is_a_word() -> None:
    assert grade("length", "今天天气很好，GPT 说。", least=8, most=8).parts["length/words"] == 8


def test_length_refuses_a_unit_that_it_does_not_know() -> None:
    outcome = grade_here(RewardSpec((Component("length", settings={"unit": "token"}),)), TARGET, response("a"))
    assert "unknown unit 'token'" in outcome.detail  # type: ignore[union-attr]
    with pytest.raises(RewardError, match="it takes a int such as 0"):
        grade("length", "a", least="3")


@pytest.mark.parametrize(("length", "penalty"), [(0, 0.0), (16384, 0.0), (18432, -0.5), (20480, -1.0), (90_000, -1.0)])
def test_overlong_is_dapos_slope(length: int, penalty: float) -> None:
    assert grade("overlong", "x" * length, limit=20480, slope=4096).reward == penalty
    assert grade("overlong", "字" * length, limit=20480, slope=4096, unit="words").reward == penalty


def test_a_response_that_was_cut_off_is_overlong() -> None:
    assert grade("overlong", "short", complete=False).reward == -1.0


HOSTILE = ["x " * 500_000, "\\[" * 500_000, '"' * 10**6, "“" * 10**6, "中" * 10**6, "аb" * 500_000, "a" * 10**6, "\x00\ud800nan None"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:6].encode("unicode_escape").decode())
@pytest.mark.parametrize("name", ["repetition", "language_mixing", "length", "overlong"])
def test_hostile_texts_get_a_finite_grade(name: str, text: str) -> None:
    assert -1.0 <= grade(name, text).reward <= 1.0
