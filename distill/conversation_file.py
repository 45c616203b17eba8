"""A user's conversations to imitate: a table whose rows end with what the assistant says."""

import json
from collections.abc import Mapping

from distill.conversation import Conversation
from tasks.errors import RowError, short
from tasks.message import Json
from tasks.prompt import read_conversation
from tasks.stored_image import read_images
from tasks.table import Row, Table, read_all


def read_conversations(data: str) -> list[Conversation]:
    """All rows of a .jsonl, .parquet or `hf:` table with a column `messages` and, where there are some, `images` and `tools`.

    `tools` is a list of function schemas, or that list as a JSON text. Raises `TaskError` that lists the first rows which are no
    demonstration, with their place and reason.
    """
    return read_all(data, _conversation, "demonstrations")


def _conversation(row: Row, table: Table) -> Conversation:
    if "messages" not in row.values:
        raise RowError(
            f"no column `messages` (there are: {', '.join(row.values)}); rename yours: a list of messages with role and content "
            "(ShareGPT's `conversations` has from and value; human is user, gpt is assistant)"
        )
    stored = read_images(row.values.get("images"), table.folder)
    messages = read_conversation(row.values.get("messages"), stored, table.folder)
    return Conversation(tuple(message.decode() for message in messages), read_tools(row))


def read_tools(row: Row) -> tuple[Mapping[str, Json], ...]:
    """The schemas in the column `tools`, which there need not be. Raises `RowError`."""
    tools = row.values.get("tools") or []
    if isinstance(tools, str):
        try:
            tools = json.loads(tools)
        except ValueError as error:
            raise RowError(f"`tools` is not JSON: {error}") from None
    if not isinstance(tools, list) or not all(isinstance(tool, dict) for tool in tools):
        raise RowError(f"`tools` is a list of function schemas, not {short(tools)}")
    return tuple(tools)
