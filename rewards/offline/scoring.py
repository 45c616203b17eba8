"""Samples through the reward workers into a scored file: in order, many at once, in bounded memory.

rows -> chunks of samples -> RewardPool -> lines, appended in order
a kill leaves whole lines -> the same command counts them and goes on with the next row
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from rewards.errors import RewardError
from rewards.isolation import RewardPool
from rewards.offline.answers import Sample
from rewards.offline.output import ScoredFile
from rewards.offline.scored import ScoredRow, bad_row, read_scored, scored_row
from rewards.offline.summary import Summary
from tasks.table import BadRow

CHUNK_ROWS = 64
CHUNK_CHARS = 1 << 21
CHUNKS_IN_FLIGHT = 4
"""Chunks beyond one for each worker: what a slow row may hold back before the others wait."""


@dataclass(frozen=True, slots=True)
class Numbered:
    row: int
    sample: Sample | BadRow


async def score(
    samples: Iterable[Sample | BadRow], pool: RewardPool, file: ScoredFile, workers: int, seen: Callable[[Sequence[ScoredRow]], None]
) -> Summary:
    """Grades what is not in `file` yet; `seen` is told of every new chunk. The summary is of all rows, old and new.

    Raises `RewardError` when the data holds fewer rows than the file.
    """
    summary = Summary()
    for old in _batches(read_scored(file.path)):
        summary.add(old)
    numbered = (Numbered(row, sample) for row, sample in enumerate(samples, start=1))
    skipped = sum(1 for _ in itertools.islice(numbered, file.rows_done))
    if skipped < file.rows_done:
        raise RewardError(f"{file.path} holds {file.rows_done} rows, more than the data has; write overwrite=true to score anew")
    in_flight: deque[asyncio.Task[list[ScoredRow]]] = deque()

    async def write_first() -> None:
        rows = await in_flight.popleft()
        file.append(rows)
        summary.add(rows)
        seen(rows)

    try:
        for chunk in _chunks(numbered):
            in_flight.append(asyncio.create_task(_grade(chunk, pool)))
            if len(in_flight) >= workers + CHUNKS_IN_FLIGHT:
                await write_first()
        while in_flight:
            await write_first()
    finally:
        for task in in_flight:
            task.cancel()
    return summary


async def _grade(chunk: Sequence[Numbered], pool: RewardPool) -> list[ScoredRow]:
    samples = [numbered.sample for numbered in chunk if isinstance(numbered.sample, Sample)]
    graded = iter(await pool.break_down([(sample.reward, sample.target, sample.transcript) for sample in samples]))
    return [
        bad_row(numbered.row, numbered.sample)
        if isinstance(numbered.sample, BadRow)
        else scored_row(numbered.row, numbered.sample, next(graded))
        for numbered in chunk
    ]


def _chunks(numbered: Iterable[Numbered]) -> Iterator[list[Numbered]]:
    """Chunks of few enough rows and characters: a chunk's texts and images are in memory at one time."""
    chunk: list[Numbered] = []
    chars = 0
    for item in numbered:
        chunk.append(item)
        if isinstance(item.sample, Sample):
            transcript = item.sample.transcript
            chars += sum(len(message.text) for message in (*transcript.prompt, *transcript.response))
        if len(chunk) >= CHUNK_ROWS or chars >= CHUNK_CHARS:
            yield chunk
            chunk, chars = [], 0
    if chunk:
        yield chunk


def _batches(rows: Iterator[ScoredRow]) -> Iterator[list[ScoredRow]]:
    while batch := list(itertools.islice(rows, 1000)):
        yield batch
