"""Laws of sources: random access, epochs, and splits that share no content."""

import itertools
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.demonstrations import demonstrations
from tasks.errors import TaskError
from tasks.families import FAMILIES, make_family
from tasks.family import Example
from tasks.message import text_message
from tasks.problem import CountTarget, Problem
from tasks.source import MAX_DRAWS, PoolSource, ProceduralSource, Source, distinct, is_heldout

SEEDS = st.integers(0, 2**32)


@dataclass(frozen=True, slots=True)
class Digits:
    """A family with exactly `largest` different problems."""

    largest: int = 1000
    worked: bool = True
    name: str = "digits"
    reward: str = "count"

    def make(self, rng: random.Random) -> Example:
        number = rng.randrange(self.largest)
        return Example((text_message("user", f"{number}?"),), CountTarget(number), f"{number}!" if self.worked else "", str(number))


def problem(index: int) -> Problem:
    return Problem(f"p{index}", (text_message("user", str(index)),), CountTarget(index), "count", "pool")


def pool(size: int, seed: int) -> PoolSource:
    return PoolSource("pool", tuple(problem(index) for index in range(size)), seed)


def procedural(family: str = "algebra", seed: int = 0) -> ProceduralSource:
    made = make_family(family, {})
    return ProceduralSource("task", made, seed, "train", made.reward)


def stream(source: Source, start: int) -> Iterator[Problem]:
    return (source.problem(position) for position in itertools.count(start))


@given(st.integers(1, 40), SEEDS, st.integers(0, 5))
def test_every_epoch_of_a_pool_is_a_permutation(size: int, seed: int, epoch: int) -> None:
    source = pool(size, seed)
    ids = [source.problem(position).id for position in range(epoch * size, (epoch + 1) * size)]
    assert sorted(ids) == sorted(p.id for p in source.problems)


def test_epochs_and_seeds_differ_in_order() -> None:
    orders = {
        tuple(pool(50, seed).problem(position).id for position in range(epoch * 50, epoch * 50 + 50))
        for seed in (0, 1)
        for epoch in range(3)
    }
    assert len(orders) == 6


@given(st.integers(1, 40), SEEDS, st.integers(0, 200))
def test_a_pool_resumes_from_its_position_alone(size: int, seed: int, position: int) -> None:
    uninterrupted = list(itertools.islice(stream(pool(size, seed), 0), position + 10))[position:]
    resumed = list(itertools.islice(stream(pool(size, seed), position), 10))
    assert [p.id for p in resumed] == [p.id for p in uninterrupted]


