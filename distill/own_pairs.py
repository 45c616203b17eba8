"""Pairs that a run makes of its policy's own answers, kept in a file: a run that was killed goes on with the same ones."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
from pydantic import TypeAdapter

from distill.preference_pairs import best_against_worst
from rl.graded import GradedGroup
from rl.records.json_lines import read_lines, replace_lines
from rl.training.batch import PolicyBranch, PolicyTree
from rl.training.tree import Stretch


@dataclass(frozen=True, slots=True)
class StretchRow:
    """`text` is what the ids say, for people; `sampled` says of each whether the policy wrote it; images are PNG in base64."""

    text: str
    token_ids: tuple[int, ...]
    sampled: tuple[bool, ...]
    images: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PairRow:
    task: str
    prompt: StretchRow
    chosen: StretchRow
    rejected: StretchRow


Decode = Callable[[Sequence[int]], str]
_ROW = TypeAdapter(PairRow)


async def own_pairs(
    file: Path, answered: Callable[[], Awaitable[Sequence[GradedGroup]]], decode: Decode, note: Callable[[str], None]
) -> list[PolicyTree]:
    """The best against the worst answer of each group whose rewards differ: those in `file`, or new ones, which it holds then."""
    if file.exists():
        return [_pair(_ROW.validate_json(line)) for line in read_lines(file)]
    groups = await answered()
    pairs = [pair for group in groups if (pair := best_against_worst(group)) is not None]
    note(f"{len(pairs)} pairs from {len(groups)} problems; the others' rewards are all equal")
    if pairs:
        replace_lines(file, (_ROW.dump_json(_row(pair, decode)) for pair in pairs))
    return pairs


def _row(pair: PolicyTree, decode: Decode) -> PairRow:
    chosen, rejected = (_stretch_row(branch.stretch, decode) for branch in pair.branches)
    return PairRow(pair.task, _stretch_row(pair.trunk, decode), chosen, rejected)


def _stretch_row(stretch: Stretch, decode: Decode) -> StretchRow:
    ids = stretch.token_ids_T.tolist()
    return StretchRow(decode(ids), tuple(ids), tuple(stretch.loss_mask_T.tolist()), tuple(_png(image) for image in stretch.images))


def _png(image: PIL.Image.Image) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _pair(row: PairRow) -> PolicyTree:
    branches = tuple(
        PolicyBranch(_stretch(said), advantage, np.zeros(sum(said.sampled), dtype=np.float32))
        for said, advantage in ((row.chosen, 1.0), (row.rejected, -1.0))
    )
    return PolicyTree(_stretch(row.prompt), branches, row.task, compared=True)


def _stretch(row: StretchRow) -> Stretch:
    images = tuple(PIL.Image.open(BytesIO(base64.b64decode(image))) for image in row.images)
    return Stretch(np.array(row.token_ids, dtype=np.int64), np.array(row.sampled, dtype=np.bool_), images)
