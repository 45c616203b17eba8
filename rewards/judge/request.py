"""One question to the judge in canonical form: equal requests have equal keys, on any machine and at any time."""

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import PIL.Image

from rewards.judge.verdict import MAX_POINTS, ScaleName
from tasks.message import Json

Body: TypeAlias = dict[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class JudgeRequest:
    """`structured` asks the server for JSON of the scale's schema. `sample` tells repeated askings apart; it is also the seed."""

    model: str
    system: str
    user: str
    images: tuple[PIL.Image.Image, ...]
    temperature: float
    max_tokens: int
    structured: bool
    scale: ScaleName
    template_version: str
    sample: int

    def canonical(self) -> str:
        """JSON with sorted names; an image stands as the hash of its pixels, so that no encoder's version changes the key."""
        pictures: list[Json] = [{"type": "image", "sha256": pixel_hash(image)} for image in self.images]
        fields: Body = {
            "model": self.model,
            "messages": _messages(self, pictures),
            "sampling": {"temperature": float(self.temperature), "max_tokens": self.max_tokens, "structured": self.structured},
            "template": self.template_version,
            "sample": self.sample,
        }
        return json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    def body(self, structured: bool) -> Body:
        """What goes over the wire."""
        pictures: list[Json] = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in self.images]
        body: Body = {
            "model": self.model,
            "messages": _messages(self, pictures),
            "temperature": self.temperature,
            "max_tokens": self.max_tokens,
            "seed": self.sample,
        }
        return {**body, "response_format": _schema(self.scale)} if structured else body


def key_of(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()


def pixel_hash(image: PIL.Image.Image) -> str:
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes()).hexdigest()


def data_url(image: PIL.Image.Image) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _messages(request: JudgeRequest, pictures: list[Json]) -> list[Json]:
    content: Json = [*pictures, {"type": "text", "text": request.user}] if pictures else request.user
    return [{"role": "system", "content": request.system}, {"role": "user", "content": content}]


def _schema(scale: ScaleName) -> Json:
    score: Mapping[ScaleName, Json] = {
        "points": {"type": "number", "minimum": 0, "maximum": MAX_POINTS},
        "yes_no": {"type": "string", "enum": ["yes", "no"]},
    }
    properties: Json = {"reason": {"type": "string"}, "score": score[scale]}
    schema: Json = {"type": "object", "properties": properties, "required": ["reason", "score"], "additionalProperties": False}
    return {"type": "json_schema", "json_schema": {"name": "judgement", "strict": True, "schema": schema}}
