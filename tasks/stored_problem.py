"""Problems as they wait in memory: with encoded images, which become pixels when the problem is asked for."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import overload

from tasks.message import ImagePart, Message, Role, TextPart, ToolCall
from tasks.problem import Problem, RewardNotation, Target
from tasks.stored_image import StoredImage


@dataclass(frozen=True, slots=True)
class StoredMessage:
    role: Role
    parts: tuple[str | StoredImage, ...]
    tool_calls: tuple[ToolCall, ...] = ()

    def decode(self) -> Message:
        parts = tuple(TextPart(part) if isinstance(part, str) else ImagePart(part.decode()) for part in self.parts)
        return Message(self.role, parts, self.tool_calls)


@dataclass(frozen=True, slots=True)
class StoredProblem:
    id: str
    messages: tuple[StoredMessage, ...]
    target: Target
    reward: RewardNotation
    source: str
    tools: tuple[str, ...] = ()
    expected_calls: int | None = None

    @property
    def num_images(self) -> int:
        return sum(isinstance(part, StoredImage) for message in self.messages for part in message.parts)

    def decode(self) -> Problem:
        messages = tuple(message.decode() for message in self.messages)
        return Problem(self.id, messages, self.target, self.reward, self.source, self.tools, self.expected_calls)


@dataclass(frozen=True, slots=True)
class StoredProblems(Sequence[Problem]):
    """A sequence of problems that decodes images on access: the memory holds the encoded data set, not its pixels."""

    stored: tuple[StoredProblem, ...]

    def __len__(self) -> int:
        return len(self.stored)

    @overload
    def __getitem__(self, index: int) -> Problem: ...

    @overload
    def __getitem__(self, index: slice) -> "StoredProblems": ...

    def __getitem__(self, index: int | slice) -> "Problem | StoredProblems":
        return StoredProblems(self.stored[index]) if isinstance(index, slice) else self.stored[index].decode()


def content_digest(messages: Sequence[StoredMessage]) -> str:
    """Equal for prompts that say and show the same, however white space is set. An image counts by its encoded bytes."""
    digest = sha256()
    for message in messages:
        words = [" ".join(part.split()) if isinstance(part, str) else f"\0{part.digest}" for part in message.parts]
        calls = [f"\2{call.name}{sorted(call.arguments.items())}" for call in message.tool_calls]
        digest.update("\1".join((message.role, *(word for word in words if word), *calls, "\3")).encode())
    return digest.hexdigest()
