"""The learning rate at every step, by hand."""

import pytest

from rl.config.supervised_settings import OptimizerSettings
from rl.training.schedule import learning_rate


def rates(total: int, **options: object) -> list[float]:
    settings = OptimizerSettings.model_validate({"lr": 1.0, "warmup_steps": 0} | options)
    return [learning_rate(settings, step, total) for step in range(total)]


def test_the_warm_up_is_linear_and_ends_at_the_peak() -> None:
    assert rates(6, warmup_steps=4) == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]


def test_linear_decay_ends_at_the_final_share_in_the_last_step() -> None:
    assert rates(5, decay="linear", final_lr_share=0.2) == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2])


def test_cosine_decay_after_a_warm_up() -> None:
    expected = [0.5, 1.0, 1.0, 0.1 + 0.9 * 0.75, 0.1 + 0.9 * 0.25, 0.1]
    assert rates(6, warmup_steps=2, decay="cosine", final_lr_share=0.1) == pytest.approx(expected)


@pytest.mark.parametrize("decay", ["linear", "cosine"])
def test_the_rate_never_falls_below_its_end_after_the_last_step(decay: str) -> None:
    settings = OptimizerSettings.model_validate({"lr": 2.0, "warmup_steps": 1, "decay": decay, "final_lr_share": 0.25})
    assert [learning_rate(settings, step, 4) for step in (3, 4, 100)] == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize("decay", ["constant", "linear", "cosine"])
@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (1, 1), (3, 3), (5, 2)])
def test_runs_no_longer_than_their_warm_up_have_finite_positive_rates(decay: str, warmup: int, total: int) -> None:
    assert all(0 < rate <= 1 for rate in rates(total, warmup_steps=warmup, decay=decay))
