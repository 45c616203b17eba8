"""Rotary positions equal Hugging Face's own, whole or cut into trunk and branch."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_checkpoints import IMAGE, VISION_END, VISION_START, build, words
from transformers import AutoModelForImageTextToText, PreTrainedModel

from rl.training.positions import rope_positions

MERGE = 2
# A text of that many tokens, or an image of (rows, columns) merged patches.
Piece = int | tuple[int, int]
PIECES = st.lists(st.one_of(st.integers(0, 6), st.tuples(st.integers(1, 5), st.integers(1, 5))), min_size=1, max_size=7)


@pytest.fixture(scope="module", params=["qwen3_vl", "qwen2_5_vl"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> PreTrainedModel:
    path = build(request.param, tmp_path_factory.mktemp(request.param))
    return AutoModelForImageTextToText.from_pretrained(path).model


def tokens(pieces: Sequence[Piece]) -> tuple[list[int], list[tuple[int, int, int]]]:
    rng = random.Random(0)
    ids: list[int] = [5]
    grids = []
    for piece in pieces:
        if isinstance(piece, int):
            ids += words(rng, piece)
        else:
            ids += [VISION_START, *[IMAGE] * (piece[0] * piece[1]), VISION_END]
            grids.append((1, MERGE * piece[0], MERGE * piece[1]))
    return ids, grids


def hugging_face(model: PreTrainedModel, ids: list[int], grids: list[tuple[int, int, int]]) -> np.ndarray:
    row = torch.tensor([ids])
    grid = torch.tensor(grids) if grids else None
    positions, _ = model.get_rope_index(row, mm_token_type_ids=(row == IMAGE).int(), image_grid_thw=grid)
    result: np.ndarray = positions[:, 0].numpy()
    return result


@settings(deadline=None, max_examples=60)
@given(pieces=PIECES)
def test_positions_equal_hugging_faces(model: PreTrainedModel, pieces: list[Piece]) -> None:
    ids, grids = tokens(pieces)
    found, following = rope_positions(ids, grids, IMAGE, MERGE)
    expected = hugging_face(model, ids, grids)
    np.testing.assert_array_equal(found, expected)
    assert following == hugging_face(model, [*ids, 5], grids)[0, -1]


@settings(deadline=None, max_examples=60)
@given(trunk=PIECES, branch=PIECES)
def test_a_trunk_and_its_branch_have_the_positions_of_the_whole(model: PreTrainedModel, trunk: list[Piece], branch: list[Piece]) -> None:
    first_ids, first_grids = tokens(trunk)
    second_ids, second_grids = tokens(branch)
    first, fork = rope_positions(first_ids, first_grids, IMAGE, MERGE)
    second, _ = rope_positions(second_ids, second_grids, IMAGE, MERGE, fork)
    whole = hugging_face(model, first_ids + second_ids, first_grids + second_grids)
    np.testing.assert_array_equal(np.concatenate([first, second], axis=1), whole)


def test_two_images_that_touch_have_planes_one_after_the_other() -> None:
    positions, following = rope_positions([IMAGE] * 3, [(1, 2, 4), (1, 2, 2)], IMAGE, MERGE)
    np.testing.assert_array_equal(positions, [[0, 0, 2], [0, 0, 2], [0, 1, 2]])
    assert following == 3


def test_text_alone_counts_up_whatever_the_placeholder_id() -> None:
    positions, following = rope_positions([7, IMAGE, 9], [], None, 1, start=4)
    np.testing.assert_array_equal(positions, [[4, 5, 6]] * 3)
    assert following == 7


@pytest.mark.parametrize(
    ("ids", "grids", "message"),
    [
        ([1, IMAGE], [], "more image tokens than images"),
        ([1], [(1, 2, 2)], "more images than image tokens"),
        ([1, IMAGE, 2], [(1, 2, 4)], "takes 2 placeholder tokens"),
        ([1, IMAGE], [(1, 2, 4)], "takes 2 placeholder tokens"),
    ],
)
def test_images_and_placeholders_that_do_not_agree_are_refused(ids: list[int], grids: list[tuple[int, int, int]], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        rope_positions(ids, grids, IMAGE, MERGE)
