"""Values and gradients of each token: the oracle table of the SAPO gate, and what happens at extreme ratios."""

import math

import pytest
import torch
from torch import Tensor

from rl.objectives.policy_losses import Grpo, Gspo, PolicyLoss, Sapo
from rl.objectives.policy_tokens import PolicyTokens

SAPO = Sapo(1.0, 1.05)

# tau, r, f(r), f'(r), r f'(r): computed in float64 and cross-checked with mpmath.
GATE = [
    (1.00, 0.5, 1.5101626751925818, 0.94001484880637796, 0.47000742440318898),
    (1.00, 0.8, 1.8006640107500884, 0.99006629084743978, 0.79205303267795182),
    (1.00, 1.0, 2.0, 1.0, 1.0),
    (1.00, 1.2, 2.1993359892499116, 0.99006629084743978, 1.1880795490169277),
    (1.00, 2.0, 2.9242343145200195, 0.78644773296592741, 1.5728954659318548),
    (1.05, 0.5, 1.4159383303033667, 0.93413982328539247, 0.46706991164269624),
    (1.05, 0.8, 1.7054936778120942, 0.98905553038385684, 0.79124442430708547),
    (1.05, 1.0, 1.9047619047619048, 1.0, 1.0),
    (1.05, 1.2, 2.1040301317117153, 0.98905553038385684, 1.1868666364606282),
    (1.05, 2.0, 2.8219996159320152, 0.76810979169529432, 1.5362195833905886),
]


def tokens_of(log_ratios: Tensor, advantages: Tensor, sequence: list[int] | None = None) -> PolicyTokens:
    """Tokens with pi_old = 1, so that log-prob and log-ratio are the same; one response each unless told."""
    old = torch.zeros_like(log_ratios).detach()
    ids = torch.tensor(sequence if sequence is not None else list(range(len(log_ratios))))
    return PolicyTokens(log_ratios, old, old, advantages, ids, int(ids.max()) + 1)


def surrogate_and_gradient(
    loss: PolicyLoss, log_ratios: Tensor, advantages: Tensor, sequence: list[int] | None = None
) -> tuple[Tensor, Tensor]:
    leaf = log_ratios.clone().requires_grad_()
    values = loss(tokens_of(leaf, advantages, sequence)).values_N
    (gradient,) = torch.autograd.grad(values.sum(), leaf)
    return values.detach(), gradient


@pytest.mark.parametrize(("tau", "ratio", "value", "slope", "coefficient"), GATE)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_gate_equals_the_oracle_table(tau: float, ratio: float, value: float, slope: float, coefficient: float, sign: float) -> None:
    other = 3.0  # the temperature of the other sign must not matter
    loss = Sapo(tau, other) if sign > 0 else Sapo(other, tau)
    advantages = torch.tensor([sign], dtype=torch.float64)
    values, gradient = surrogate_and_gradient(loss, torch.tensor([math.log(ratio)], dtype=torch.float64), advantages)
    assert values.item() * sign == pytest.approx(value, abs=1e-12)
    assert gradient.item() * sign == pytest.approx(coefficient, abs=1e-12)
    assert gradient.item() * sign / ratio == pytest.approx(slope, abs=1e-12)


