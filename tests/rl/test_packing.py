"""Packed trees are worth what plain Hugging Face says of each chain alone, in value and gradient."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_checkpoints import Plain, build, forest, words

from rl.training.model import Policy, SoftmaxSettings, TreeEncoder
from rl.training.tree import Tree

KINDS = ("qwen3_vl", "qwen2_5_vl", "qwen3", "qwen3_tied")


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def path(kind: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(kind, tmp_path_factory.mktemp(kind))


@pytest.fixture(scope="module")
def policy(path: Path) -> Policy:
    return Policy(path, torch.float32, SoftmaxSettings(chunk=7))


def packed_logprobs(policy: Policy, path: Path, trees: Sequence[Tree]) -> list[list[torch.Tensor]]:
    """For each tree the log-probs of its trunk and of each of its branches, from one packed pass."""
    logprobs_M, _ = policy(TreeEncoder(path, torch.device("cpu"))(trees))
    stretches = [[tree.trunk, *tree.branches] for tree in trees]
    pieces = iter(torch.split(logprobs_M, [int(s.loss_mask_T.sum()) for tree in stretches for s in tree]))
    return [[next(pieces) for _ in tree] for tree in stretches]


def assert_near(found: Sequence[Sequence[torch.Tensor]], expected: Sequence[Sequence[torch.Tensor]], atol: float) -> None:
    for one_tree, other_tree in zip(found, expected, strict=True):
        for one, other in zip(one_tree, other_tree, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=atol)


def test_packed_logprobs_equal_those_of_each_chain_alone(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind)
    with torch.no_grad():
        plain = Plain.load(path)
        assert_near(packed_logprobs(policy, path, trees), [plain.chain_logprobs(tree) for tree in trees], 1e-5)


def test_packed_gradients_equal_those_of_each_chain_alone(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind, seed=1)
    plain = Plain.load(path)
    torch.cat([piece for tree in trees for piece in plain.chain_logprobs(tree)]).sum().backward()
    policy.zero_grad()
    torch.cat([piece for tree in packed_logprobs(policy, path, trees) for piece in tree]).sum().backward()
    found = dict(policy.model.named_parameters())
    compared = 0
    for name, parameter in plain.model.named_parameters():
        if parameter.grad is None:
            assert found[name].grad is None, name
            continue
        compared += 1
        difference = (found[name].grad - parameter.grad).norm() / parameter.grad.norm().clamp(min=1e-3)
        assert difference < 1e-4, (name, float(difference))
    assert compared > 10


def with_repeats(trees: Sequence[Tree]) -> list[Tree]:
    """Every branch without images a second time, as a copy, in the reverse order."""
    return [
        replace(t, branches=(*t.branches, *(replace(b, token_ids_T=b.token_ids_T.copy()) for b in reversed(t.branches) if not b.images)))
        for t in trees
    ]


def test_branches_that_say_the_same_are_computed_once_and_worth_what_each_is_alone(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind, seed=2)
    repeated = with_repeats(trees)
    assert sum(len(t.branches) for t in repeated) > sum(len(t.branches) for t in trees)
    encode = TreeEncoder(path, torch.device("cpu"))
    assert len(encode(repeated).packed.token_ids_N) == len(encode(trees).packed.token_ids_N) == sum(t.num_tokens for t in repeated)
    plain = Plain.load(path)
    expected = [plain.chain_logprobs(tree) for tree in repeated]
    found = packed_logprobs(policy, path, repeated)
    assert_near(found, expected, 1e-5)
    torch.cat([piece for tree in expected for piece in tree]).sum().backward()
    policy.zero_grad()
    torch.cat([piece for tree in found for piece in tree]).sum().backward()
    name, parameter = next((n, p) for n, p in plain.model.named_parameters() if "down_proj" in n and "visual" not in n)
    torch.testing.assert_close(dict(policy.model.named_parameters())[name].grad, parameter.grad, rtol=1e-4, atol=1e-5)


def test_branches_that_differ_in_what_is_trained_are_not_alike(kind: str) -> None:
    tree = next(t for t in forest(kind) if t.branches and not t.branches[0].images)
    first = tree.branches[0]
    other = replace(first, loss_mask_T=~first.loss_mask_T)
    assert replace(tree, branches=(first, other, first)).first_alike == (0, 1, 0)


def test_the_order_of_trees_and_branches_does_not_matter(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind)
    with torch.no_grad():
        straight = packed_logprobs(policy, path, trees)
        turned = packed_logprobs(policy, path, [Tree(tree.trunk, tree.branches[::-1]) for tree in trees[::-1]])
    assert_near([[tree[0], *tree[:0:-1]] for tree in turned[::-1]], straight, 1e-5)


def test_the_split_into_passes_does_not_matter(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind)
    with torch.no_grad():
        whole = packed_logprobs(policy, path, trees)
        for tree, expected in zip(trees, whole, strict=True):
            assert_near(packed_logprobs(policy, path, [tree]), [expected], 1e-5)
            for number, branch in enumerate(tree.branches):
                alone = packed_logprobs(policy, path, [Tree(tree.trunk, (branch,))])
                assert_near(alone, [[expected[0], expected[1 + number]]], 1e-5)


def test_a_branch_sees_neither_its_sibling_nor_another_tree(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind)
    first = trees[0].branches[0]
    other = replace(first, token_ids_T=np.array(words(random.Random(9), len(first)), dtype=np.int64))
    changed = [Tree(trees[0].trunk, (other, *trees[0].branches[1:])), *trees[1:]]
    with torch.no_grad():
        before, after = packed_logprobs(policy, path, trees), packed_logprobs(policy, path, changed)
    assert not torch.allclose(before[0][1], after[0][1], atol=1e-2)
    before[0][1] = after[0][1]
    for one, two in zip(before, after, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_a_changed_trunk_changes_all_of_its_branches_and_nothing_else(kind: str, path: Path, policy: Policy) -> None:
    trees = forest(kind)
    ids = trees[0].trunk.token_ids_T.copy()
    ids[0] = 101
    changed = [Tree(replace(trees[0].trunk, token_ids_T=ids), trees[0].branches), *trees[1:]]
    with torch.no_grad():
        before, after = packed_logprobs(policy, path, trees), packed_logprobs(policy, path, changed)
    assert all(not torch.equal(a, b) for a, b in zip(before[0][1:], after[0][1:], strict=True))
    for one, two in zip(before[1:], after[1:], strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
