"""The same losses and gradients as verl's registered policy losses and TRL's GRPO trainer, on padded batches, in float64."""

from collections import defaultdict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from rl.config.settings import ObjectiveSettings, ReferenceSettings
from rl.objectives.advantages import AdvantageKind, group_advantages
from rl.objectives.aggregation import Aggregation, StepDenominators
from rl.objectives.objective import make_objective
from rl.objectives.policy_tokens import PolicyTokens
from rl.objectives.reference_term import KlEstimator, kl_estimate

VERL_NAME = {"sapo": "sapo", "grpo": "vanilla", "gspo": "gspo"}
VERL_AGGREGATION = {"sequence": "seq-mean-token-mean", "token": "token-mean", "constant": "seq-mean-token-sum-norm"}
CONSTANT_LENGTH = 24


@dataclass(frozen=True)
class Padded:
    """Axes: S responses, T columns, mask True where a token was sampled."""

    logprobs_ST: Tensor
    old_ST: Tensor
    behavior_ST: Tensor
    reference_ST: Tensor
    advantages_S: Tensor
    mask_ST: Tensor

    @property
    def step(self) -> StepDenominators:
        return StepDenominators(len(self.mask_ST), int(self.mask_ST.sum()), CONSTANT_LENGTH)

    def packed(self) -> PolicyTokens:
        rows_ST = torch.arange(len(self.mask_ST))[:, None].expand_as(self.mask_ST)
        columns = (self.logprobs_ST, self.old_ST, self.behavior_ST, self.advantages_S[:, None].expand_as(self.mask_ST), rows_ST)
        now, old, behavior, advantages, rows = (column[self.mask_ST] for column in columns)
        return PolicyTokens(now, old, behavior, advantages, rows, len(self.mask_ST), self.reference_ST[self.mask_ST])