def test_a_pool_says_when_it_is_empty() -> None:
    with pytest.raises(TaskError, match="task 'geometry' has no problems"):
        PoolSource("geometry", (), 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_positions_of_a_family_do_not_depend_on_the_order_of_access(family: str) -> None:
    source = procedural(family)
    forwards = [source.problem(position) for position in range(20)]
    backwards = [source.problem(position) for position in reversed(range(20))][::-1]
    assert [(p.id, p.target) for p in forwards] == [(p.id, p.target) for p in backwards]
    assert [[image.tobytes() for m in p.messages for image in m.images] for p in forwards] == [
        [image.tobytes() for m in p.messages for image in m.images] for p in backwards
    ]


@pytest.mark.parametrize("family", FAMILIES)
def test_global_random_state_is_neither_read_nor_written(family: str) -> None:
    random.seed(1)
    state = random.getstate()
    first = procedural(family).problem(3).id
    assert random.getstate() == state
    random.seed(2)
    assert procedural(family).problem(3).id == first


def test_positions_are_the_same_in_every_process() -> None:
    program = (
        "from tasks.families import FAMILIES, make_family\n"
        "from tasks.source import ProceduralSource\n"
        "for name in FAMILIES:\n"
        "    source = ProceduralSource('task', make_family(name, {}), 7, 'train', 'r')\n"
        "    print([(source.problem(i).id, source.problem(i).target) for i in range(5)])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert outputs.pop()


@given(SEEDS, SEEDS)
def test_train_and_heldout_share_no_content_whatever_their_seeds(train_seed: int, heldout_seed: int) -> None:
    train = ProceduralSource("task", Digits(), train_seed, "train", "count")
    heldout = ProceduralSource("task", Digits(), heldout_seed, "heldout", "count")
    assert {train.problem(i).id for i in range(30)}.isdisjoint({heldout.problem(i).id for i in range(10)})


@pytest.mark.parametrize("family", FAMILIES)
def test_heldout_content_is_what_crc32_says(family: str) -> None:
    made = make_family(family, {})
    keys = {made.make(random.Random(i)).key: i for i in range(300)}
    train_ids = {procedural(family).problem(i).id for i in range(100)}
    heldout = [key for key in keys if is_heldout(key)]
    assert 0.02 < len(heldout) / len(keys) < 0.25
    source = ProceduralSource("task", FixedFamily(made, tuple(keys[key] for key in heldout)), 0, "heldout", "r")
    assert train_ids.isdisjoint({source.problem(i).id for i in range(50)})


@dataclass(frozen=True, slots=True)
class FixedFamily:
    """A family that only makes the examples of the given seeds."""

    family: object
    seeds: tuple[int, ...]
    name: str = "fixed"
    reward: str = "r"

    def make(self, rng: random.Random) -> Example:
        example = self.family.make(random.Random(rng.choice(self.seeds)))  # type: ignore[attr-defined]
        assert isinstance(example, Example)
        return example


def test_equal_content_has_the_same_id_under_every_seed() -> None:
    ids: dict[str, set[str]] = {}
    for seed in range(3):
        source = ProceduralSource("task", Digits(20), seed, "train", "count")
        for position in range(60):
            p = source.problem(position)
            ids.setdefault(p.messages[0].text, set()).add(p.id)
    assert all(len(same) == 1 for same in ids.values())
    assert len({next(iter(same)) for same in ids.values()}) == len(ids)


def test_seeds_differ_in_problems() -> None:
    assert [procedural(seed=0).problem(i).id for i in range(5)] != [procedural(seed=1).problem(i).id for i in range(5)]


def test_distinct_problems_are_distinct_and_a_smaller_set_is_part_of_a_larger_one() -> None:
    source = ProceduralSource("task", Digits(200), 0, "train", "count")
    many, few = distinct(source, 100), distinct(source, 20)
    assert len({p.id for p in many}) == 100
    assert [p.id for p in few] == [p.id for p in many[:20]]


def test_a_family_with_too_few_problems_says_so() -> None:
    source = ProceduralSource("tiny", Digits(5), 0, "train", "count")
    with pytest.raises(TaskError, match=r"task 'tiny' has only about \d different problems, not 50"):
        distinct(source, 50)


def test_a_family_without_heldout_content_says_so() -> None:
    number = next(n for n in itertools.count() if not is_heldout(str(n)))
    only = FixedFamily(Digits(number + 1), tuple(i for i in range(5000) if random.Random(i).randrange(number + 1) == number))
    with pytest.raises(TaskError, match=f"family 'fixed' made no heldout problem in {MAX_DRAWS} draws"):
        ProceduralSource("tiny", only, 0, "heldout", "count").problem(0)


def test_demonstrations_are_distinct_and_never_heldout() -> None:
    made = list(demonstrations(Digits(500), 100, seed=3))
    assert len({example.key for example in made}) == 100
    assert not any(is_heldout(example.key) for example in made)


def test_fewer_demonstrations_are_the_first_of_more() -> None:
    assert list(demonstrations(Digits(), 5, seed=3)) == list(demonstrations(Digits(), 20, seed=3))[:5]


def test_a_family_without_demonstrations_says_so() -> None:
    with pytest.raises(TaskError, match="family 'digits' has no demonstrations: turn the cold start off"):
        list(demonstrations(Digits(worked=False), 1, seed=0))


def test_more_demonstrations_than_there_are_is_an_error() -> None:
    with pytest.raises(TaskError, match="different demonstrations, not 50: ask for fewer"):
        list(demonstrations(Digits(10), 50, seed=0))
