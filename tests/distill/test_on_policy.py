"""On-policy distillation through the learner: the loss of plain Hugging Face, whatever the split, with one teacher or several."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from policy_batches import OPTIMIZER, sapo_batch
from tiny_checkpoints import Plain, build
from torch import Tensor
from transformers import Qwen3VLConfig, Qwen3VLForConditionalGeneration

from distill.batch import DistillBranch, TeacherTopK
from distill.divergences import Divergence
from distill.objective import DistillObjective, SampledObjective
from distill.signal import DistillSignal, Vocabulary
from distill.teachers import output_head
from rl.config.settings import LearnerSettings, ObjectiveSettings, ReferenceSettings
from rl.graded import GradedGroup
from rl.objectives.objective import make_objective
from rl.training.batch import FloatsM, FloatsMV, IdsMK, SapoBatch
from rl.training.frozen import FrozenPolicy
from rl.training.learner import Learner
from rl.training.model import SoftmaxSettings
from rl.training.token_distribution import bucketed
from rl.training.tree import Tree

KIND, VOCABULARY, PADDED = "qwen3_vl", 115, 120
SOFTMAX = SoftmaxSettings(chunk=5)
ROUTE = {"a": "first", "b": "second"}


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(KIND, tmp_path_factory.mktemp("student"))


@pytest.fixture(scope="module")
def teachers(student: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Wider than the student, with more padded rows in the head, different from one another."""
    made = {}
    for seed, name in enumerate(("first", "second"), 1):
        folder = tmp_path_factory.mktemp(name)
        config = Qwen3VLConfig.from_pretrained(student)
        config.text_config.hidden_size = config.vision_config.out_hidden_size = 48
        config.text_config.vocab_size = PADDED + 8
        torch.manual_seed(seed)
        Qwen3VLForConditionalGeneration(config).save_pretrained(folder)
        for file in student.glob("preprocessor_config.json"):
            (folder / file.name).write_bytes(file.read_bytes())
        made[name] = folder
    return made


@dataclass(frozen=True)
class LocalTeacher:
    model: FrozenPolicy

    async def logprobs(self, trees: Sequence[Tree]) -> list[list[FloatsM]]:
        return self.model.logprobs(trees)

    async def hidden_states(self, trees: Sequence[Tree]) -> list[list[FloatsMV]]:
        return self.model.hidden_states(trees)

    async def top_k(self, trees: Sequence[Tree], k: int, vocab_size: int) -> list[list[tuple[IdsMK, FloatsMV]]]:
        return self.model.top_k(trees, k, vocab_size)


@dataclass(frozen=True)
class Ready:
    made: SapoBatch

    async def batch(self, groups: Sequence[GradedGroup]) -> SapoBatch:
        return self.made


def taught_batch(teachers: dict[str, Path], vocabulary: Vocabulary, max_tokens: int = 10_000) -> SapoBatch:
    local = {name: LocalTeacher(FrozenPolicy(path, SOFTMAX, max_tokens, bfloat16=False)) for name, path in teachers.items()}
    signal = DistillSignal(Ready(sapo_batch(KIND)), local, ROUTE, vocabulary, 6, VOCABULARY)
    return asyncio.run(signal.batch(()))


def objective(teachers: dict[str, Path], divergence: Divergence, reward_weight: float = 0.0) -> DistillObjective:
    heads = {name: output_head(path) for name, path in teachers.items()}
    policy = replace(make_objective(ObjectiveSettings()), reward_weight=reward_weight)
    return DistillObjective(policy, 1.0, divergence, SOFTMAX, VOCABULARY, heads)


def gradients(path: Path, loss: DistillObjective | SampledObjective, batch: SapoBatch, max_tokens: int = 10_000) -> dict[str, Tensor]:
    settings = LearnerSettings(mini_batches=1, optimizer=OPTIMIZER, micro_batch_tokens=max_tokens)
    learner = Learner(path, settings, loss, SOFTMAX, 10, bfloat16=False)
    learner._accumulate(batch, {})
    return {name: p.grad.clone() for name, p in learner.optimization.policy.named_parameters() if p.grad is not None}


