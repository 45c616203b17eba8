"""What the judge model said, as the server gave it and as the record holds it."""

import json
from dataclasses import asdict, dataclass


class GarbageReplyError(ValueError):
    """The server answered with something that is no chat completion."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The token counts are the server's; 0 when it reports none."""

    content: str
    refusal: str = ""
    finish_reason: str = "stop"
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Reply":
        """Raises `ValueError` for anything that `to_json` does not write."""
        fields = json.loads(text)
        kinds = {"content": str, "refusal": str, "finish_reason": str, "prompt_tokens": int, "completion_tokens": int}
        if not isinstance(fields, dict) or set(fields) != set(kinds) or any(type(fields[name]) is not kinds[name] for name in kinds):
            raise ValueError(f"a reply has the fields {', '.join(kinds)}; this is {text[:100]!r}")
        return cls(**fields)


def read_completion(body: str) -> Reply:
    """The first choice of a chat completion. Raises `GarbageReplyError`."""
    try:
        completion = json.loads(body)
        choice = completion["choices"][0]
        message = choice["message"]
        content, refusal, finish = message.get("content"), message.get("refusal"), choice.get("finish_reason")
        usage = completion.get("usage") or {}
        counted = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise GarbageReplyError(f"{type(error).__name__} in {body[:200]!r}") from error
    if not all(value is None or isinstance(value, str) for value in (content, refusal, finish)):
        raise GarbageReplyError(f"content, refusal or finish_reason is no text in {body[:200]!r}")
    sent, received = (count if type(count) is int and count >= 0 else 0 for count in counted)
    return Reply(content or "", refusal or "", finish or "stop", sent, received)
