"""What supervised training imitates, whatever its source."""

from collections.abc import Iterator
from typing import Protocol, TypeAlias

from distill.conversation import Conversation
from distill.worked_turns import WorkedTurns

Imitated: TypeAlias = Conversation | WorkedTurns


class Imitation(Protocol):
    """All that a stage imitates, to be gone through any number of times."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Imitated]: ...


def content(imitated: Imitated) -> Iterator[bytes]:
    """All that it shows and says, for a digest."""
    said = imitated.turns if isinstance(imitated, WorkedTurns) else imitated.thinking
    yield repr((imitated.tools, said)).encode()
    for message in imitated.messages:
        yield f"{message.role}\0{message.text}\0{message.tool_calls}".encode()
        for image in message.images:
            yield repr(image.size).encode() + image.tobytes()
