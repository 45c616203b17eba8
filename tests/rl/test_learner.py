"""The update: the same whatever the split, exact when resumed, and written as a checkpoint that others read."""

import multiprocessing
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from policy_batches import CONSTANT_LENGTH, OPTIMIZER, make_learner, sapo_batch
from tiny_checkpoints import Plain, build
from torch import Tensor
from transformers import AutoModelForImageTextToText, AutoProcessor

from rl.config.settings import LearnerSettings, ObjectiveSettings, ReferenceSettings
from rl.config.supervised_settings import OptimizerSettings
from rl.objectives.aggregation import StepDenominators
from rl.objectives.objective import LossOutput, PolicyObjective, make_objective
from rl.objectives.policy_losses import Sapo
from rl.objectives.policy_tokens import PolicyTokens
from rl.training.batch import PolicyBranch, SapoBatch
from rl.training.frozen import FrozenPolicy
from rl.training.learner import Learner, split_by_branch
from rl.training.model import SoftmaxSettings

KIND = "qwen3_vl"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(KIND, tmp_path_factory.mktemp(KIND))


def settings(**changes: object) -> LearnerSettings:
    return LearnerSettings.model_validate({"mini_batches": 1, "optimizer": OPTIMIZER} | changes)


class EverythingHasAGradient:
    """An objective that says so of itself, though it has no term beside the advantages."""

    advantages_alone = False

    def __init__(self, objective: PolicyObjective) -> None:
        self._objective = objective

    def readout(self, trees: Sequence[object]) -> None: ...

    def __call__(self, tokens: PolicyTokens, step: StepDenominators, read: Sequence[Tensor] = ()) -> LossOutput:
        return self._objective(tokens, step, read)


def gradients(learner: Learner, batch: SapoBatch) -> dict[str, Tensor]:
    """What one pass over the batch leaves in the parameters, before the optimizer step clears it."""
    learner._accumulate(batch, {})
    parameters = learner.optimization.policy.named_parameters()
    return {name: p.grad.clone() for name, p in parameters if p.grad is not None}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor], atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=0, atol=atol, msg=lambda text, name=name: f"{name}: {text}")


def true_logprobs(path: Path, batch: SapoBatch) -> list[list[np.ndarray]]:
    return FrozenPolicy(path, SoftmaxSettings(), 10_000, bfloat16=False).logprobs([tree.tree for tree in batch.trees])


def on_policy(path: Path, batch: SapoBatch) -> SapoBatch:
    """The same with the behavior log-probs of the checkpoint itself."""

    def with_behavior(branches: Sequence[PolicyBranch], values: Sequence[np.ndarray]) -> tuple[PolicyBranch, ...]:
        return tuple(replace(branch, behavior_logprobs_M=value) for branch, value in zip(branches, values, strict=True))

    pairs = zip(batch.trees, true_logprobs(path, batch), strict=True)
    return replace(batch, trees=tuple(replace(tree, branches=with_behavior(tree.branches, values)) for tree, values in pairs))


@pytest.mark.parametrize("aggregation", ["sequence", "token", "constant"])
@pytest.mark.parametrize("max_tokens", [1, 30, 60])
def test_gradients_do_not_depend_on_the_micro_batches(path: Path, aggregation: str, max_tokens: int) -> None:
    objective = ObjectiveSettings.model_validate({"aggregation": aggregation})
    batch = sapo_batch(KIND)
    whole = gradients(make_learner(path, settings(), objective), batch)
    assert max(float(value.abs().max()) for value in whole.values()) > 1e-2
    assert_same(gradients(make_learner(path, settings(micro_batch_tokens=max_tokens), objective), batch), whole, 1e-6)


