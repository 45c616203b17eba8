"""Divergences against full enumeration of small vocabularies: values, gradients, laws."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor
from trl.experimental.gkd import GKDTrainer

from distill.divergences import Divergence, DivergenceName, sampled_advantages
from rl.config.teaching_settings import DistillationSettings
from rl.training.token_distribution import bucketed, with_tail

STUDENT = torch.tensor([[0.3, -0.7, 1.1, 0.0, -1.5]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 0.2, -0.4, 0.5, -2.0]], dtype=torch.float64)
REVERSE_KL, FORWARD_KL = 0.5002100812468514, 0.37920341564971727
GRAD_REVERSE = [-0.25531848, -0.1102783, 0.51993235, -0.15621594, 0.00188037]
GRAD_FORWARD = [-0.20288096, -0.10926205, 0.3897807, -0.09320878, 0.01557108]
NAMES: tuple[DivergenceName, ...] = ("reverse_kl", "forward_kl", "jsd")
LOGITS = st.lists(st.floats(-8, 8), min_size=6, max_size=6)


def value_and_gradient(divergence: Divergence, student: Tensor = STUDENT, teacher: Tensor = TEACHER) -> tuple[float, Tensor]:
    logits = student.clone().requires_grad_()
    value = divergence(logits.log_softmax(1), teacher.log_softmax(1)).sum()
    return value.item(), torch.autograd.grad(value, logits)[0][0]


def enumerated_gradient(divergence: Divergence) -> Tensor:
    """The gradient of the module's table, one token after the other, in plain arithmetic."""
    s, t = STUDENT.softmax(1)[0].tolist(), TEACHER.softmax(1)[0].tolist()
    log = [torch.tensor(x, dtype=torch.float64).log().item() for x in s], [torch.tensor(x, dtype=torch.float64).log().item() for x in t]
    if divergence.name == "forward_kl":
        return torch.tensor([a - b for a, b in zip(s, t, strict=True)], dtype=torch.float64)
    if divergence.name == "reverse_kl":
        other, scale = log[1], 1.0
    else:
        mixed = [divergence.beta * b + (1 - divergence.beta) * a for a, b in zip(s, t, strict=True)]
        other, scale = [torch.tensor(x, dtype=torch.float64).log().item() for x in mixed], 1 / divergence.beta
    distance = sum(a * (la - lo) for a, la, lo in zip(s, log[0], other, strict=True))
    return torch.tensor([scale * a * (la - lo - distance) for a, la, lo in zip(s, log[0], other, strict=True)], dtype=torch.float64)


def test_the_two_kls_have_their_worked_values_and_gradients() -> None:
    reverse, forward = value_and_gradient(Divergence("reverse_kl")), value_and_gradient(Divergence("forward_kl"))
    assert reverse[0] == pytest.approx(REVERSE_KL, abs=1e-12)
    assert forward[0] == pytest.approx(FORWARD_KL, abs=1e-12)
    assert reverse[1].tolist() == pytest.approx(GRAD_REVERSE, abs=5e-9)
    assert forward[1].tolist() == pytest.approx(GRAD_FORWARD, abs=5e-9)


@pytest.mark.parametrize("divergence", [Divergence(name, beta) for name in NAMES for beta in (0.1, 0.5, 0.9)])
def test_gradients_are_those_of_the_documented_formulas(divergence: Divergence) -> None:
    torch.testing.assert_close(value_and_gradient(divergence)[1], enumerated_gradient(divergence), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("beta", "end"), [(1e-6, "forward_kl"), (1 - 1e-6, "reverse_kl")])
def test_the_scaled_jsd_goes_over_into_the_kls_without_a_jump(beta: float, end: DivergenceName) -> None:
    (value, gradient), (expected, expected_gradient) = value_and_gradient(Divergence("jsd", beta)), value_and_gradient(Divergence(end))
    assert value == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(gradient, expected_gradient, rtol=0, atol=1e-5)


