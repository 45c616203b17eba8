"""Rollouts to a batch that teachers have scored: the first half of on-policy distillation."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, Protocol, TypeAlias

from distill.batch import TeacherLogprobs, TeacherStates, TeacherTopK, Teaching, taught
from rl.graded import GradedGroup
from rl.signal import FrozenModel, Signal
from rl.training.batch import FloatsMV, IdsMK, PolicyTree, SapoBatch
from rl.training.tree import Tree

Vocabulary: TypeAlias = Literal["full", "top_k", "sampled"]


class Teacher(FrozenModel, Protocol):
    """A frozen model with the student's token ids. It is asked about exactly the ids and images that the student had before it."""

    async def hidden_states(self, trees: Sequence[Tree]) -> list[list[FloatsMV]]: ...

    async def top_k(self, trees: Sequence[Tree], k: int, vocab_size: int) -> list[list[tuple[IdsMK, FloatsMV]]]: ...


class DistillSignal:
    """The batch of `policy` (advantages, a reference), each of its responses with what its teacher says of the sampled tokens.

    `route` names the teacher of each task; all teachers work at the same time. `vocab_size` is that of the tokenizer they share.
    """

    def __init__(
        self, policy: Signal, teachers: Mapping[str, Teacher], route: Mapping[str, str], vocabulary: Vocabulary, k: int, vocab_size: int
    ) -> None:
        self._policy = policy
        self._teachers = teachers
        self._route = route
        self._vocabulary = vocabulary
        self._k = k
        self._vocab_size = vocab_size

    async def batch(self, groups: Sequence[GradedGroup]) -> SapoBatch:
        plain = await self._policy.batch(groups)
        by_teacher = {name: [i for i, tree in enumerate(plain.trees) if self._route[tree.task] == name] for name in self._teachers}
        asked = {name: numbers for name, numbers in by_teacher.items() if numbers}
        began = time.perf_counter()
        answers = await asyncio.gather(
            *(self._ask(self._teachers[name], [plain.trees[i].tree for i in numbers]) for name, numbers in asked.items())
        )
        teacher_s = time.perf_counter() - began
        trees = list(plain.trees)
        for (name, numbers), teachings in zip(asked.items(), answers, strict=True):
            for i, of_tree in zip(numbers, teachings, strict=True):
                trees[i] = _taught_tree(plain.trees[i], name, of_tree)
        return replace(plain, trees=tuple(trees), teacher_s=teacher_s)

    async def _ask(self, teacher: Teacher, trees: Sequence[Tree]) -> list[list[Teaching]]:
        if self._vocabulary == "full":
            return [[TeacherStates(states) for states in tree] for tree in await teacher.hidden_states(trees)]
        if self._vocabulary == "top_k":
            return [[TeacherTopK(*top) for top in tree] for tree in await teacher.top_k(trees, self._k, self._vocab_size)]
        return [[TeacherLogprobs(logprobs) for logprobs in tree] for tree in await teacher.logprobs(trees)]


def _taught_tree(tree: PolicyTree, teacher: str, teachings: Sequence[Teaching]) -> PolicyTree:
    pairs = zip(tree.branches, teachings, strict=True)
    return replace(tree, branches=tuple(taught(branch, teacher, teaching) for branch, teaching in pairs))