@pytest.mark.parametrize("aggregation", ["sequence", "token", "constant"])
def test_prompts_without_an_advantage_are_not_computed_and_the_gradient_is_the_same(path: Path, aggregation: str) -> None:
    objective = ObjectiveSettings.model_validate({"aggregation": aggregation})
    batch = sapo_batch(KIND)
    first, *others = batch.trees
    silent = replace(first, branches=tuple(replace(branch, advantage=0.0) for branch in first.branches))
    batch = replace(batch, trees=(silent, *others))
    skipping, computing = (make_learner(path, settings(), objective) for _ in range(2))
    computing._objective = EverythingHasAGradient(skipping._objective)  # type: ignore[assignment]
    assert_same(gradients(skipping, batch), gradients(computing, batch), 1e-6)
    tokens = skipping._accumulate(batch, {})["tokens"], computing._accumulate(batch, {})["tokens"]
    assert tokens[1] - tokens[0] == sum(len(branch.behavior_logprobs_M) for branch in silent.branches)


def test_a_batch_without_any_advantage_is_computed_whole(path: Path) -> None:
    batch = sapo_batch(KIND)
    trees = (replace(tree, branches=tuple(replace(b, advantage=0.0) for b in tree.branches)) for tree in batch.trees)
    silent = replace(batch, trees=tuple(trees))
    found = gradients(make_learner(path, settings()), silent)
    assert found
    assert not any(value.any() for value in found.values())


@pytest.mark.parametrize("aggregation", ["sequence", "token", "constant"])
def test_the_gradient_is_that_of_the_loss_worked_out_on_plain_hugging_face(path: Path, aggregation: str) -> None:
    batch = on_policy(path, sapo_batch(KIND))
    found = gradients(
        make_learner(path, settings(micro_batch_tokens=40), ObjectiveSettings.model_validate({"aggregation": aggregation})), batch
    )
    plain = Plain.load(path)
    branches = [branch for tree in batch.trees for branch in tree.branches]
    logprobs = [values for tree in batch.trees for values in plain.chain_logprobs(tree.tree)[1:]]
    tokens = sum(len(values) for values in logprobs)
    loss = torch.zeros(())
    for branch, values in zip(branches, logprobs, strict=True):
        weight = {"sequence": 1 / len(values) / len(branches), "token": 1 / tokens, "constant": 1 / len(branches) / CONSTANT_LENGTH}
        ratio = (values - values.detach()).exp()
        tau = 1.0 if branch.advantage > 0 else 1.05
        loss = loss - weight[aggregation] * (4 / tau * torch.sigmoid(tau * (ratio - 1)) * branch.advantage).sum()
    loss.backward()
    expected = {f"model.{name}": p.grad for name, p in plain.model.named_parameters() if p.grad is not None}
    assert_same(found, expected, 1e-6)


def test_on_policy_ratios_are_one_and_the_engine_has_no_distance(path: Path) -> None:
    report = make_learner(path).update(on_policy(path, sapo_batch(KIND)))
    assert report.stats["ratio"] == pytest.approx(1.0, abs=1e-5)
    assert report.stats["engine_kl"] == pytest.approx(0.0, abs=1e-9)
    assert report.version == 1


def test_recomputed_old_logprobs_are_the_learners_before_its_first_step(path: Path) -> None:
    batch = sapo_batch(KIND)
    learner = make_learner(path, settings(mini_batches=2, old_logprobs="recompute", micro_batch_tokens=30))
    old = learner._recomputed(batch.mini_batches(2))
    for tree, values in zip(batch.trees, true_logprobs(path, batch), strict=True):
        for branch, expected in zip(tree.branches, values, strict=True):
            np.testing.assert_allclose(old[id(branch)], expected, atol=1e-5)
    assert learner._accumulate(batch, old)["ratio"].item() == pytest.approx(batch.denominators().num_tokens, rel=1e-5)


def test_behavior_logprobs_as_old_ones_give_another_ratio_and_no_mismatch(path: Path) -> None:
    batch = sapo_batch(KIND)
    behavior = make_learner(path, settings(old_logprobs="behavior")).update(batch).stats
    recomputed = make_learner(path, settings(old_logprobs="recompute")).update(batch).stats
    assert abs(behavior["ratio"] - 1) > 0.02
    assert recomputed["ratio"] == pytest.approx(1.0, abs=1e-5)
    assert behavior["mismatch_kl"] == 0
    assert recomputed["mismatch_kl"] == pytest.approx(recomputed["behavior_kl"], rel=1e-4)


