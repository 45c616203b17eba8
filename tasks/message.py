"""Chat messages, as every stage passes them on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import PIL.Image

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ImagePart:
    """An RGB image; compared by identity, since pixels are large."""

    image: PIL.Image.Image


Part: TypeAlias = TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that the assistant asked for; whether it ran is an `ExecutedCall`'s to say."""

    name: str
    arguments: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class ExecutedCall:
    """A tool call that the environment ran. `ok` is False when the tool reported an error."""

    call: ToolCall
    ok: bool
    seconds: float


@dataclass(frozen=True, slots=True)
class Message:
    role: Role
    parts: tuple[Part, ...]
    tool_calls: tuple[ToolCall, ...] = ()

    @property
    def text(self) -> str:
        """The text parts, joined without a separator."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def images(self) -> tuple[PIL.Image.Image, ...]:
        return tuple(part.image for part in self.parts if isinstance(part, ImagePart))


def text_message(role: Role, text: str) -> Message:
    return Message(role, (TextPart(text),))
