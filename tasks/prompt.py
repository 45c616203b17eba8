"""Prompts as data files write them: a text or a list of chat messages, `<image>` where an image stands."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias, cast, get_args

from tasks.errors import RowError, short
from tasks.message import Json, Role, ToolCall
from tasks.stored_image import StoredImage, read_image
from tasks.stored_problem import StoredMessage

PLACEHOLDER = "<image>"
# Were these tokenised inside a text, images and tokens would no longer match, or a turn would end early.
SPECIAL = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
ROLES: tuple[str, ...] = get_args(Role)


class _NextImage:
    """Stands for the next image of the row."""


_Part: TypeAlias = str | StoredImage | _NextImage
ReadImage: TypeAlias = Callable[[object, Path], StoredImage]
TextParts: TypeAlias = "Callable[[str], list[_Part]]"


def read_prompt(value: object, images: Sequence[StoredImage], folder: Path) -> tuple[StoredMessage, ...]:
    """A prompt's messages with the row's `images` in their places, in order: at `<image>`, or ahead of the first user text when no
    place is marked. Ends with what is asked: a user's or a tool's message. Raises `RowError`.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise RowError(f"a prompt is a text or a list of messages, not {short(value)}")
    drafts = [_draft(message, folder) for message in value]
    role = drafts[-1][0]
    if role not in ("user", "tool"):
        raise RowError(f"the last message is the {role}'s: a prompt ends with what is asked of the assistant")
    return _placed(drafts, images)


def read_conversation(value: object, images: Sequence[StoredImage], folder: Path) -> tuple[StoredMessage, ...]:
    """The same for a conversation to imitate, which ends with the assistant's message. Raises `RowError`."""
    if not isinstance(value, list) or not value:
        raise RowError(f"`messages` is a list of chat messages, not {short(value)}")
    drafts = [_draft(message, folder) for message in value]
    for message in value:
        _check_trained(message)
    if drafts[-1][0] != "assistant":
        raise RowError(f"the last message is the {drafts[-1][0]}'s: a demonstration ends with what the assistant says")
    if any(role == "assistant" and not all(isinstance(part, str) for part in parts) for role, parts, _ in drafts):
        raise RowError("an image in an assistant's message: the policy writes text alone")
    if any(role == "assistant" and not parts and not calls for role, parts, calls in drafts):
        raise RowError("an assistant's message without a text and without a tool call")
    return _placed(drafts, images)


def _placed(drafts: list[tuple[Role, list[_Part], tuple[ToolCall, ...]]], images: Sequence[StoredImage]) -> tuple[StoredMessage, ...]:
    roles = [role for role, _, _ in drafts]
    if not any(isinstance(part, str) and part.strip() for _, parts, _ in drafts for part in parts):
        raise RowError("the prompt is empty")
    if images and not any(isinstance(part, _NextImage) for _, parts, _ in drafts for part in parts):
        if "user" not in roles:
            raise RowError(f"no user message that the images could stand in: mark their places with {PLACEHOLDER}")
        drafts[roles.index("user")][1][:0] = [_NextImage() for _ in images]
    return _filled(drafts, images)