def test_a_frozen_vision_tower_has_no_gradient_and_does_not_change(path: Path) -> None:
    batch = sapo_batch(KIND)
    learner = make_learner(path, settings(freeze_vision=True))
    assert not any("visual" in name for name in gradients(learner, batch))
    before = learner.weights()
    learner.update(batch)
    after = learner.weights()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not any("visual" in name for name in changed)
    free = make_learner(path)
    free.update(batch)
    assert any("visual" in name for name in before if not torch.equal(before[name], free.weights()[name]))


def test_resumed_equals_uninterrupted_bit_for_bit(path: Path, tmp_path: Path) -> None:
    cosine = OptimizerSettings(lr=1e-3, warmup_steps=2, decay="cosine", weight_decay=0.1)
    chosen = settings(mini_batches=2, optimizer=cosine, micro_batch_tokens=40)
    straight = make_learner(path, chosen)
    straight.update(sapo_batch(KIND))
    straight.save(tmp_path)
    second = straight.update(sapo_batch(KIND, 1))
    resumed = make_learner(tmp_path / "policy", chosen)
    resumed.load(tmp_path)
    assert resumed.version == 1
    again = resumed.update(sapo_batch(KIND, 1))
    assert replace(again, stats={**again.stats, "update_s": 0}) == replace(second, stats={**second.stats, "update_s": 0})
    expected = straight.weights()
    for name, value in resumed.weights().items():
        assert torch.equal(value, expected[name]), name


def test_a_resumed_learner_saves_on_when_the_checkpoint_it_was_made_from_is_gone(path: Path, tmp_path: Path) -> None:
    make_learner(path, settings()).save(tmp_path / "first")
    resumed = make_learner(tmp_path / "first" / "policy", settings())
    resumed.save(tmp_path / "second")
    shutil.rmtree(tmp_path / "first")
    resumed.save(tmp_path / "third")
    second, third = ({file.name for file in (tmp_path / name / "policy").iterdir()} for name in ("second", "third"))
    assert second == third


def test_what_is_saved_loads_with_plain_transformers_and_gives_the_same_logits(tiny_policy: Path, tmp_path: Path) -> None:
    learner = make_learner(tiny_policy)
    learner.optimization.save_policy(tmp_path / "saved")
    processor = AutoProcessor.from_pretrained(tmp_path / "saved")
    text = processor.apply_chat_template([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "12 + 30"}]}])
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    inputs = processor(text=[text], images=[image], return_tensors="pt")
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path / "saved", dtype=torch.float32)
    original = AutoModelForImageTextToText.from_pretrained(tiny_policy, dtype=torch.float32)
    with torch.no_grad():
        assert torch.equal(loaded(**inputs).logits, original(**inputs).logits)


def test_weights_are_copies_that_training_does_not_touch(path: Path) -> None:
    learner = make_learner(path)
    before = learner.weights()
    kept = {name: value.clone() for name, value in before.items()}
    learner.update(sapo_batch(KIND))
    assert all(torch.equal(before[name], kept[name]) for name in kept)
    assert before.keys() == Plain.load(path).model.state_dict().keys()


def test_gradient_checkpointing_gives_the_same_gradients(path: Path) -> None:
    batch = sapo_batch(KIND)
    expected = gradients(make_learner(path), batch)
    learner = make_learner(path, settings(gradient_checkpointing=True))
    runs = 0

    def count(*_: object) -> None:
        nonlocal runs
        runs += 1

    learner.optimization.policy.model.model.language_model.layers[0].self_attn.register_forward_hook(count)
    assert_same(gradients(learner, batch), expected, 1e-6)
    assert runs == 2


