"""One question to the judge in canonical form: equal requests have equal keys, on any machine and at any time."""

import base64
import hashlib
import io
import json
from dataclasses import dataclass
from typing import TypeAlias

import PIL.Image

from rewards.judge.settings import Sampling
from rewards.judge.template import Prompt
from tasks.message import Json

Body: TypeAlias = dict[str, Json]


@dataclass(frozen=True, slots=True, eq=False)
class JudgeRequest:
    """`sample` tells repeated askings apart; it is also the seed."""

    model: str
    prompt: Prompt
    images: tuple[PIL.Image.Image, ...]
    sampling: Sampling
    template_version: str
    sample: int

    def canonical(self) -> str:
        """JSON with sorted names; an image stands as the hash of its pixels, so that no encoder's version changes the key."""
        pictures: list[Json] = [{"type": "image", "sha256": pixel_hash(image)} for image in self.images]
        sampling = self.sampling
        form = self.prompt.form
        fields: Body = {
            "model": self.model,
            "messages": self._messages(pictures),
            "sampling": {
                "temperature": float(sampling.temperature),
                "max_tokens": sampling.max_tokens,
                "structured": sampling.structured,
                "extra_body": json.loads(sampling.extra_body),
            },
            "form": {"scale": form.scale, "fields": list(form.fields)},
            "template": self.template_version,
            "sample": self.sample,
        }
        return canonical_json(fields)

    def body(self, structured: bool) -> Body:
        """What goes over the wire."""
        pictures: list[Json] = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in self.images]
        body: Body = {
            "model": self.model,
            "messages": self._messages(pictures),
            "temperature": self.sampling.temperature,
            "max_tokens": self.sampling.max_tokens,
            "seed": self.sample,
            **json.loads(self.sampling.extra_body),
        }
        return {**body, "response_format": self.prompt.form.response_format()} if structured else body

    @property
    def text(self) -> str:
        return self.prompt.system + self.prompt.user

    def _messages(self, pictures: list[Json]) -> list[Json]:
        numbered: list[Json] = []
        for number, picture in enumerate(pictures, 1):
            numbered += [{"type": "text", "text": f"Image {number}:"}, picture]
        content: Json = [*numbered, {"type": "text", "text": self.prompt.user}] if pictures else self.prompt.user
        return [{"role": "system", "content": self.prompt.system}, {"role": "user", "content": content}]


def canonical_json(value: Json) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def key_of(canonical: str) -> str:
    return hashlib.sha256(canonical.encode()).hexdigest()


def pixel_hash(image: PIL.Image.Image) -> str:
    rgb = image.convert("RGB")
    return hashlib.sha256(f"{rgb.width}x{rgb.height}:".encode() + rgb.tobytes()).hexdigest()


def data_url(image: PIL.Image.Image) -> str:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
