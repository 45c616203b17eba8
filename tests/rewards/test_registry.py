import subprocess
import sys
from pathlib import Path

import pytest

from rewards.errors import RewardError
from rewards.mixture import check_target
from rewards.outcome import Grade
from rewards.registry import all_rewards, find, reward
from rewards.transcript import Transcript
from tasks.problem import CountTarget, MathTarget, MissingTarget, NumberTarget, Target, TextTarget


def graded(target: Target, transcript: Transcript) -> Grade:
    return Grade(1.0)


def test_an_unknown_reward_names_the_nearest() -> None:
    with pytest.raises(RewardError, match=r"unknown reward 'mahts'; did you mean 'math'\?"):
        find("mahts")


def test_an_unknown_setting_names_the_nearest() -> None:
    with pytest.raises(RewardError, match=r"setting of reward 'boxes': 'treshold'; did you mean 'threshold'"):
        find("boxes").check_settings({"treshold": 0.7})


@pytest.mark.parametrize("value", ["0.7", True, None])
def test_a_setting_of_another_type_is_refused(value: str | bool | None) -> None:
    with pytest.raises(RewardError, match=r"threshold is .*; it takes a float such as 0\.5"):
        find("boxes").check_settings({"threshold": value})


def test_a_whole_number_is_a_float_setting() -> None:
    find("boxes").check_settings({"threshold": 1})


def test_two_rewards_of_one_name_are_refused() -> None:
    with pytest.raises(RewardError, match=r"two rewards are called 'math': in rewards\.verifiers\.math and in .*test_registry"):
        reward("math", target=MathTarget)(graded)


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        (lambda target: Grade(1.0), "takes 1 positional"),
        (lambda target, transcript, extra: Grade(1.0), "takes 3 positional"),
        (lambda target, transcript, **rest: Grade(1.0), r"\*rest is not allowed"),
        (lambda target, transcript, *, needed: Grade(1.0), "setting needed needs a default"),
    ],
)
def test_a_wrong_signature_is_refused_when_it_is_registered(definition: object, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        reward("wrong_signature", target="any")(definition)  # type: ignore[type-var]


def test_only_an_asynchronous_reward_may_have_its_own_limit() -> None:
    with pytest.raises(RewardError, match="own_limit=True is for asynchronous rewards"):
        reward("own_limit_of_a_worker", target="any", own_limit=True)(graded)


def test_a_value_that_a_setting_does_not_have_names_the_nearest() -> None:
    with pytest.raises(RewardError, match=r"value of setting overlap of reward 'boxes': 'gi_ou'; did you mean 'giou'"):
        find("boxes").check_settings({"overlap": "gi_ou"})
    find("boxes").check_settings({"overlap": "giou"})


def test_a_target_that_is_no_kind_of_target_is_refused() -> None:
    with pytest.raises(RewardError, match="target=str is not a kind of target; take one of Boxes3dTarget, BoxesTarget"):
        reward("wrong_target", target=str)(graded)


def test_a_reward_for_several_kinds_of_target_grades_each_and_no_other() -> None:
    entry = find_registered(MathTarget | NumberTarget)
    assert entry.grades(MathTarget("1"))
    assert entry.grades(NumberTarget(1.0))
    assert not entry.grades(TextTarget(("1",)))


def find_registered(target: object):  # type: ignore[no-untyped-def]
    reward("two_kinds", target=target)(graded)  # type: ignore[arg-type]
    return find("two_kinds")


def test_a_mismatch_of_target_and_reward_fails_before_anything_runs() -> None:
    with pytest.raises(RewardError, match="reward 'math' grades MathTarget, but the problem's target is a CountTarget"):
        check_target({"format": 0.1, "math": 1.0}, CountTarget(3))


@pytest.mark.parametrize("name", ["math", "format", "boxes"])
def test_a_missing_target_passes_the_check_since_it_is_counted_later(name: str) -> None:
    check_target(name, MissingTarget())


def test_every_built_in_reward_registers_under_its_own_name() -> None:
    names = {entry.name for entry in all_rewards()}
    assert {"boxes", "choice", "count", "exact", "format", "length", "math", "number", "puzzle", "text"} <= names


def test_the_registry_imports_neither_sympy_nor_any_verifier() -> None:
    heavy = "('sympy', 'scipy', 'math_verify', 'torch')"
    program = f"import sys, rewards.registry, rewards.isolation; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(__file__).parent)
    assert done.stdout.strip() == "[]"
