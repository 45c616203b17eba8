"""KL estimators against the enumeration of a five-token vocabulary: what each is worth on average, and which gradient it gives."""

import pytest
import torch
from torch import Tensor

from rl.objectives.reference_term import KlEstimator, kl_estimate

POLICY = torch.tensor([0.3, -0.7, 1.1, 0.0, -1.5], dtype=torch.float64)
REFERENCE = torch.tensor([1.0, 0.2, -0.4, 0.5, -2.0], dtype=torch.float64)
REVERSE_KL, FORWARD_KL = 0.5002100812468514, 0.3792034056497
GRAD_REVERSE = [-0.25531848, -0.1102783, 0.51993235, -0.15621594, 0.00188037]
GRAD_FORWARD = [-0.20288096, -0.10926205, 0.3897807, -0.09320878, 0.01557108]


def expected_value_and_gradient(estimator: KlEstimator) -> tuple[float, Tensor]:
    """Averages over all tokens with the policy's probabilities; the sample is fixed, so the probabilities carry no gradient."""
    logits = POLICY.clone().requires_grad_()
    logprobs = torch.log_softmax(logits, -1)
    estimates = kl_estimate(estimator, logprobs, torch.log_softmax(REFERENCE, -1))
    mean = (logprobs.detach().exp() * estimates).sum()
    (gradient,) = torch.autograd.grad(mean, logits)
    return mean.item(), gradient


def analytic_gradient(forward: bool) -> Tensor:
    logits = POLICY.clone().requires_grad_()
    policy, reference = torch.log_softmax(logits, -1), torch.log_softmax(REFERENCE, -1)
    kl = (reference.exp() * (reference - policy)).sum() if forward else (policy.exp() * (policy - reference)).sum()
    return torch.autograd.grad(kl, logits)[0]


@pytest.mark.parametrize(("estimator", "value"), [("k1", REVERSE_KL), ("k2", 0.69356510), ("k3", REVERSE_KL)])
def test_expected_value_of_each_estimator(estimator: KlEstimator, value: float) -> None:
    assert expected_value_and_gradient(estimator)[0] == pytest.approx(value, abs=1e-10 if estimator != "k2" else 5e-9)


def test_k1_backpropagated_gives_no_gradient_on_average() -> None:
    torch.testing.assert_close(expected_value_and_gradient("k1")[1], torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-10)


def test_k2_backpropagated_gives_the_gradient_of_the_reverse_kl() -> None:
    gradient = expected_value_and_gradient("k2")[1]
    torch.testing.assert_close(gradient, analytic_gradient(forward=False), rtol=0, atol=1e-10)
    assert gradient.tolist() == pytest.approx(GRAD_REVERSE, abs=5e-9)


def test_k3_backpropagated_gives_the_gradient_of_the_forward_kl() -> None:
    gradient = expected_value_and_gradient("k3")[1]
    torch.testing.assert_close(gradient, analytic_gradient(forward=True), rtol=0, atol=1e-10)
    assert gradient.tolist() == pytest.approx(GRAD_FORWARD, abs=5e-9)


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_estimates_stay_finite_where_the_two_disagree_completely(estimator: KlEstimator) -> None:
    logprobs = torch.tensor([-300.0, 0.0, -torch.inf]).requires_grad_()
    estimates = kl_estimate(estimator, logprobs, torch.tensor([0.0, -300.0, -1.0]))
    estimates.sum().backward()
    assert logprobs.grad is not None
    assert estimates.isfinite().all()
    assert logprobs.grad.isfinite().all()


def test_k3_is_never_negative_and_keeps_its_digits_near_equality() -> None:
    tiny = torch.tensor([1e-4, -1e-4, 1e-6])
    estimates = kl_estimate("k3", tiny, torch.zeros(3))
    assert (estimates >= 0).all()
    assert estimates[0].item() == pytest.approx(5e-9, rel=1e-2)