def read_recorded(value: object, images: Sequence[StoredImage], folder: Path, read: ReadImage = read_image) -> tuple[StoredMessage, ...]:
    """The messages of a conversation that was had, each text as it is, special tokens included; a mere text is the user's.

    `images` stand at `<image>` where the user's and tools' texts mark as many places as there are images, else ahead of the first user
    text. `read` reads the images that stand in the messages themselves. Raises `RowError`.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list | tuple):
        raise RowError(f"a conversation is a text or a list of messages, not {short(value)}")
    drafts = [_recorded(message, folder, read) for message in value]
    given = [place for place, (role, _, _) in enumerate(drafts) if role in ("user", "tool")]
    open_places = sum(isinstance(part, _NextImage) for _, parts, _ in drafts for part in parts)
    marked = sum(part.count(PLACEHOLDER) for place in given for part in drafts[place][1] if isinstance(part, str))
    if images and open_places + marked == len(images):
        for place in given:
            role, parts, calls = drafts[place]
            drafts[place] = role, [new for part in parts for new in (_split(part) if isinstance(part, str) else [part])], calls
    elif images and not open_places and given:
        drafts[given[0]][1][:0] = [_NextImage() for _ in images]
    return _filled(drafts, images)


def _recorded(message: object, folder: Path, read: ReadImage) -> tuple[Role, list[_Part], tuple[ToolCall, ...]]:
    role, calls = _role(message), _tool_calls(message.get("tool_calls")) if isinstance(message, Mapping) else ()
    content = message.get("content") if isinstance(message, Mapping) else None
    if content is None or isinstance(content, str):
        return role, _whole(content or ""), calls
    if isinstance(content, list):
        return role, [part for item in content for part in _item_parts(item, folder, _whole, read)], calls
    raise RowError(f"a message's content is a text or a list of parts, not {short(content)}")


def _whole(text: str) -> list[_Part]:
    return [text] if text else []


def _filled(drafts: list[tuple[Role, list[_Part], tuple[ToolCall, ...]]], images: Sequence[StoredImage]) -> tuple[StoredMessage, ...]:
    places = sum(isinstance(part, _NextImage) for _, parts, _ in drafts for part in parts)
    if places != len(images):
        raise RowError(f"{places} {PLACEHOLDER} in the prompt, but {len(images)} images in the row")
    left = iter(images)
    return tuple(
        StoredMessage(role, tuple(next(left) if isinstance(part, _NextImage) else part for part in parts), calls)
        for role, parts, calls in drafts
    )


def _draft(message: object, folder: Path) -> tuple[Role, list[_Part], tuple[ToolCall, ...]]:
    role = _role(message)
    assert isinstance(message, Mapping)
    calls = _tool_calls(message.get("tool_calls"))
    parts = _parts(message.get("content"), folder, may_be_empty=bool(calls))
    return role, [*_thinking(message, parts), *parts], calls


def _thinking(message: Mapping[str, object], parts: Sequence[_Part]) -> list[_Part]:
    """What `reasoning_content` says, as chat templates write it ahead of the content."""
    thought = message.get("reasoning_content")
    if not thought:
        return []
    if not isinstance(thought, str):
        raise RowError(f"a message's reasoning_content is a text, not {short(thought)}")
    if any(isinstance(part, str) and "</think>" in part for part in parts):
        raise RowError("a message thinks in its content, <think>, and in reasoning_content: leave one of them out")
    return _text_parts(f"<think>\n{thought.strip()}\n</think>\n\n")


def _check_trained(message: object) -> None:
    """All that the assistant says is trained on, and nothing else."""
    assert isinstance(message, Mapping)
    trained = message["role"] == "assistant"
    for key in ("weight", "loss", "train"):
        if message.get(key) not in (None, trained):
            raise RowError(
                f"{key}={message[key]!r} of the {message['role']}'s message: every message of the assistant is trained on and no other; "
                f"end the conversation earlier, or take `{key}` out"
            )


def _role(message: object) -> Role:
    if not isinstance(message, Mapping):
        raise RowError(f"a message is a record with role and content, not {short(message)}")
    role: object = message.get("role")
    for known in get_args(Role):
        if role == known:
            return cast(Role, known)
    if "from" in message and role is None:
        raise RowError("a message has role and content, not from and value: rename them; human is user, gpt is assistant")
    raise RowError(f"role {role!r} is none of {', '.join(ROLES)}")


def _parts(content: object, folder: Path, *, may_be_empty: bool) -> list[_Part]:
    if content is None and may_be_empty:
        return []
    if isinstance(content, str):
        return _text_parts(content)
    if isinstance(content, list):
        return [part for item in content for part in _item_parts(item, folder, _text_parts, read_image)]
    raise RowError(f"a message's content is a text or a list of parts, not {short(content)}")


def _item_parts(item: object, folder: Path, text_parts: TextParts, read: ReadImage) -> list[_Part]:
    """A part in the notation of OpenAI or Qwen. Tables fill the keys that a part does not have with null."""
    if isinstance(item, str):
        return text_parts(item)
    filled = {key: value for key, value in item.items() if value is not None} if isinstance(item, Mapping) else {}
    kind = filled.get("type") or next((key for key in ("text", "image", "image_url") if key in filled), None)
    if kind == "text" and isinstance(filled.get("text"), str):
        return text_parts(filled["text"])
    if kind in ("image", "image_url"):
        value = filled.get("image", filled.get("image_url"))
        if isinstance(value, Mapping) and "url" in value:
            value = value["url"]
        return [_NextImage() if value is None else read(value, folder)]
    raise RowError(f"a part of a message has type text, image or image_url, not {short(item)}")


def _text_parts(text: str) -> list[_Part]:
    for token in SPECIAL:
        if token in text:
            raise RowError(f"the text contains the special token {token}; where an image stands, write {PLACEHOLDER}")
    return _split(text)


def _split(text: str) -> list[_Part]:
    parts: list[_Part] = []
    for place, piece in enumerate(text.split(PLACEHOLDER)):
        parts += [_NextImage()] if place else []
        parts += [piece] if piece else []
    return parts


def _tool_calls(value: object) -> tuple[ToolCall, ...]:
    if not value:
        return ()
    if not isinstance(value, list):
        raise RowError(f"tool_calls is a list, not {short(value)}")
    return tuple(_tool_call(call) for call in value)


def _tool_call(value: object) -> ToolCall:
    function = value.get("function", value) if isinstance(value, Mapping) else {}
    name, arguments = (function.get("name"), function.get("arguments")) if isinstance(function, Mapping) else (None, None)
    if isinstance(arguments, str):
        arguments = _json_object(arguments)
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise RowError(f"a tool call has a name and arguments, not {short(value)}")
    return ToolCall(name, dict(arguments))


def _json_object(text: str) -> Mapping[str, Json] | None:
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None