def chain_logits(plain: Plain, tree: Tree, number: int) -> Tensor:
    """Logits that predict the trained tokens of a branch, over the true vocabulary, its chain computed alone."""
    branch = tree.branches[number]
    ids = np.concatenate([tree.trunk.token_ids_T, branch.token_ids_T])
    trained = np.flatnonzero(branch.loss_mask_T) + len(tree.trunk) - 1
    return plain.logits(ids.tolist(), (*tree.trunk.images, *branch.images))[torch.from_numpy(trained), :VOCABULARY]


def worked_out(student: Path, teachers: dict[str, Path], batch: SapoBatch, divergence: Divergence, top: int | None) -> dict[str, Tensor]:
    """Gradients of the mean over responses of the mean over tokens, on plain Hugging Face."""
    plain, others = Plain.load(student), {name: Plain.load(path) for name, path in teachers.items()}
    responses = sum(len(tree.branches) for tree in batch.trees)
    loss = torch.zeros(())
    for tree in batch.trees:
        for number in range(len(tree.branches)):
            with torch.no_grad():
                expert = chain_logits(others[ROUTE[tree.task]], tree.tree, number).log_softmax(1)
            mine = chain_logits(plain, tree.tree, number).log_softmax(1)
            if top is not None:
                ids = expert.topk(top).indices
                mine, expert = bucketed(mine, ids), bucketed(expert, ids)
            loss = loss + divergence(mine, expert).mean() / responses
    loss.backward()
    return {f"model.{name}": p.grad for name, p in plain.model.named_parameters() if p.grad is not None}


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert max(float(value.abs().max()) for value in expected.values()) > 1e-2
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-3, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize(("vocabulary", "top"), [("full", None), ("top_k", 6)])
@pytest.mark.parametrize("name", ["reverse_kl", "forward_kl", "jsd"])
def test_the_gradient_is_that_of_the_divergence_worked_out_on_plain_hugging_face(
    student: Path, teachers: dict[str, Path], vocabulary: Vocabulary, top: int | None, name: str
) -> None:
    divergence = Divergence(name)  # type: ignore[arg-type]
    batch = taught_batch(teachers, vocabulary)
    found = gradients(student, objective(teachers, divergence), batch, 40)
    assert_same(found, worked_out(student, teachers, batch, divergence, top))


@pytest.mark.parametrize("max_tokens", [1, 60])
def test_gradients_do_not_depend_on_the_micro_batches_of_learner_or_teacher(
    student: Path, teachers: dict[str, Path], max_tokens: int
) -> None:
    whole = gradients(student, objective(teachers, Divergence(), 0.5), taught_batch(teachers, "top_k"))
    cut = gradients(student, objective(teachers, Divergence(), 0.5), taught_batch(teachers, "top_k", max_tokens), max_tokens)
    for name, value in cut.items():
        torch.testing.assert_close(value, whole[name], rtol=0, atol=5e-6)


def test_a_student_that_is_its_own_teacher_has_no_divergence_and_no_gradient(student: Path) -> None:
    itself = {"first": student, "second": student}
    found = gradients(student, objective(itself, Divergence("jsd")), taught_batch(itself, "full"))
    assert max(float(value.abs().max()) for value in found.values()) < 1e-6


