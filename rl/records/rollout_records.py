"""Rollouts as readable records: one JSON object a rollout, images beside them as PNG files named by their pixels."""

import hashlib
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Literal, TypeAlias

import PIL.Image
from pydantic import JsonValue, TypeAdapter

from rewards.answer import split_response
from rewards.mixture import graded_by, spec_of
from rewards.outcome import Grade, Outcome, Ungraded
from rl.records.json_lines import read_lines, replace_bytes, replace_lines
from rollouts.rollout import Given, Rollout, Sampled, Segment
from tasks.message import ImagePart, Message
from tasks.stored_target import stored_target

IMAGES = "images"
Decode: TypeAlias = Callable[[Sequence[int]], str]
MaskKind: TypeAlias = Literal["given", "sampled"]


@dataclass(frozen=True, slots=True)
class PartRecord:
    """Text, or the file name of an image below `rollouts/images/`; the other one is None."""

    text: str | None = None
    image: str | None = None


@dataclass(frozen=True, slots=True)
class MessageRecord:
    role: str
    parts: tuple[PartRecord, ...]
    tool_calls: tuple[JsonValue, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """`text` is what the token ids say, special tokens included; runs of an image's placeholder are shortened to `<token>×count`."""

    kind: MaskKind
    text: str
    num_tokens: int
    messages: tuple[MessageRecord, ...]
    policy_version: int | None = None


@dataclass(frozen=True, slots=True)
class RolloutRecord:
    """One graded rollout of a batch.

    `mask` is the mask of the loss, run by run: `[["given", 31], ["sampled", 54]]`. Exactly one of `reward` and `ungraded` is None.
    `advantage` is None when the rollout was no part of the update. `graded_by` says which reward, version and settings made the grade.
    """

    step: int
    problem_id: str
    task: str
    index: int
    target: dict[str, JsonValue]
    segments: tuple[SegmentRecord, ...]
    thinking: str
    answer_text: str
    mask: tuple[tuple[MaskKind, int], ...]
    status: str
    policy_version: int | None
    reward: float | None
    verdict: bool | None
    extracted: str | None
    parts: dict[str, float]
    ungraded: str | None
    ungraded_detail: str
    advantage: float | None
    graded_by: dict[str, JsonValue] = field(default_factory=dict)
    executed_calls: tuple[JsonValue, ...] = ()
    failed_calls: tuple[str, ...] = ()
    expected_calls: int | None = None

    @property
    def images(self) -> tuple[str, ...]:
        """Names of all images, in order."""
        return tuple(p.image for s in self.segments for m in s.messages for p in m.parts if p.image is not None)


@dataclass(frozen=True, slots=True)
class RecordedRollout:
    """What a record is made of."""

    rollout: Rollout
    outcome: Outcome
    advantage: float | None = None


_ADAPTER = TypeAdapter(RolloutRecord)
_PLACEHOLDER_RUN = re.compile(r"(<\|[a-z_]+\|>)\1{3,}")


def write_rollouts(path: Path, step: int, rollouts: Iterable[RecordedRollout], decode: Decode) -> None:
    """Writes the records of a step with their images; `decode` turns token ids to text, special tokens kept."""
    images = path.parent / IMAGES
    records = [_record(step, recorded, decode, images) for recorded in rollouts]
    replace_lines(path, (_ADAPTER.dump_json(record) for record in records))


def read_rollouts(path: Path) -> Iterator[RolloutRecord]:
    """The records of one file, in the order they were written; a half last line is left out."""
    return (_ADAPTER.validate_json(line) for line in read_lines(path))


def _record(step: int, recorded: RecordedRollout, decode: Decode, images: Path) -> RolloutRecord:
    rollout, outcome = recorded.rollout, recorded.outcome
    grade = outcome if isinstance(outcome, Grade) else None
    ungraded = outcome if isinstance(outcome, Ungraded) else None
    response = split_response(rollout.turns[-1].message.text if rollout.turns else "")
    return RolloutRecord(
        step=step,
        problem_id=rollout.problem.id,
        task=rollout.problem.source,
        index=rollout.index,
        target=stored_target(rollout.problem.target),
        segments=tuple(_segment(segment, decode, images) for segment in rollout.segments),
        thinking=response.thinking,
        answer_text=response.answer or "",
        mask=tuple(("sampled" if sampled else "given", len(tuple(run))) for sampled, run in groupby(rollout.sampled_mask)),
        status=rollout.status,
        policy_version=rollout.policy_version if rollout.turns else None,
        reward=grade.reward if grade else None,
        verdict=grade.verdict if grade else None,
        extracted=grade.answer if grade else None,
        parts=dict(grade.parts) if grade else {},
        ungraded=ungraded.reason if ungraded else None,
        ungraded_detail=ungraded.detail if ungraded else "",
        advantage=recorded.advantage,
        graded_by=graded_by(spec_of(rollout.problem.reward)),
        executed_calls=tuple(
            {"name": ran.call.name, "arguments": _jsonable(ran.call.arguments), "ok": ran.ok, "seconds": ran.seconds}
            for ran in rollout.executed_calls
        ),
        failed_calls=rollout.failed_calls,
        expected_calls=rollout.problem.expected_calls,
    )


def _segment(segment: Segment, decode: Decode, images: Path) -> SegmentRecord:
    text = _PLACEHOLDER_RUN.sub(lambda run: f"{run[1]}×{len(run[0]) // len(run[1])}", decode(segment.token_ids))
    match segment:
        case Given():
            messages = tuple(_message(message, images) for message in segment.messages)
            return SegmentRecord("given", text, len(segment.token_ids), messages)
        case Sampled():
            return SegmentRecord("sampled", text, len(segment.token_ids), (_message(segment.message, images),), segment.policy_version)


def _message(message: Message, images: Path) -> MessageRecord:
    parts = tuple(
        PartRecord(image=_save_image(part.image, images)) if isinstance(part, ImagePart) else PartRecord(text=part.text)
        for part in message.parts
    )
    calls: list[JsonValue] = [{"name": call.name, "arguments": _jsonable(call.arguments)} for call in message.tool_calls]
    return MessageRecord(message.role, parts, tuple(calls))


def _save_image(image: PIL.Image.Image, folder: Path) -> str:
    """The name of the file that holds these pixels; it is written when there is none yet."""
    pixels = hashlib.sha256(f"{image.mode} {image.size} ".encode() + image.tobytes())
    name = f"{pixels.hexdigest()[:32]}.png"
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        image.save(buffer, format="PNG")
        replace_bytes(folder / name, buffer.getvalue())
    return name


def _jsonable(value: object) -> JsonValue:
    dumped: JsonValue = TypeAdapter(object).dump_python(value, mode="json")
    return dumped
