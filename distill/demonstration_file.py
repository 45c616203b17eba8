"""A user's demonstrations: a table of conversations whose last message is the assistant's."""

from collections.abc import Mapping

from distill.cold_start import WorkedAnswer
from tasks.errors import RowError, TaskError, short
from tasks.prompt import read_prompt
from tasks.stored_image import read_image
from tasks.table import BadRow, Row, Table, open_table


def read_demonstrations(data: str) -> list[WorkedAnswer]:
    """All rows of a .jsonl, .parquet or `hf:` table with a column `messages` and, where there are images, `images`.

    Raises `TaskError` that lists the first rows which are no demonstration, with their place and reason.
    """
    table = open_table(data)
    answers: list[WorkedAnswer] = []
    bad: list[BadRow] = []
    for row in table.rows():
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        try:
            answers.append(_worked_answer(row, table))
        except RowError as error:
            bad.append(BadRow(row.where, str(error)))
    if bad:
        listed = "\n".join(f"  {row.where}: {row.reason}" for row in bad[:5])
        raise TaskError(f"cold_start.data={data}: {len(bad)} rows are no demonstrations, the first:\n{listed}")
    if not answers:
        raise TaskError(f"cold_start.data={data}: no row")
    return answers


def _worked_answer(row: Row, table: Table) -> WorkedAnswer:
    messages = row.values.get("messages")
    if not isinstance(messages, list) or not messages:
        raise RowError(f"`messages` is a list of chat messages, not {short(messages)}")
    last = messages[-1]
    if not isinstance(last, Mapping) or last.get("role") != "assistant" or not isinstance(last.get("content"), str) or not last["content"]:
        raise RowError("the last message must be the assistant's, with a text as its content")
    images = row.values.get("images") or []
    stored = [read_image(image, table.folder) for image in (images if isinstance(images, list) else [images])]
    prompt = read_prompt(messages[:-1], stored, table.folder)
    return WorkedAnswer(tuple(message.decode() for message in prompt), last["content"])
