"""What the judge model said, as the server gave it and as the record holds it."""

import json
from dataclasses import asdict, dataclass


class GarbageReplyError(ValueError):
    """The server answered with something that is no chat completion."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`tokens` counts prompt and completion as the server reports them; 0 when it reports none."""

    content: str
    refusal: str = ""
    finish_reason: str = "stop"
    tokens: int = 0

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Reply":
        """Raises `ValueError` for anything that `to_json` does not write."""
        fields = json.loads(text)
        kinds = {"content": str, "refusal": str, "finish_reason": str, "tokens": int}
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
        tokens = (completion.get("usage") or {}).get("total_tokens")
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise GarbageReplyError(f"{type(error).__name__} in {body[:200]!r}") from error
    if not all(value is None or isinstance(value, str) for value in (content, refusal, finish)):
        raise GarbageReplyError(f"content, refusal or finish_reason is no text in {body[:200]!r}")
    counted = tokens if type(tokens) is int and tokens >= 0 else 0
    return Reply(content or "", refusal or "", finish or "stop", counted)