@pytest.mark.parametrize("beta", [0.01, 0.99])
def test_the_jsd_keeps_three_digits_in_float32_at_the_ends_that_the_settings_allow(beta: float) -> None:
    divergence = Divergence("jsd", beta)
    exact, single = (divergence(*(x.to(kind).log_softmax(1) for x in (STUDENT, TEACHER))) for kind in (torch.float64, torch.float32))
    assert single.item() == pytest.approx(exact.item(), abs=1e-4)
    DistillationSettings(beta=beta)


@pytest.mark.parametrize("beta", [0.009, 0.991])
def test_a_beta_at_which_float32_loses_the_jsd_is_refused(beta: float) -> None:
    with pytest.raises(ValidationError):
        DistillationSettings(beta=beta)


def test_all_divergences_have_the_same_curvature_where_student_and_teacher_agree() -> None:
    near = TEACHER + 1e-4 * STUDENT
    values = [value_and_gradient(Divergence(name, beta), near)[0] for name in NAMES for beta in (0.1, 0.9)]
    assert values == pytest.approx([values[0]] * len(values), rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(LOGITS, LOGITS, st.sampled_from(NAMES), st.floats(0.02, 0.98))
def test_a_divergence_is_never_negative_and_bucketing_never_raises_it(
    student: list[float], teacher: list[float], name: DivergenceName, beta: float
) -> None:
    s, t = (torch.tensor([x], dtype=torch.float64).log_softmax(1) for x in (student, teacher))
    divergence = Divergence(name, beta)
    full = divergence(s, t).item()
    ids = t.topk(3).indices
    merged = divergence(bucketed(s, ids), bucketed(t, ids)).item()
    assert -1e-12 <= merged <= full + 1e-10


def test_top_k_with_a_tail_bucket_has_its_worked_value_and_lies_between_the_truncations() -> None:
    s, t = STUDENT.log_softmax(1), TEACHER.log_softmax(1)
    ids = t.topk(2).indices
    value = Divergence("forward_kl")(bucketed(s, ids), bucketed(t, ids)).item()
    top_s, top_t = s.gather(1, ids), t.gather(1, ids)
    renormalised = Divergence("forward_kl")(top_s.log_softmax(1), top_t.log_softmax(1)).item()
    assert value == pytest.approx(0.1823, abs=5e-5)
    assert renormalised == pytest.approx(0.0048, abs=5e-5)
    assert renormalised < value < FORWARD_KL


@pytest.mark.parametrize("name", NAMES)
def test_buckets_of_the_whole_vocabulary_give_the_full_divergence(name: DivergenceName) -> None:
    s, t = STUDENT.log_softmax(1), TEACHER.log_softmax(1)
    ids = torch.arange(5)[None]
    divergence = Divergence(name)
    assert divergence(bucketed(s, ids), bucketed(t, ids)).item() == pytest.approx(divergence(s, t).item(), abs=1e-10)


@pytest.mark.parametrize("name", NAMES)
def test_the_gradient_on_buckets_is_that_of_their_enumeration(name: DivergenceName) -> None:
    logits = STUDENT.clone().requires_grad_()
    ids = TEACHER.topk(2).indices
    Divergence(name)(bucketed(logits.log_softmax(1), ids), bucketed(TEACHER.log_softmax(1), ids)).sum().backward()
    step = 1e-6
    expected = []
    for token in range(5):
        sides = []
        for sign in (1, -1):
            moved = STUDENT.clone()
            moved[0, token] += sign * step
            sides.append(Divergence(name)(bucketed(moved.log_softmax(1), ids), bucketed(TEACHER.log_softmax(1), ids)).item())
        expected.append((sides[0] - sides[1]) / (2 * step))
    assert logits.grad is not None
    assert logits.grad[0].tolist() == pytest.approx(expected, abs=1e-8)


def test_a_tail_from_the_top_k_alone_equals_the_one_from_all_log_probs() -> None:
    t = TEACHER.log_softmax(1)
    ids = t.topk(2).indices
    torch.testing.assert_close(with_tail(t.gather(1, ids)), bucketed(t, ids), rtol=0, atol=1e-12)


@pytest.mark.parametrize("rounded", [1e-6, 0.0, -1e-12])
def test_a_tail_that_rounding_has_made_negative_is_the_resolution_of_the_dtype(rounded: float) -> None:
    tail = with_tail(torch.tensor([[rounded, -20.0]]))
    assert tail.exp()[0, 2].item() == pytest.approx(1.2e-7, rel=0.01)


@pytest.mark.parametrize("name", NAMES)
def test_outcomes_that_are_impossible_for_both_count_nothing_and_give_no_nan(name: DivergenceName) -> None:
    banned = torch.tensor([[0.0, 0.0, 0.0, 0.0, 0.0, -torch.inf]], dtype=torch.float64)
    logits = torch.cat((STUDENT, torch.zeros(1, 1, dtype=torch.float64)), 1).requires_grad_()
    teacher = torch.cat((TEACHER, torch.zeros(1, 1, dtype=torch.float64)), 1) + banned
    value = Divergence(name)((logits + banned).log_softmax(1), teacher.log_softmax(1)).sum()
    value.backward()
    plain, gradient = value_and_gradient(Divergence(name))
    assert value.item() == pytest.approx(plain, abs=1e-12)
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad[0], torch.cat((gradient, torch.zeros(1, dtype=torch.float64))), rtol=0, atol=1e-12)