@pytest.mark.parametrize(
    ("tau", "ratio", "slope"), [(1.0, 5.0, 0.0706508248532), (1.0, 10.0, 4.9351739906e-4), (1.05, 5.0, 0.0582230387232)]
)
def test_gate_closes_far_from_one(tau: float, ratio: float, slope: float) -> None:
    _, gradient = surrogate_and_gradient(
        Sapo(tau, tau), torch.tensor([math.log(ratio)], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    )
    assert gradient.item() / ratio == pytest.approx(slope, rel=1e-10)


@pytest.mark.parametrize(
    ("tau", "at_zero", "at_infinity"), [(1.0, 1.0757656854799804, 4.0), (1.05, 0.9875241935917942, 3.8095238095238093)]
)
def test_gate_has_finite_limits(tau: float, at_zero: float, at_infinity: float) -> None:
    values, _ = surrogate_and_gradient(
        Sapo(tau, tau), torch.tensor([-200.0, 200.0], dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    )
    assert values.tolist() == pytest.approx([at_zero, at_infinity], abs=1e-8)  # the clamp leaves r = exp(-20)


def test_an_advantage_of_zero_takes_the_negative_temperature_and_gives_no_gradient() -> None:
    values, gradient = surrogate_and_gradient(SAPO, torch.tensor([0.7]), torch.zeros(1))
    assert values.item() == 0.0
    assert gradient.item() == 0.0
    between = tokens_of(torch.tensor([2.7]).log(), torch.zeros(1))  # closed under 1.05, open under 1.0
    assert SAPO(between).statistics["gate_below_half_frac"].item()


def test_gate_is_counted_closed_where_its_slope_is_below_half() -> None:
    ratios = torch.tensor([1.76, 1.77, 1.67, 1.69], dtype=torch.float64)  # w = 1/2 at r - 1 = 1.7627 / tau
    closed = SAPO(tokens_of((ratios + 1).log(), torch.tensor([1.0, 1.0, -1.0, -1.0]))).statistics["gate_below_half_frac"]
    assert closed.tolist() == [False, True, False, True]


@pytest.mark.parametrize(
    ("ratio", "advantage", "gradient"), [(1.1, 1, 1.1), (1.3, 1, 0), (1.3, -1, -1.3), (0.7, -1, 0), (0.7, 1, 0.7), (0.85, -1, -0.85)]
)
def test_grpo_drops_exactly_the_tokens_that_would_move_further_out(ratio: float, advantage: float, gradient: float) -> None:
    log_ratio = torch.tensor([math.log(ratio)], dtype=torch.float64)
    _, found = surrogate_and_gradient(Grpo(0.2, 0.2), log_ratio, torch.tensor([float(advantage)], dtype=torch.float64))
    assert found.item() == pytest.approx(gradient, abs=1e-15)
    clipped = Grpo(0.2, 0.2)(tokens_of(log_ratio, torch.tensor([float(advantage)]))).statistics["clipped_frac"]
    assert clipped.item() == (gradient == 0)


def test_clip_higher_lets_rare_good_tokens_rise_further() -> None:
    log_ratio, advantage = torch.tensor([math.log(1.25)], dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert surrogate_and_gradient(Grpo(0.2, 0.2), log_ratio, advantage)[1].item() == 0.0
    assert surrogate_and_gradient(Grpo(0.2, 0.28), log_ratio, advantage)[1].item() == pytest.approx(1.25)


def test_gspo_gives_every_token_the_geometric_mean_ratio_of_its_response() -> None:
    log_ratios = torch.tensor([0.1, -0.3, 0.05, 0.4, 0.01], dtype=torch.float64)
    advantages = torch.tensor([1.0, -2.0, 1.0, 1.0, -2.0], dtype=torch.float64)
    values, gradient = surrogate_and_gradient(Gspo(0.9, 0.9), log_ratios, advantages, [0, 1, 0, 0, 1])
    s = torch.tensor([math.exp(0.55 / 3), math.exp(-0.29 / 2)], dtype=torch.float64)[torch.tensor([0, 1, 0, 0, 1])]
    torch.testing.assert_close(values, s * advantages, rtol=0, atol=1e-14)
    torch.testing.assert_close(gradient, s * advantages, rtol=0, atol=1e-14)


def test_gspo_token_form_has_the_gradient_of_the_response_form() -> None:
    log_ratios = torch.tensor([0.02, -0.01, 0.03, 0.5, 0.4, -0.6], dtype=torch.float64)
    advantages = torch.tensor([1.0, 1.0, 1.0, 1.0, 1.0, -1.0], dtype=torch.float64)
    sequence = [0, 0, 0, 1, 1, 2]
    _, gradient = surrogate_and_gradient(Gspo(0.2, 0.2), log_ratios, advantages, sequence)
    leaf = log_ratios.clone().requires_grad_()
    total = torch.zeros((), dtype=torch.float64)
    for index, sign, length in ((0, 1.0, 3), (1, 1.0, 2), (2, -1.0, 1)):
        s = leaf[torch.tensor(sequence) == index].mean().exp()
        total = total + length * torch.minimum(s * sign, s.clamp(0.8, 1.2) * sign)
    torch.testing.assert_close(gradient, torch.autograd.grad(total, leaf)[0], rtol=0, atol=1e-14)
    assert gradient.tolist()[3:] == [0.0, 0.0, 0.0]  # s = 1.57 with A > 0 and s = 0.55 with A < 0 are clipped


EXTREMES = torch.tensor([200.0, -200.0, 3e38, -3e38, math.inf, -math.inf, 88.8, -104.0])


@pytest.mark.parametrize("loss", [SAPO, Grpo(0.2, 0.28), Gspo(3e-4, 4e-4)], ids=["sapo", "grpo", "gspo"])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_extreme_ratios_give_finite_values_and_gradients(loss: PolicyLoss, sign: float, dtype: torch.dtype) -> None:
    advantages = torch.full(EXTREMES.shape, sign)
    for sequence in (None, [0] * len(EXTREMES)):
        values, gradient = surrogate_and_gradient(loss, EXTREMES.to(dtype), advantages, sequence)
        assert values.isfinite().all()
        assert gradient.isfinite().all()


def test_control_the_gate_without_a_clamp_gives_nan_gradients() -> None:
    log_ratios = torch.tensor([200.0]).requires_grad_()
    (4.0 * torch.sigmoid(log_ratios.exp() - 1.0)).sum().backward()
    assert log_ratios.grad is not None
    assert log_ratios.grad.isnan().all()


@pytest.mark.parametrize("old_dtype", [torch.bfloat16, torch.float32])
def test_bfloat16_log_probs_are_widened_before_they_are_subtracted(old_dtype: torch.dtype) -> None:
    now, old = torch.tensor([-7.03125], dtype=torch.bfloat16), torch.tensor([-0.0703125], dtype=old_dtype)
    values = Grpo(0.2, 0.2)(PolicyTokens(now, old, old, torch.ones(1), torch.zeros(1, dtype=torch.long), 1)).values_N
    assert values.dtype == torch.float32
    assert values.item() == pytest.approx(math.exp(-7.03125 + 0.0703125), rel=1e-6)