@pytest.mark.parametrize("checkpointed", [False, True])
def test_compiled_blocks_give_the_same_gradients(path: Path, checkpointed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    # vLLM's CPU build turns dynamo off in its own process, which other tests have made of this one.
    monkeypatch.delenv("TORCHDYNAMO_DISABLE", raising=False)
    batch = sapo_batch(KIND)
    expected = gradients(make_learner(path), batch)
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(disable=False):
        learner = make_learner(path, settings(compile=True, gradient_checkpointing=checkpointed))
        assert_same(gradients(learner, batch), expected, 1e-5)
    assert torch._dynamo.utils.counters["frames"]["ok"] > 0


def test_the_reference_equals_the_learner_at_version_0_and_its_term_is_zero(path: Path) -> None:
    batch = on_policy(path, sapo_batch(KIND))
    pairs = zip(batch.trees, true_logprobs(path, batch), strict=True)
    referenced = replace(batch, trees=tuple(tree.with_reference(values) for tree, values in pairs))
    objective = ObjectiveSettings(reference=ReferenceSettings(coefficient=10.0))
    learner = make_learner(path, settings(micro_batch_tokens=30), objective)
    with_term = gradients(learner, referenced)
    assert_same(with_term, gradients(make_learner(path), batch), 1e-4)
    assert make_learner(path, settings(), objective).update(referenced).stats["reference_kl"] == pytest.approx(0, abs=1e-9)


def test_the_reference_stays_where_it_was_when_the_policy_has_moved(path: Path) -> None:
    batch = on_policy(path, sapo_batch(KIND))
    learner = make_learner(path, settings(), ObjectiveSettings(reference=ReferenceSettings(coefficient=0.1)))
    kl = []
    for _ in range(2):
        pairs = zip(batch.trees, true_logprobs(path, batch), strict=True)
        referenced = replace(batch, trees=tuple(tree.with_reference(values) for tree, values in pairs))
        kl.append(learner.update(referenced).stats["reference_kl"])
    assert kl[0] == pytest.approx(0, abs=1e-9)
    assert kl[1] > 1e-5


def test_a_gradient_is_clipped_to_its_norm_and_told_as_it_was(path: Path) -> None:
    batch, largest = sapo_batch(KIND), 1e-3
    whole = gradients(make_learner(path), batch)
    norm = float(torch.stack([value.square().sum() for value in whole.values()]).sum().sqrt())
    learner = make_learner(path, settings(optimizer=OPTIMIZER.model_copy(update={"max_grad_norm": largest})))
    assert learner.update(batch).grad_norm == pytest.approx(norm, rel=1e-4)
    optimizer = learner.optimization.optimizer
    # AdamW divides a gradient by its own size: only its first moment shows what it was given.
    for name, parameter in learner.optimization.policy.named_parameters():
        given = optimizer.state[parameter]["exp_avg"] / (1 - OPTIMIZER.betas[0])
        torch.testing.assert_close(given, whole[name] * largest / norm, rtol=1e-3, atol=1e-8)


def gradient_in_one_piece(learner: Learner, batch: SapoBatch) -> Tensor:
    return torch.cat([value.flatten() for _, value in sorted(gradients(learner, batch).items())])


def update_in_bfloat16(path: Path, out: Path) -> None:
    batch = sapo_batch(KIND)
    learner = Learner(path, settings(), make_objective(ObjectiveSettings()), SoftmaxSettings(chunk=7), 10, bfloat16=True)
    gradient, before = gradient_in_one_piece(learner, batch), learner.weights()
    learner.optimization.optimizer.zero_grad()
    learner.update(batch)
    torch.save((gradient, before, learner.weights()), out)


def test_an_update_in_bfloat16_is_about_that_in_float32_and_keeps_its_weights_in_float32(path: Path, tmp_path: Path) -> None:
    # accelerate holds one precision a process.
    process = multiprocessing.get_context("spawn").Process(target=update_in_bfloat16, args=(path, tmp_path / "made.pt"))
    process.start()
    process.join()
    found, before, after = torch.load(tmp_path / "made.pt")
    expected = gradient_in_one_piece(make_learner(path), sapo_batch(KIND))
    assert 1e-4 < float((found - expected).norm() / expected.norm()) < 0.1
    assert all(value.dtype == torch.float32 for value in after.values())
    assert any(not torch.equal(value, before[name]) for name, value in after.items())


def test_frozen_logprobs_do_not_depend_on_the_passes(path: Path) -> None:
    trees = [tree.tree for tree in sapo_batch(KIND).trees]
    one = FrozenPolicy(path, SoftmaxSettings(), 10_000, bfloat16=False).logprobs(trees)
    many = FrozenPolicy(path, SoftmaxSettings(), 1, bfloat16=False).logprobs(trees)
    for a, b in zip(one, many, strict=True):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-5)