def test_the_policy_gradient_of_the_sampled_advantage_is_that_of_the_reverse_kl() -> None:
    logits = STUDENT.clone().requires_grad_()
    logprobs = logits.log_softmax(1)
    advantages = sampled_advantages(logprobs, TEACHER.log_softmax(1))
    expectation = (logprobs.exp().detach() * advantages * logprobs).sum()
    (gradient,) = torch.autograd.grad(expectation, logits)
    torch.testing.assert_close(-gradient[0], value_and_gradient(Divergence("reverse_kl"))[1], rtol=0, atol=1e-10)


def test_backpropagating_the_sampled_difference_itself_would_teach_nothing() -> None:
    logits = STUDENT.clone().requires_grad_()
    logprobs = logits.log_softmax(1)
    (logprobs.exp().detach() * (logprobs - TEACHER.log_softmax(1))).sum().backward()
    assert logits.grad is not None
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), rtol=0, atol=1e-10)


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9])
def test_the_jsd_agrees_with_trl_up_to_its_scale(beta: float) -> None:
    generator = torch.Generator().manual_seed(0)
    student, teacher = (torch.randn(2, 7, 11, dtype=torch.float64, generator=generator) for _ in range(2))
    theirs = GKDTrainer.generalized_jsd_loss(student, teacher, beta=beta)
    ours = Divergence("jsd", beta)(student.flatten(0, 1).log_softmax(1), teacher.flatten(0, 1).log_softmax(1))
    assert beta * (1 - beta) * ours.sum().item() / 2 == pytest.approx(theirs.item(), abs=1e-10)


@pytest.mark.parametrize(("beta", "name"), [(0.0, "forward_kl"), (1.0, "reverse_kl")])
def test_the_kls_agree_with_trl(beta: float, name: DivergenceName) -> None:
    generator = torch.Generator().manual_seed(1)
    student, teacher = (torch.randn(2, 7, 11, dtype=torch.float64, generator=generator) for _ in range(2))
    theirs = GKDTrainer.generalized_jsd_loss(student, teacher, beta=beta)
    ours = Divergence(name)(student.flatten(0, 1).log_softmax(1), teacher.flatten(0, 1).log_softmax(1))
    assert ours.sum().item() / 2 == pytest.approx(theirs.item(), abs=1e-10)
