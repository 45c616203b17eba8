from itertools import combinations

import pytest

from rewards.pass_at_k import pass_at_k


@pytest.mark.parametrize("num_samples", range(1, 9))
def test_pass_at_k_is_the_share_of_subsets_that_hold_a_right_sample(num_samples: int):
    for num_right in range(num_samples + 1):
        for k in range(1, num_samples + 1):
            subsets = list(combinations(range(num_samples), k))
            passed = sum(any(sample < num_right for sample in subset) for subset in subsets)
            assert pass_at_k(num_samples, num_right, k) == pytest.approx(passed / len(subsets), abs=1e-15)


def test_pass_at_1_is_the_share_of_right_samples():
    assert pass_at_k(16, 5, 1) == pytest.approx(5 / 16, abs=1e-15)


@pytest.mark.parametrize(("num_samples", "num_right", "k"), [(4, 2, 5), (4, 2, 0), (4, 5, 1), (4, -1, 1)])
def test_impossible_counts_are_refused(num_samples: int, num_right: int, k: int):
    with pytest.raises(ValueError, match=r"needs at least|is impossible"):
        pass_at_k(num_samples, num_right, k)
