"""Divergences from hidden states in chunks: equal to those of all logits, in bounded memory."""

import pytest
import torch
from torch import Tensor

from distill.comparison import FullVocabulary, TeacherScores, TopK, compare
from distill.divergences import Divergence, DivergenceName
from rl.training.model import SoftmaxSettings
from rl.training.token_distribution import bucketed

POSITIONS, WIDTH, TEACHER_WIDTH, VOCABULARY = 13, 6, 9, 11
GENERATOR = torch.Generator().manual_seed(0)
STUDENT_HIDDEN, TEACHER_HIDDEN = (torch.randn(POSITIONS, w, dtype=torch.float64, generator=GENERATOR) for w in (WIDTH, TEACHER_WIDTH))
STUDENT_HEAD, TEACHER_HEAD = (torch.randn(VOCABULARY + 3, w, dtype=torch.float64, generator=GENERATOR) for w in (WIDTH, TEACHER_WIDTH))


def all_logprobs(hidden: Tensor, head: Tensor, softmax: SoftmaxSettings) -> Tensor:
    logits = hidden @ head[:VOCABULARY].T / softmax.temperature
    logits[:, list(softmax.banned_ids)] = -torch.inf
    return logits.log_softmax(1)


def scores(kind: str, softmax: SoftmaxSettings) -> TeacherScores:
    if kind == "full":
        return FullVocabulary(TEACHER_HIDDEN, TEACHER_HEAD)
    teacher = all_logprobs(TEACHER_HIDDEN, TEACHER_HEAD, softmax)
    ids = teacher.topk(4).indices
    return TopK(ids, bucketed(teacher, ids))


@pytest.mark.parametrize("kind", ["full", "top_k"])
@pytest.mark.parametrize("name", ["reverse_kl", "forward_kl", "jsd"])
@pytest.mark.parametrize("softmax", [SoftmaxSettings(chunk=4), SoftmaxSettings(0.7, (2, 5), 5), SoftmaxSettings(chunk=100)])
def test_chunks_give_the_values_and_gradients_of_all_logits(kind: str, name: DivergenceName, softmax: SoftmaxSettings) -> None:
    hidden, head = STUDENT_HIDDEN.clone().requires_grad_(), STUDENT_HEAD.clone().requires_grad_()
    teacher = scores(kind, softmax)
    found = compare(hidden, head, teacher, Divergence(name), softmax, VOCABULARY).divergence_N
    gradients = torch.autograd.grad((found * torch.arange(POSITIONS)).sum(), (hidden, head))
    student, full = all_logprobs(hidden, head, softmax), all_logprobs(TEACHER_HIDDEN, TEACHER_HEAD, softmax)
    if isinstance(teacher, TopK):
        student, full = bucketed(student, teacher.ids_NK), teacher.logprobs_NB
    expected = Divergence(name)(student, full)
    expected_gradients = torch.autograd.grad((expected * torch.arange(POSITIONS)).sum(), (hidden, head))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    for one, other in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)


def test_padded_rows_of_either_head_have_no_part_in_it() -> None:
    softmax = SoftmaxSettings()
    wide = compare(STUDENT_HIDDEN, STUDENT_HEAD, scores("full", softmax), Divergence(), softmax, VOCABULARY)
    teacher = FullVocabulary(TEACHER_HIDDEN, TEACHER_HEAD[:VOCABULARY])
    narrow = compare(STUDENT_HIDDEN, STUDENT_HEAD[:VOCABULARY], teacher, Divergence(), softmax, VOCABULARY)
    assert torch.equal(wide.divergence_N, narrow.divergence_N)


def test_masses_outside_the_top_k_are_those_of_the_two_distributions() -> None:
    softmax = SoftmaxSettings(chunk=3)
    teacher = scores("top_k", softmax)
    assert isinstance(teacher, TopK)
    found = compare(STUDENT_HIDDEN, STUDENT_HEAD, teacher, Divergence(), softmax, VOCABULARY)
    for hidden, head, outside in (
        (STUDENT_HIDDEN, STUDENT_HEAD, found.student_outside_N),
        (TEACHER_HIDDEN, TEACHER_HEAD, found.teacher_outside_N),
    ):
        inside = all_logprobs(hidden, head, softmax).exp().gather(1, teacher.ids_NK).sum(1)
        torch.testing.assert_close(outside, 1 - inside, rtol=0, atol=1e-12)


def test_no_position_gives_an_empty_comparison() -> None:
    empty = FullVocabulary(TEACHER_HIDDEN[:0], TEACHER_HEAD)
    assert compare(STUDENT_HIDDEN[:0], STUDENT_HEAD, empty, Divergence(), SoftmaxSettings(), VOCABULARY).divergence_N.shape == (0,)


@pytest.mark.parametrize("positions", [512, 4096])
def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_vocabulary(positions: int) -> None:
    hidden = torch.randn(positions, 4).requires_grad_()
    head, teacher = torch.randn(1000, 4), FullVocabulary(torch.randn(positions, 4), torch.randn(1000, 4))
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        compare(hidden, head, teacher, Divergence(), SoftmaxSettings(chunk=128), 1000)
    assert sum(kept.values()) < positions * 1000
