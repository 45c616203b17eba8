"""What supervised training imitates, whatever its source."""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Protocol, TypeAlias

from distill.conversation import Conversation
from distill.worked_turns import WorkedTurns
from tasks.message import Message

Imitated: TypeAlias = Conversation | WorkedTurns


class Imitation(Protocol):
    """All that a stage imitates, to be gone through any number of times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Imitated]: ...


def problem_key(imitated: Imitated) -> str:
    """The same for equal prompts: all that is given before the assistant says anything."""
    digest = hashlib.sha256()
    for piece in _shown(takewhile(lambda message: message.role != "assistant", imitated.messages)):
        digest.update(piece)
    return digest.hexdigest()


def content(imitated: Imitated) -> Iterator[bytes]:
    """All that it shows and says, for a digest."""
    said = imitated.turns if isinstance(imitated, WorkedTurns) else imitated.thinking
    yield repr((imitated.tools, said)).encode()
    yield from _shown(imitated.messages)


def _shown(messages: Iterable[Message]) -> Iterator[bytes]:
    for message in messages:
        yield f"{message.role}\0{message.text}\0{message.tool_calls}".encode()
        for image in message.images:
            yield repr(image.size).encode() + image.tobytes()
