"""The loss of a step: whole-loss oracles, and that no split, order or padding of the responses changes it."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from rl.config.settings import ObjectiveSettings, ReferenceSettings
from rl.objectives.aggregation import Aggregation, StepDenominators
from rl.objectives.objective import PolicyObjective, make_objective, token_means
from rl.objectives.policy_tokens import PolicyTokens

AGGREGATIONS: tuple[Aggregation, ...] = ("sequence", "token", "constant")
SETTINGS = {
    "sapo": ObjectiveSettings(name="sapo"),
    "grpo": ObjectiveSettings(name="grpo", clip_high=0.28),
    "gspo": ObjectiveSettings(name="gspo", clip_low=0.05, clip_high=0.05),
    "sapo with k3": ObjectiveSettings(name="sapo", reference=ReferenceSettings(coefficient=0.1, estimator="k3")),
}


def oracle_tokens() -> PolicyTokens:
    """Two responses, A = +1 and -1, ratios (0.8, 1, 1.2) and (0.5, 2)."""
    logprobs = torch.tensor([0.8, 1.0, 1.2, 0.5, 2.0], dtype=torch.float64).log().requires_grad_()
    zeros = torch.zeros(5, dtype=torch.float64)
    advantages = torch.tensor([1, 1, 1, -1, -1], dtype=torch.float64)
    return PolicyTokens(logprobs, zeros, zeros, advantages, torch.tensor([0, 0, 0, 1, 1]), 2)


def random_responses(seed: int, lengths: list[int]) -> list[PolicyTokens]:
    generator = torch.Generator().manual_seed(seed)
    responses = []
    for length in lengths:
        old, now, behavior, reference = (
            -torch.rand(length, dtype=torch.float64, generator=generator) - torch.rand(1, dtype=torch.float64, generator=generator)
            for _ in range(4)
        )
        advantages = torch.randn(1, dtype=torch.float64, generator=generator).expand(length).clone()
        ids = torch.zeros(length, dtype=torch.long)
        responses.append(PolicyTokens(now.requires_grad_(), old, behavior, advantages, ids, 1, reference, -now.detach()))
    return responses


def packed(responses: list[PolicyTokens]) -> PolicyTokens:
    def joined(name: str) -> Tensor:
        return torch.cat([getattr(response, name) for response in responses])

    lengths = [len(response.logprobs_N) for response in responses]
    return PolicyTokens(
        logprobs_N=joined("logprobs_N"),
        old_logprobs_N=joined("old_logprobs_N"),
        behavior_logprobs_N=joined("behavior_logprobs_N"),
        advantages_N=joined("advantages_N"),
        sequence_N=torch.arange(len(lengths)).repeat_interleave(torch.tensor(lengths)),
        num_sequences=len(responses),
        reference_logprobs_N=joined("reference_logprobs_N"),
        entropy_N=joined("entropy_N"),
    )


def step_of(responses: list[PolicyTokens]) -> StepDenominators:
    return StepDenominators(len(responses), sum(len(r.logprobs_N) for r in responses), 32)


def loss_and_gradients(
    objective: PolicyObjective, batches: list[PolicyTokens], responses: list[PolicyTokens]
) -> tuple[Tensor, list[Tensor]]:
    """The sum of the losses of the batches, and its gradients response by response."""
    step = step_of(responses)
    loss = torch.stack([objective(batch, step).loss for batch in batches]).sum()
    return loss.detach(), list(torch.autograd.grad(loss, [response.logprobs_N for response in responses]))


def assert_same(found: tuple[Tensor, list[Tensor]], expected: tuple[Tensor, list[Tensor]]) -> None:
    torch.testing.assert_close(found[0], expected[0], rtol=1e-13, atol=1e-14)
    for one, other in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize(
    ("aggregation", "loss"),
    [
        ("sequence", 0.05948448655884553),
        ("token", -0.3524124107529237),
        ("constant", -0.3524124107529237 * 5 / (2 * 8)),
    ],
)
def test_whole_sapo_loss_of_two_responses(aggregation: Aggregation, loss: float) -> None:
    objective = make_objective(ObjectiveSettings(aggregation=aggregation))
    assert objective(oracle_tokens(), StepDenominators(2, 5, 8)).loss.item() == pytest.approx(loss, abs=1e-12)


def test_each_response_has_its_own_share_of_the_loss() -> None:
    objective, tokens = make_objective(ObjectiveSettings()), oracle_tokens()
    for rows, loss in ((slice(0, 3), -2.0), (slice(3, 5), 2.118968973117691)):
        zeros = torch.zeros_like(tokens.logprobs_N[rows]).detach()
        one = PolicyTokens(tokens.logprobs_N[rows], zeros, zeros, tokens.advantages_N[rows], zeros.long(), 1)
        assert objective(one, StepDenominators(1, len(zeros), 8)).loss.item() == pytest.approx(loss, abs=1e-12)


def test_gradient_of_the_sapo_loss_of_two_responses() -> None:
    tokens = oracle_tokens()
    make_objective(ObjectiveSettings())(tokens, StepDenominators(2, 5, 8)).loss.backward()
    assert tokens.logprobs_N.grad is not None
    coefficients = torch.tensor(  # r w(r) of the gate's table, times -A / (2 * length)
        [
            -0.79205303267795182 / 6,
            -1 / 6,
            -1.1880795490169277 / 6,
            0.46706991164269624 / 4,
            1.5362195833905886 / 4,
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(tokens.logprobs_N.grad, coefficients, rtol=0, atol=1e-12)
    rounded = [-0.13200884, -0.16666667, -0.19801326, 0.11676748, 0.38405490]
    assert tokens.logprobs_N.grad.tolist() == pytest.approx(rounded, abs=1e-8)


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_at_ratio_one_all_objectives_have_the_gradient_of_unclipped_grpo(aggregation: Aggregation) -> None:
    responses = [
        replace(r, old_logprobs_N=r.logprobs_N.detach(), behavior_logprobs_N=r.logprobs_N.detach()) for r in random_responses(3, [4, 1, 7])
    ]
    expected = None
    for name in ("grpo", "sapo", "gspo"):
        objective = make_objective(ObjectiveSettings(name=name, aggregation=aggregation))
        _, gradients = loss_and_gradients(objective, [packed(responses)], responses)
        expected = expected or gradients
        for found, wanted in zip(gradients, expected, strict=True):
            torch.testing.assert_close(found, wanted, rtol=0, atol=1e-15)
            assert found.abs().sum() > 0


def test_on_policy_sapo_loss_is_offset_where_the_temperatures_differ() -> None:
    zeros = torch.zeros(2, dtype=torch.float64)
    tokens = PolicyTokens(zeros.clone().requires_grad_(), zeros, zeros, torch.tensor([1.0, -1.0]), torch.tensor([0, 1]), 2)
    loss = make_objective(ObjectiveSettings())(tokens, StepDenominators(2, 2, 8)).loss
    assert loss.item() == pytest.approx(-(2 / 1.0 - 2 / 1.05) / 2, abs=1e-15)


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
@given(seed=st.integers(0, 2**16), lengths=st.lists(st.integers(1, 9), min_size=1, max_size=6), cuts=st.sets(st.integers(1, 5)))
def test_losses_of_micro_batches_add_up_to_that_of_the_step(
    name: str, aggregation: Aggregation, seed: int, lengths: list[int], cuts: set[int]
) -> None:
    objective = make_objective(SETTINGS[name].model_copy(update={"aggregation": aggregation}))
    responses = random_responses(seed, lengths)
    bounds = [0, *sorted(cut for cut in cuts if cut < len(lengths)), len(lengths)]
    parts = [packed(responses[start:stop]) for start, stop in pairwise(bounds)]
    assert_same(loss_and_gradients(objective, parts, responses), loss_and_gradients(objective, [packed(responses)], responses))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_order_of_responses_and_of_tokens_changes_nothing(name: str, aggregation: Aggregation) -> None:
    objective = make_objective(SETTINGS[name].model_copy(update={"aggregation": aggregation}))
    responses = random_responses(11, [3, 8, 1, 5])
    whole = packed(responses)
    order = torch.randperm(17, generator=torch.Generator().manual_seed(0))
    shuffled = PolicyTokens(
        *(getattr(whole, f"{column}_N")[order] for column in ("logprobs", "old_logprobs", "behavior_logprobs", "advantages")),
        torch.tensor([2, 0, 3, 1])[whole.sequence_N][order],
        4,
        None if whole.reference_logprobs_N is None else whole.reference_logprobs_N[order],
    )
    assert_same(loss_and_gradients(objective, [shuffled], responses), loss_and_gradients(objective, [whole], responses))


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("garbage", [0.0, 7.5, math.inf, math.nan])
def test_what_stands_in_padding_and_prompts_reaches_neither_loss_nor_gradient(name: str, garbage: float) -> None:
    objective, responses = make_objective(SETTINGS[name]), random_responses(5, [3, 6, 2])
    expected_loss, expected = loss_and_gradients(objective, [packed(responses)], responses)
    whole = packed(responses)
    padded_ST = pad_sequence([r.logprobs_N.detach() for r in responses], batch_first=True, padding_value=garbage).requires_grad_()
    sampled_ST = pad_sequence([torch.ones(len(r.logprobs_N), dtype=torch.bool) for r in responses], batch_first=True)
    loss = objective(replace(whole, logprobs_N=padded_ST[sampled_ST]), step_of(responses)).loss
    loss.backward()
    assert padded_ST.grad is not None
    torch.testing.assert_close(loss.detach(), expected_loss, rtol=1e-14, atol=0)
    torch.testing.assert_close(padded_ST.grad[sampled_ST], torch.cat(expected), rtol=1e-14, atol=0)
    assert padded_ST.grad[~sampled_ST].tolist() == [0.0] * 7


def test_a_micro_batch_without_tokens_adds_nothing() -> None:
    empty = torch.zeros(0)
    tokens = PolicyTokens(empty.clone().requires_grad_(), empty, empty, empty, empty.long(), 0, empty, empty)
    for settings in SETTINGS.values():
        output = make_objective(settings)(tokens, StepDenominators(3, 10, 8))
        output.loss.backward()
        assert output.loss.item() == 0.0
        assert output.sums["tokens"].item() == 0.0


def test_importance_weight_is_truncated_and_multiplies_the_policy_term_only() -> None:
    (response,) = random_responses(2, [4])
    ratios = torch.tensor([0.5, 1.5, 3.0, 1.0], dtype=torch.float64)
    tokens = replace(response, behavior_logprobs_N=response.old_logprobs_N - ratios.log())
    step, none, k3 = StepDenominators(1, 4, 8), ReferenceSettings(), ReferenceSettings(coefficient=0.3, estimator="k3")

    def gradient(cap: float | None, reference: ReferenceSettings) -> Tensor:
        objective = make_objective(ObjectiveSettings(importance_cap=cap, reference=reference))
        return torch.autograd.grad(objective(tokens, step).loss, tokens.logprobs_N)[0]

    plain, weighted = gradient(None, none), gradient(2.0, none)
    torch.testing.assert_close(weighted, plain * ratios.clamp(max=2.0), rtol=1e-13, atol=0)
    torch.testing.assert_close(gradient(2.0, k3) - weighted, gradient(None, k3) - plain, rtol=0, atol=1e-15)
    sums = make_objective(ObjectiveSettings())(tokens, step).sums
    assert sums["importance_weight"].item() == pytest.approx(5.0)
    assert sums["importance_capped_frac"].item() == 1.0


def test_the_correction_is_inert_where_the_engines_log_probs_are_pi_old() -> None:
    responses = [replace(r, behavior_logprobs_N=r.old_logprobs_N) for r in random_responses(8, [3, 5])]
    with_cap, without = (make_objective(ObjectiveSettings(importance_cap=cap)) for cap in (2.0, None))
    on, off = (loss_and_gradients(objective, [packed(responses)], responses) for objective in (with_cap, without))
    assert torch.equal(on[0], off[0])
    assert with_cap(packed(responses), step_of(responses)).sums["mismatch_kl"].item() == 0.0


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_reference_term_is_aggregated_as_the_policy_term(estimator: str, aggregation: Aggregation) -> None:
    responses = random_responses(4, [2, 5])
    settings = ObjectiveSettings(aggregation=aggregation, reference=ReferenceSettings(coefficient=0.25, estimator=estimator))
    with_term = make_objective(settings)(packed(responses), step_of(responses)).loss
    without = make_objective(ObjectiveSettings(aggregation=aggregation))(packed(responses), step_of(responses)).loss
    total = torch.zeros((), dtype=torch.float64)
    for response in responses:
        assert response.reference_logprobs_N is not None
        d = response.logprobs_N - response.reference_logprobs_N
        values = {"k1": d, "k2": d**2 / 2, "k3": (-d).exp() - 1 + d}[estimator]
        total = total + {"sequence": values.mean() / 2, "token": values.sum() / 7, "constant": values.sum() / 64}[aggregation]
    assert (with_term - without).item() == pytest.approx(0.25 * total.item(), rel=1e-12)


def test_statistics_of_micro_batches_add_up_to_means_over_the_tokens_of_the_step() -> None:
    responses = random_responses(21, [3, 8, 1])
    objective = make_objective(SETTINGS["sapo with k3"])
    parts = [objective(packed(part), step_of(responses)).sums for part in (responses[:1], responses[1:])]
    found = token_means({name: parts[0][name] + parts[1][name] for name in parts[0]})
    now, old, behavior = (
        torch.cat([getattr(r, f"{n}_N") for r in responses]).detach() for n in ("logprobs", "old_logprobs", "behavior_logprobs")
    )
    assert found["ratio"] == pytest.approx((now - old).exp().mean().item())
    assert found["behavior_kl"] == pytest.approx(((now - behavior).exp() - 1 - (now - behavior)).mean().item())
    assert found["mismatch_kl"] == pytest.approx(((old - behavior).exp() - 1 - (old - behavior)).mean().item())
    assert found["entropy"] == pytest.approx(-now.mean().item())
    assert set(found) == {
        *("ratio", "behavior_kl", "mismatch_kl", "importance_weight", "importance_capped_frac"),
        *("gate_below_half_frac", "reference_kl", "entropy"),
    }


def test_tokens_refuse_columns_that_do_not_match_or_that_carry_a_gradient() -> None:
    tokens = oracle_tokens()
    with pytest.raises(AssertionError, match="advantages_N"):
        replace(tokens, advantages_N=torch.ones(4))
    with pytest.raises(AssertionError, match="old_logprobs_N is a constant"):
        replace(tokens, old_logprobs_N=tokens.logprobs_N)
