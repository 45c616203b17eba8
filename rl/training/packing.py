"""Trees as one packed row of tokens, and the attention that keeps them apart.

Shapes: N packed tokens, S stretches, L longest stretch, K longest chain (trunk and branch), M trained tokens.

Every stretch occupies consecutive rows. A trunk attends to itself, a branch to its trunk and itself, causally; nothing else is visible,
whatever
the order of packing. No row is padding: only the small key and value tables of the attention are gathered into rectangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from transformers import AttentionInterface

from rl.training.positions import rope_positions
from rl.training.tree import Tree

ATTENTION = "packed_tree"


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Stretches that attend alike, as indices into the packed rows.

    `queries_SL` and `keys_SK` repeat row 0 where there is nothing; `flat_query_N` picks the real queries out of S x L, which are the
    packed rows `rows_N`.
    `visible_SLK` is None where plain causal attention says the same.
    """

    queries_SL: torch.Tensor
    keys_SK: torch.Tensor
    flat_query_N: torch.Tensor
    rows_N: torch.Tensor
    visible_SLK: torch.Tensor | None


@dataclass(frozen=True, slots=True)
class Packed:
    """`target_M` are the rows that are trained on, `predictor_M` the rows whose hidden state predicts them: the token before, across the
    fork. Branches that say the same have the same rows, each its own M.
    """

    token_ids_N: torch.Tensor
    positions_3N: torch.Tensor
    target_M: torch.Tensor
    predictor_M: torch.Tensor
    rectangles: tuple[Rectangle, ...]

    def to(self, device: torch.device) -> "Packed":
        return Packed(
            self.token_ids_N.to(device),
            self.positions_3N.to(device),
            self.target_M.to(device),
            self.predictor_M.to(device),
            tuple(
                Rectangle(
                    r.queries_SL.to(device),
                    r.keys_SK.to(device),
                    r.flat_query_N.to(device),
                    r.rows_N.to(device),
                    None if r.visible_SLK is None else r.visible_SLK.to(device),
                )
                for r in self.rectangles
            ),
        )


def pack(
    trees: Sequence[Tree], grids: Sequence[Sequence[Sequence[tuple[int, int, int]]]], image_token_id: int | None, merge_size: int
) -> Packed:
    """`grids[i][j]` are the patch grids of the images in stretch j of tree i (0 the trunk), in order."""
    ids: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    targets: list[np.ndarray] = []
    predictors: list[np.ndarray] = []
    trunks: list[tuple[int, int]] = []
    branches: list[tuple[int, int, int, int]] = []
    row = 0
    for tree, tree_grids in zip(trees, grids, strict=True):
        trunk_row, fork = row, 0
        trained_rows: list[tuple[np.ndarray, np.ndarray]] = []
        alike = (0, *(1 + first for first in tree.first_alike))
        for index, (stretch, stretch_grids) in enumerate(zip((tree.trunk, *tree.branches), tree_grids, strict=True)):
            if alike[index] < index:
                trained_rows.append(trained_rows[alike[index]])
                continue
            start = 0 if index == 0 else fork
            place, end = rope_positions(stretch.token_ids_T, stretch_grids, image_token_id, merge_size, start)
            fork = end if index == 0 else fork
            previous = row + np.arange(len(stretch)) - 1
            if index > 0:
                previous[0] = trunk_row + len(tree.trunk) - 1
            assert index > 0 or not stretch.loss_mask_T[0], "the first token of a sequence has nothing before it to be predicted from"
            trained = np.flatnonzero(stretch.loss_mask_T)
            ids.append(stretch.token_ids_T)
            positions.append(place)
            trained_rows.append((row + trained, previous[trained]))
            if index == 0:
                trunks.append((row, len(stretch)))
            else:
                branches.append((trunk_row, len(tree.trunk), row, len(stretch)))
            row += len(stretch)
        targets += [target for target, _ in trained_rows]
        predictors += [predictor for _, predictor in trained_rows]
    rectangles = (_trunk_rectangle(trunks), *((_branch_rectangle(branches),) if branches else ()))
    return Packed(
        torch.from_numpy(np.concatenate(ids)),
        torch.from_numpy(np.concatenate(positions, axis=1)),
        torch.from_numpy(np.concatenate(targets)),
        torch.from_numpy(np.concatenate(predictors)),
        rectangles,
    )


def _trunk_rectangle(trunks: list[tuple[int, int]]) -> Rectangle:
    start, length = (np.array(column) for column in zip(*trunks, strict=True))
    column = np.arange(length.max())
    real = column < length[:, None]
    rows = np.where(real, start[:, None] + column, 0)
    index = torch.from_numpy(rows)
    return Rectangle(index, index, torch.from_numpy(np.flatnonzero(real)), torch.from_numpy(rows[real]), None)


def _branch_rectangle(branches: list[tuple[int, int, int, int]]) -> Rectangle:
    trunk_row, trunk_length, row, length = (np.array(column)[:, None] for column in zip(*branches, strict=True))
    query = np.arange(length.max())
    key = np.arange((trunk_length + length).max())
    real = query < length
    queries = np.where(real, row + query, 0)
    in_trunk, in_chain = key < trunk_length, key < trunk_length + length
    keys = np.where(in_trunk, trunk_row + key, np.where(in_chain, row + key - trunk_length, 0))
    # Padding queries see the first key, so that no softmax is empty.
    visible = key[None, None, :] <= trunk_length[:, :, None] + query[None, :, None]
    return Rectangle(
        torch.from_numpy(queries),
        torch.from_numpy(keys),
        torch.from_numpy(np.flatnonzero(real)),
        torch.from_numpy(queries[real]),
        torch.from_numpy(visible[:, None]),
    )


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    rectangles: tuple[Rectangle, ...] = (),
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Hugging Face attention function. `query` [1, H, N, D], `key` and `value` [1, G, N, D] -> [1, N, H, D]."""
    assert rectangles, "packed attention needs the rectangles of its batch"
    query_NHD, key_NGD, value_NGD = (x[0].transpose(0, 1) for x in (query, key, value))
    output_NHD = torch.empty_like(query_NHD)
    for r in rectangles:
        attended_SHLD = torch.nn.functional.scaled_dot_product_attention(
            _gathered(query_NHD, r.queries_SL),
            _gathered(key_NGD, r.keys_SK),
            _gathered(value_NGD, r.keys_SK),
            attn_mask=r.visible_SLK,
            is_causal=r.visible_SLK is None,
            scale=scaling,
            enable_gqa=query.shape[1] != key.shape[1],
        )
        flat = attended_SHLD.transpose(1, 2).flatten(0, 1)
        output_NHD = output_NHD.index_copy(0, r.rows_N, flat.index_select(0, r.flat_query_N))
    return output_NHD[None], None


def _gathered(rows_NHD: torch.Tensor, index_SL: torch.Tensor) -> torch.Tensor:
    """`[S, H, L, D]`. `index_select`, whose gradient takes a CPU half the time of that of `rows[index]`."""
    return rows_NHD.index_select(0, index_SL.flatten()).view(*index_SL.shape, *rows_NHD.shape[1:]).transpose(1, 2)


AttentionInterface.register(ATTENTION, packed_attention)