def test_the_reward_term_is_added_with_its_weight(student: Path, teachers: dict[str, Path]) -> None:
    batch = taught_batch(teachers, "full")
    alone, mixed = (gradients(student, objective(teachers, Divergence(), share), batch) for share in (0.0, 0.25))
    policy = gradients(student, make_objective(ObjectiveSettings()), batch)  # type: ignore[arg-type]
    for name, value in mixed.items():
        torch.testing.assert_close(value, alone[name] + 0.25 * policy[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize("reward_weight", [0.0, 0.5])
def test_the_reference_term_is_added_in_full_whatever_the_weight_of_rewards(
    student: Path, teachers: dict[str, Path], reward_weight: float
) -> None:
    batch = taught_batch(teachers, "full")
    reference = FrozenPolicy(teachers["first"], SOFTMAX, 10_000, bfloat16=False).logprobs([tree.tree for tree in batch.trees])
    batch = replace(batch, trees=tuple(tree.with_reference(known) for tree, known in zip(batch.trees, reference, strict=True)))
    distilling = objective(teachers, Divergence(), reward_weight)
    held = make_objective(ObjectiveSettings(reference=ReferenceSettings(coefficient=0.3)))
    term = gradients(student, replace(held, reward_weight=0.0), batch)  # type: ignore[arg-type]
    assert max(float(value.abs().max()) for value in term.values()) > 1e-2
    alone = gradients(student, distilling, batch)
    both = gradients(student, replace(distilling, policy=replace(held, reward_weight=reward_weight)), batch)
    for name, value in both.items():
        torch.testing.assert_close(value, alone[name] + term[name], rtol=0, atol=2e-5)


def test_sampled_advantages_are_the_policy_loss_with_the_teachers_log_probs_in_them(student: Path, teachers: dict[str, Path]) -> None:
    batch = taught_batch(teachers, "sampled")
    learner = Learner(student, LearnerSettings(mini_batches=1), make_objective(ObjectiveSettings()), SOFTMAX, 1, bfloat16=False)
    seen: list[Tensor] = []
    inner = SampledObjective(make_objective(ObjectiveSettings()), 0.5, 2.0)

    class Watched(SampledObjective):
        def __call__(self, tokens, step, read=()):  # type: ignore[no-untyped-def]
            seen.extend((tokens.advantages_N, tokens.behavior_logprobs_N, *read))
            return inner(tokens, step, read)

    learner._objective = Watched(inner.policy, 0.5, 2.0)
    report = learner.update(batch)
    advantages, behavior, teacher = seen
    assert report.stats["divergence"] == pytest.approx((behavior - teacher).mean().item(), abs=1e-5)
    plain = {name: Plain.load(path) for name, path in teachers.items()}
    expected = {
        round(value.item(), 4) for tree in batch.trees for one in plain[ROUTE[tree.task]].chain_logprobs(tree.tree)[1:] for value in one
    }
    assert sum(round(float(value), 4) in expected for value in teacher) > 0.9 * len(teacher)
    assert len(advantages) == len(teacher)


def test_the_masses_outside_the_top_k_are_reported(student: Path, teachers: dict[str, Path]) -> None:
    batch = taught_batch(teachers, "top_k")
    settings = LearnerSettings(mini_batches=1, optimizer=OPTIMIZER)
    stats = Learner(student, settings, objective(teachers, Divergence()), SOFTMAX, 10, bfloat16=False).update(batch).stats
    tails = [
        np.exp(branch.teaching.logprobs_MB[:, -1])
        for tree in batch.trees
        for branch in tree.branches
        if isinstance(branch, DistillBranch) and isinstance(branch.teaching, TeacherTopK)
    ]
    assert stats["teacher_outside_mass"] == pytest.approx(float(np.concatenate(tails).mean()), abs=1e-5)
    assert 0 < stats["student_outside_mass"] < 1


def test_each_response_is_scored_by_the_teacher_of_its_task(teachers: dict[str, Path]) -> None:
    batch = taught_batch(teachers, "full")
    found = {(tree.task, branch.teacher) for tree in batch.trees for branch in tree.branches if isinstance(branch, DistillBranch)}
    assert found == {("a", "first"), ("b", "second")}


def test_the_batch_says_how_long_teachers_were_waited_for() -> None:
    class Slow(LocalTeacher):
        async def logprobs(self, trees: Sequence[Tree]) -> list[list[FloatsM]]:
            await asyncio.sleep(0.05)
            return [[np.zeros(int(branch.loss_mask_T.sum()), dtype=np.float32) for branch in tree.branches] for tree in trees]

    slow = Slow(None)  # type: ignore[arg-type]
    signal = DistillSignal(Ready(sapo_batch(KIND)), {"first": slow, "second": slow}, ROUTE, "sampled", 6, VOCABULARY)
    assert asyncio.run(signal.batch(())).teacher_s >= 0.045


def test_a_batch_without_a_teachers_word_is_refused(student: Path, teachers: dict[str, Path]) -> None:
    with pytest.raises(AssertionError, match="without a teacher's word"):
        gradients(student, objective(teachers, Divergence()), sapo_batch(KIND))


def test_taught_branches_survive_mini_batches_and_shards(teachers: dict[str, Path]) -> None:
    batch = taught_batch(teachers, "top_k")
    parts = [part.shard(rank, 2) for part in batch.mini_batches(2) for rank in (0, 1)]
    ids = sorted(id(branch) for part in parts for tree in part.trees for branch in tree.branches)
    assert ids == sorted(id(branch) for tree in batch.trees for branch in tree.branches)
    assert replace(batch, trees=batch.trees[:1]).trees[0].branches[0] is batch.trees[0].branches[0]
