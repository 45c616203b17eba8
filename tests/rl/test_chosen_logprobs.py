"""Log-probs of chosen tokens: equal to log_softmax in value and gradient, in memory that does not grow with the number of tokens."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from rl.training.chosen_logprobs import chosen_logprobs

N, H, V = 23, 7, 19


def problem(dtype: torch.dtype = torch.float64, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    hidden = (scale * torch.randn(N, H, dtype=torch.float64, generator=generator)).to(dtype).requires_grad_()
    weight = torch.randn(V, H, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()
    return hidden, weight, torch.randint(V, (N,), generator=generator), torch.randn(N, dtype=torch.float64, generator=generator)


def dense(hidden: Tensor, weight: Tensor, ids: Tensor, temperature: float = 1.0, banned: tuple[int, ...] = ()) -> tuple[Tensor, Tensor]:
    """What it must equal: log_softmax over all logits at once."""
    logits = (hidden @ weight.T).double() / temperature
    logits = logits.index_fill(1, torch.tensor(banned, dtype=torch.long), -torch.inf)
    logprobs = torch.log_softmax(logits, -1)
    return logprobs.gather(1, ids[:, None]).squeeze(1), torch.special.entr(logprobs.exp()).sum(-1)


@pytest.mark.parametrize("chunk", [1, 5, 23, 100])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
@pytest.mark.parametrize("banned", [(), (3, 11)])
def test_equals_log_softmax_in_value_entropy_and_gradients(chunk: int, temperature: float, banned: tuple[int, ...]) -> None:
    hidden, weight, ids, grad = problem()
    ids = torch.where((ids == 3) | (ids == 11), 0, ids)
    found, entropy = chosen_logprobs(hidden, weight, ids, temperature=temperature, chunk=chunk, banned_ids=banned)
    expected, expected_entropy = dense(hidden, weight, ids, temperature, banned)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(entropy, expected_entropy.detach(), rtol=0, atol=1e-13)
    wanted = torch.autograd.grad(expected, (hidden, weight), grad)
    for one, other in zip(torch.autograd.grad(found, (hidden, weight), grad), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("banned", [(), (2,)])
def test_gradients_equal_finite_differences(banned: tuple[int, ...]) -> None:
    hidden, weight, ids, _ = problem()
    ids = torch.where(ids == 2, 0, ids)

    def logprobs(hidden: Tensor, weight: Tensor) -> Tensor:
        return chosen_logprobs(hidden, weight, ids, temperature=0.8, chunk=6, vocab_size=V - 2, banned_ids=banned)[0]

    ids = ids.clamp(max=V - 3)
    assert torch.autograd.gradcheck(logprobs, (hidden, weight))


def test_padded_rows_of_the_head_have_neither_probability_nor_gradient() -> None:
    hidden, weight, ids, grad = problem()
    ids = ids.clamp(max=V - 5)
    found, entropy = chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=8, vocab_size=V - 4)
    expected, expected_entropy = dense(hidden, weight[: V - 4], ids)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)
    torch.testing.assert_close(entropy, expected_entropy.detach(), rtol=0, atol=1e-13)
    found.backward(grad)
    assert weight.grad is not None
    assert weight.grad[V - 4 :].count_nonzero() == 0


def test_probabilities_of_all_tokens_but_the_banned_sum_to_one() -> None:
    hidden, weight, _, _ = problem()
    every = torch.arange(V).repeat(N)
    logprobs, _ = chosen_logprobs(hidden.repeat_interleave(V, 0), weight, every, temperature=1.3, chunk=64, banned_ids=(0, 18))
    probabilities = logprobs.exp().reshape(N, V)
    torch.testing.assert_close(probabilities.sum(-1), torch.ones(N, dtype=torch.float64), rtol=0, atol=1e-13)
    assert probabilities[:, [0, 18]].count_nonzero() == 0


@pytest.mark.parametrize("frozen", ["hidden", "weight", "both"])
def test_a_frozen_side_gets_no_gradient_and_leaves_the_other_as_it_is(frozen: str) -> None:
    hidden, weight, ids, grad = problem()
    expected = torch.autograd.grad(chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=9)[0], (hidden, weight), grad)
    hidden.requires_grad_(frozen == "weight")
    weight.requires_grad_(frozen == "hidden")
    found, _ = chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=9)
    assert found.requires_grad == (frozen != "both")
    if found.requires_grad:
        found.backward(grad)
    for tensor, wanted in ((hidden, expected[0]), (weight, expected[1])):
        assert (tensor.grad is not None) == tensor.requires_grad
        assert tensor.grad is None or torch.equal(tensor.grad, wanted)


def test_entropy_carries_no_gradient() -> None:
    hidden, weight, ids, _ = problem()
    assert not chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=9)[1].requires_grad


def test_float32_keeps_the_digits_of_certain_and_of_hopeless_tokens() -> None:
    hidden, weight, ids, _ = problem(torch.float32, scale=30.0)
    found, entropy = chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=9)
    expected, expected_entropy = dense(hidden.double(), weight.double(), ids)
    assert expected.min().item() < -100
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=2e-5)
    torch.testing.assert_close(entropy.double(), expected_entropy.detach(), rtol=0, atol=2e-5)


def test_bfloat16_states_give_float32_log_probs_and_gradients_of_their_own_dtype() -> None:
    hidden, weight, ids, grad = problem(torch.bfloat16)
    found, _ = chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=4)
    assert found.dtype == torch.float32
    exact_hidden, exact_weight = (tensor.detach().double().requires_grad_() for tensor in (hidden, weight))
    expected, _ = dense(exact_hidden, exact_weight, ids)
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=0.05)
    found.backward(grad.float())
    expected.backward(grad)
    for tensor, exact in ((hidden, exact_hidden), (weight, exact_weight)):
        assert tensor.grad is not None
        assert exact.grad is not None
        assert tensor.grad.dtype == torch.bfloat16
        assert (tensor.grad.double() - exact.grad).norm() < 0.02 * exact.grad.norm()


def test_autocast_changes_nothing() -> None:
    hidden, weight, ids, _ = problem(torch.float32)
    plain, _ = chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=9)
    with torch.autocast("cpu", torch.bfloat16):
        cast, _ = chosen_logprobs(hidden, weight, ids, temperature=1.0, chunk=9)
    assert torch.equal(plain, cast)


def test_no_tokens_give_no_log_probs_and_a_zero_gradient() -> None:
    hidden, weight, ids, _ = problem()
    found, entropy = chosen_logprobs(hidden[:0], weight, ids[:0], temperature=1.0, chunk=4)
    found.sum().backward()
    assert found.shape == entropy.shape == (0,)
    assert weight.grad is not None
    assert weight.grad.count_nonzero() == 0


class LargestTensor(TorchDispatchMode):
    """Remembers the number of elements of the largest tensor that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        self.numel = max(self.numel, *(leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)), 0)
        return result


def test_no_tensor_is_larger_than_one_chunk_of_logits() -> None:
    hidden, weight, ids = torch.randn(512, 8).requires_grad_(), torch.randn(1000, 8).requires_grad_(), torch.randint(1000, (512,))
    with LargestTensor() as largest:
        chosen_logprobs(hidden, weight, ids, temperature=0.9, chunk=16)[0].sum().backward()
    assert largest.numel == 16 * 1000
    assert hidden.grad is not None
    with LargestTensor() as control:
        torch.log_softmax(hidden @ weight.T, -1).sum().backward()
    assert control.numel == 512 * 1000
