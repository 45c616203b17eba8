"""The texts and images behind rows of a scored file, read again from the data that it was made from."""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from pathlib import Path

from rewards.errors import RewardError
from rewards.offline.answers import AnswerReader, Rewards
from rewards.offline.rollouts import RolloutReader, is_rollouts
from tasks.errors import RowError, TaskError
from tasks.message import Message
from tasks.table import JsonLines, Row, open_table


@dataclass(frozen=True, slots=True)
class FoundTexts:
    """Prompt and response of each row that could be read; `note` says why others could not."""

    conversations: Mapping[int, tuple[Message, ...]]
    note: str


def read_texts(scored: Path, rows: Set[int]) -> FoundTexts:
    """Reads as far as the last of `rows`. The data is named in the summary beside the scored file."""
    try:
        made_with = json.loads(scored.with_suffix(".summary.json").read_text())["made_with"]
        data, columns = made_with["data"], made_with["columns"]
    except (OSError, ValueError, KeyError, TypeError):
        return FoundTexts({}, f"Texts are not shown: {scored.with_suffix('.summary.json').name}, which names the data, is not beside it.")
    found: dict[int, tuple[Message, ...]] = {}
    number = 0
    for source in data:
        path = Path(source["data"])
        if "bytes" in source and (not path.is_file() or path.stat().st_size != source["bytes"]):
            return FoundTexts(found, f"Texts are not shown: {path} has gone or changed since it was scored.")
        try:
            table = open_table(str(source["data"]))
            rollouts = isinstance(table, JsonLines) and is_rollouts(table.path)
            reader = RolloutReader(table, Rewards()) if rollouts else AnswerReader.of(table, Rewards(), columns)  # type: ignore[arg-type]
            for row in table.rows():
                number += 1
                if number in rows and isinstance(row, Row):
                    found |= _read(reader, row, number)
                if number >= max(rows, default=0):
                    return FoundTexts(found, "")
        except (TaskError, RewardError) as error:
            return FoundTexts(found, f"Texts are not shown: {error}")
    return FoundTexts(found, "")


def _read(reader: AnswerReader | RolloutReader, row: Row, number: int) -> dict[int, tuple[Message, ...]]:
    try:
        prompt, response = reader.conversation(row, sees_images=True)
    except (RowError, KeyError, TypeError, IndexError):
        return {}
    return {number: (*prompt, *response)}
