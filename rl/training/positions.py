"""Multimodal rotary positions (M-RoPE) of a token sequence with images."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def rope_positions(
    token_ids: Sequence[int] | npt.NDArray[np.int64],
    grids: Sequence[tuple[int, int, int]],
    image_token_id: int | None,
    merge_size: int,
    start: int = 0,
) -> tuple[npt.NDArray[np.int64], int]:
    """Positions [3, T] (time, height, width) and the position that the next token takes.

    `grids` holds (time, rows, columns) in patches for each image in order. Text advances all three by one; an image of r x c merged tokens
    spans a plane that starts at one position, and the text after it goes on max(r, c) further (Qwen2.5-VL, Qwen3-VL).
    """
    ids = np.asarray(token_ids, dtype=np.int64)
    positions = np.empty((3, len(ids)), dtype=np.int64)
    images = iter(grids)
    at, next_position = 0, start
    is_image = ids == image_token_id if image_token_id is not None else np.zeros(len(ids), dtype=bool)
    while at < len(ids):
        ahead = np.flatnonzero(is_image[at:])
        text_end = at + int(ahead[0]) if len(ahead) else len(ids)
        positions[:, at:text_end] = next_position + np.arange(text_end - at)
        next_position += text_end - at
        at = text_end
        if at == len(ids):
            break
        grid = next(images, None)
        assert grid is not None, "more image tokens than images"
        frames, rows, columns = grid[0], grid[1] // merge_size, grid[2] // merge_size
        size = frames * rows * columns
        assert is_image[at : at + size].sum() == size, (
            f"an image of {frames} x {rows} x {columns} merged patches takes {size} placeholder tokens"
        )
        positions[:, at : at + size] = next_position + np.indices((frames, rows, columns)).reshape(3, -1)
        next_position += max(frames, rows, columns)
        at += size
    assert next(images, None) is None, "more images than image tokens"
    return positions, next_position