def batch(seed: int, spread: float = 0.4) -> Padded:
    """Six responses whose masks have holes, as tool output leaves them. `spread` is the standard deviation of log-ratios."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    old = -normal(6, 17).abs() - 0.1
    mask = torch.rand(6, 17, generator=generator) < 0.7
    mask[:, 0] = True
    now = (old + spread * normal(6, 17)).requires_grad_()
    return Padded(now, old, old + 0.3 * normal(6, 17), old + 0.5 * normal(6, 17), normal(6), mask)


def ours(padded: Padded, settings: ObjectiveSettings) -> tuple[Tensor, Tensor]:
    loss = make_objective(settings)(padded.packed(), padded.step).loss
    return loss.detach(), torch.autograd.grad(loss, padded.logprobs_ST)[0]


def verls(padded: Padded, settings: ObjectiveSettings) -> tuple[Tensor, Tensor]:
    from verl.trainer.ppo.core_algos import get_policy_loss_fn
    from verl.workers.config import ActorConfig

    config = ActorConfig(
        strategy="fsdp2",
        rollout_n=2,
        ppo_micro_batch_size_per_gpu=1,
        clip_ratio_low=settings.clip_low,
        clip_ratio_high=settings.clip_high,
        clip_ratio_c=1e9,  # no dual clip, which ours does not have
        tau_pos=settings.tau_pos,
        tau_neg=settings.tau_neg,
        global_batch_info={"loss_scale_factor": CONSTANT_LENGTH},
    )
    weights = None
    if settings.importance_cap is not None:
        weights = (padded.old_ST - padded.behavior_ST).exp().clamp(max=settings.importance_cap)
    loss, _ = get_policy_loss_fn(VERL_NAME[settings.name])(
        old_log_prob=padded.old_ST,
        log_prob=padded.logprobs_ST,
        advantages=padded.advantages_S[:, None].expand_as(padded.mask_ST),
        response_mask=padded.mask_ST.double(),
        loss_agg_mode=VERL_AGGREGATION[settings.aggregation],
        config=config,
        rollout_is_weights=weights,
    )
    return loss.detach(), torch.autograd.grad(loss, padded.logprobs_ST)[0]


@pytest.mark.parametrize("spread", [0.0, 0.02, 0.4, 2.0])
@pytest.mark.parametrize("cap", [None, 1.2])
@pytest.mark.parametrize(
    ("name", "aggregation"),
    [("sapo", "sequence"), *((name, aggregation) for name in ("grpo", "gspo") for aggregation in ("sequence", "token", "constant"))],
)
def test_loss_and_gradient_equal_verls(name: str, aggregation: Aggregation, cap: float | None, spread: float) -> None:
    settings = ObjectiveSettings(name=name, aggregation=aggregation, clip_low=0.1, clip_high=0.3, tau_neg=1.2, importance_cap=cap)
    padded = batch(7, spread)
    for found, expected in zip(ours(padded, settings), verls(padded, settings), strict=True):
        torch.testing.assert_close(found, expected, rtol=3e-8, atol=1e-15)  # verl divides by length + 1e-8


@pytest.mark.parametrize("estimator", ["k1", "k2", "k3"])
def test_kl_estimates_equal_verls(estimator: KlEstimator) -> None:
    from verl.trainer.ppo.core_algos import kl_penalty

    padded = batch(9)
    found = kl_estimate(estimator, padded.logprobs_ST, padded.reference_ST)
    torch.testing.assert_close(found, kl_penalty(padded.logprobs_ST, padded.reference_ST, estimator), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("kind", "estimator"), [("standardised", "grpo"), ("leave_one_out", "rloo"), ("centred", "grpo")])
def test_advantages_equal_verls_up_to_the_divisor_of_the_variance(kind: AdvantageKind, estimator: str) -> None:
    from verl.trainer.ppo.core_algos import get_adv_estimator_fn

    rewards = (0.2, 1.0, 0.0, 0.7, 0.7)
    token_rewards = torch.tensor(rewards, dtype=torch.float64)[:, None]
    options: dict[str, Any] = {"norm_adv_by_std_in_grpo": kind == "standardised"} if estimator == "grpo" else {}
    verl, _ = get_adv_estimator_fn(estimator)(token_rewards, torch.ones(5, 1), index=np.zeros(5, dtype=int), **options)
    factor = (5 / 4) ** 0.5 if kind == "standardised" else 1.0  # verl divides the variance by N - 1, and adds 1e-6 to the std
    assert group_advantages(rewards, kind) == pytest.approx((verl.squeeze(1) * factor).tolist(), rel=5e-6)


def trls(padded: Padded, settings: ObjectiveSettings) -> tuple[Tensor, Tensor]:
    """TRL's own `_compute_loss`, on a trainer that is given its log-probs instead of a model."""
    from accelerate import Accelerator
    from trl.trainer.grpo_trainer import GRPOTrainer

    class Trainer(GRPOTrainer):  # type: ignore[misc]
        def __init__(self) -> None:
            self.args = SimpleNamespace(
                sapo_temperature_pos=settings.tau_pos, sapo_temperature_neg=settings.tau_neg, delta=None, use_bias_correction_kl=False
            )
            self.accelerator = Accelerator(cpu=True)
            self.model = torch.nn.Identity().train()
            self.loss_type = "dr_grpo" if settings.aggregation == "constant" else "sapo" if settings.name == "sapo" else "grpo"
            self.importance_sampling_level = "sequence" if settings.name == "gspo" else "token"
            self.epsilon_low, self.epsilon_high = settings.clip_low, settings.clip_high
            self.beta = settings.reference.coefficient
            self.max_completion_length = CONSTANT_LENGTH
            self.use_vllm = self.vllm_importance_sampling_correction = True
            self.current_gradient_accumulation_steps = 1
            self.top_entropy_quantile = 1.0
            self.off_policy_mask_threshold = None
            self.aux_loss_enabled = self._entropy_bonus_enabled = self.use_adaptive_entropy = False
            self._metrics = {"train": defaultdict(list)}

        def _get_per_token_logps_and_entropies(self, *args: object, **kwargs: object) -> tuple[Tensor, Tensor, None]:
            return padded.logprobs_ST, torch.zeros_like(padded.old_ST), None

    cap = settings.importance_cap
    weights = torch.ones_like(padded.old_ST) if cap is None else (padded.old_ST - padded.behavior_ST).exp().clamp(max=cap)
    ids = torch.zeros_like(padded.mask_ST, dtype=torch.long)
    inputs = {
        "prompt_ids": ids[:, :1],
        "prompt_mask": ids[:, :1] + 1,
        "completion_ids": ids,
        "completion_mask": padded.mask_ST.long(),
        "advantages": padded.advantages_S,
        "old_per_token_logps": padded.old_ST,
        "ref_per_token_logps": padded.reference_ST,
        "importance_sampling_ratio": weights,
    }
    loss = Trainer()._compute_loss(None, inputs)
    return loss.detach(), torch.autograd.grad(loss, padded.logprobs_ST)[0]


@pytest.mark.parametrize("coefficient", [0.0, 0.3])
@pytest.mark.parametrize(
    ("name", "aggregation", "cap"),
    [
        *(
            (name, aggregation, cap)
            for name, aggregation in (("sapo", "sequence"), ("grpo", "sequence"), ("grpo", "constant"))
            for cap in (None, 1.2)
        ),
        ("gspo", "sequence", None),  # with a weight, TRL gives all tokens of a response the mean weight; verl and ours give each its own
    ],
)
def test_loss_and_gradient_equal_trls(name: str, aggregation: Aggregation, coefficient: float, cap: float | None) -> None:
    settings = ObjectiveSettings(
        name=name,
        aggregation=aggregation,
        clip_low=0.1,
        clip_high=0.3,
        tau_neg=1.25,  # exact in float32, to which TRL rounds the temperatures
        importance_cap=cap,
        reference=ReferenceSettings(coefficient=coefficient, estimator="k3"),
    )
    padded = batch(13)
    for found, expected in zip(ours(padded, settings), trls(padded, settings), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-15)