def test_mini_batches_hold_all_tasks_and_every_response_once() -> None:
    batch = sapo_batch(KIND)
    parts = batch.mini_batches(2)
    assert [{tree.task for tree in part.trees} for part in parts] == [{"a", "b"}, {"a", "b"}]
    found = [id(branch) for part in parts for tree in part.trees for branch in tree.branches]
    assert sorted(found) == sorted(id(branch) for tree in batch.trees for branch in tree.branches)


@pytest.mark.parametrize("ranks", [1, 2, 3, 50])
def test_shards_hold_every_response_once(ranks: int) -> None:
    batch = sapo_batch(KIND)
    shards = [batch.shard(rank, ranks) for rank in range(ranks)]
    found = [id(branch) for shard in shards for tree in shard.trees for branch in tree.branches]
    assert sorted(found) == sorted(id(branch) for tree in batch.trees for branch in tree.branches)


def test_values_are_split_by_branch_in_order() -> None:
    trees = sapo_batch(KIND).trees
    total = sum(len(branch.behavior_logprobs_M) for tree in trees for branch in tree.branches)
    pieces = split_by_branch(trees, torch.arange(total))
    assert [len(piece) for piece in pieces] == [len(b.behavior_logprobs_M) for tree in trees for b in tree.branches]
    np.testing.assert_array_equal(np.concatenate(pieces), np.arange(total))
    assert split_by_branch([], torch.zeros(0)) == []


class LargestLogits(torch.utils._python_dispatch.TorchDispatchMode):
    """Notes the most rows that a tensor as wide as the vocabulary had."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.rows = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        result = func(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor) and result.dim() == 2 and result.shape[1] == self.width and is_new(result, args):
            self.rows = max(self.rows, result.shape[0])
        return result


def is_new(result: Tensor, arguments: Sequence[object]) -> bool:
    """Whether the result has memory of its own, unlike the turned head."""
    memory = result.untyped_storage().data_ptr()
    return all(a.untyped_storage().data_ptr() != memory for a in arguments if isinstance(a, Tensor))


@pytest.mark.parametrize("chunk", [3, 8])
def test_an_update_never_holds_more_logits_than_a_chunk(path: Path, chunk: int) -> None:
    learner = make_learner(path, chunk=chunk)
    with LargestLogits(width=120) as largest:
        learner.update(sapo_batch(KIND))
    assert largest.rows == chunk


def test_a_text_checkpoint_says_that_it_cannot_see(tmp_path: Path) -> None:
    learner = make_learner(build("qwen3", tmp_path))
    with pytest.raises(ValueError, match="text-only checkpoint"):
        learner.update(sapo_batch(KIND))


def test_the_loss_of_the_learner_reads_every_token_of_a_response_once(path: Path) -> None:
    """A later turn is trained as the first is: the observation between them is not."""
    seen: list[int] = []

    class Counting:
        def __call__(self, tokens: PolicyTokens) -> object:
            seen.append(len(tokens.logprobs_N))
            return Sapo(1.0, 1.05)(tokens)

    batch = sapo_batch(KIND)
    learner = make_learner(path, settings(micro_batch_tokens=30))
    learner._objective = replace(learner._objective, policy_loss=Counting())
    learner.update(batch)
    assert len(seen) > 1
    assert sum(seen) == batch.denominators().num_tokens


def test_a_gradient_that_is_not_finite_ends_the_run_and_leaves_the_weights_as_they_were(path: Path) -> None:
    optimization = make_learner(path, settings()).optimization
    before = optimization.weights()
    for parameter in optimization.policy.parameters():
        parameter.grad = torch.full_like(parameter, torch.nan)
    with pytest.raises(FloatingPointError, match="optimizer step 1 is not finite"):
        optimization.step()
    assert_same(optimization.weights(), before, 0.0)
    assert optimization.steps_done == 0
