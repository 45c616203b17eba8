"""The settings of a judge, checked."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, TypeAlias, TypeVar, cast, get_args

from rewards.errors import RewardError, unknown
from tasks.message import Json

Mode: TypeAlias = Literal["live", "record", "replay", "replay_strict"]
Aggregate: TypeAlias = Literal["mean", "majority"]
Weights: TypeAlias = tuple[tuple[str, float], ...]
T = TypeVar("T")

MEMBER_KEYS = (
    "model", "base_url", "api_key_env", "template", "parser", "send_images", "temperature", "max_tokens", "structured", "extra_body",
    "pass_at", "weights",
)  # fmt: skip
"""Settings that each of several judges may have of its own."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """`extra_body` is a JSON object of what else goes into each request, such as `chat_template_kwargs`."""

    temperature: float
    max_tokens: int
    structured: bool
    extra_body: str = "{}"


@dataclass(frozen=True, slots=True)
class Limits:
    """`attempts` a request at the most, each of `request_timeout_s`. All are for this process; 0 is no bound for those that may be 0."""

    concurrency: int
    attempts: int
    request_timeout_s: float
    requests_per_minute: int
    tokens_per_minute: int
    max_calls: int
    max_total_tokens: int


@dataclass(frozen=True, slots=True)
class Member:
    """One model at one endpoint under one template. `pass_at` and `weights` take the place of the template's where they are given."""

    model: str
    base_url: str
    api_key_env: str
    template: str
    parser: str
    send_images: bool
    sampling: Sampling
    pass_at: float | None
    weights: Weights


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Raises `RewardError` for settings that cannot be served."""

    members: tuple[Member, ...]
    samples: int
    aggregate: Aggregate
    controls: bool
    mode: Mode
    record: str
    limits: Limits

    def __post_init__(self) -> None:
        limits = self.limits
        if self.mode not in get_args(Mode):
            raise unknown("mode of reward 'judge':", self.mode, get_args(Mode))
        if self.aggregate not in get_args(Aggregate):
            raise unknown("aggregate of reward 'judge':", self.aggregate, get_args(Aggregate))
        if self.mode != "live" and not self.record:
            raise RewardError(f"reward 'judge': mode={self.mode} needs record=path/to/record.sqlite")
        if min(limits.concurrency, limits.attempts, self.samples) < 1 or limits.request_timeout_s <= 0:
            raise RewardError("reward 'judge': concurrency, attempts, samples and request_timeout_s must be above 0")
        if min(limits.max_calls, limits.max_total_tokens, limits.requests_per_minute, limits.tokens_per_minute) < 0:
            raise RewardError("reward 'judge': max_calls, max_total_tokens, requests_per_minute and tokens_per_minute must not be below 0")
        for member in self.members:
            self._check(member)

    def _check(self, member: Member) -> None:
        if not member.model:
            raise RewardError("reward 'judge': set model=... to the name of the judge model")
        if self.asks and not member.base_url:
            raise RewardError("reward 'judge': set base_url=... to an OpenAI-compatible endpoint, such as http://localhost:8000/v1")
        if member.sampling.max_tokens < 1 or member.sampling.temperature < 0:
            raise RewardError("reward 'judge': max_tokens must be above 0, and temperature not below")
        if self.samples > 1 and member.sampling.temperature == 0:
            raise RewardError(f"reward 'judge': samples={self.samples} at temperature=0 is one reply many times; raise temperature")

    @property
    def asks(self) -> bool:
        """Whether the server may be asked at all."""
        return self.mode in ("live", "record")

    @property
    def record_path(self) -> Path:
        return Path(self.record)


def read_settings(values: Mapping[str, Json]) -> JudgeSettings:
    """From the keyword arguments of the reward `judge`, all of them. Raises `RewardError`."""
    shared = {key: values[key] for key in MEMBER_KEYS}
    listed = values["judges"]
    if listed is not None and (not isinstance(listed, list) or not listed or not all(isinstance(entry, dict) for entry in listed)):
        raise RewardError("reward 'judge': judges is a list of settings, such as [{model: a}, {model: b, template: reference_yes_no}]")
    entries = cast("list[dict[str, Json]]", listed or [{}])
    limits = Limits(**{field.name: values[field.name] for field in fields(Limits)})  # type: ignore[arg-type]
    return JudgeSettings(
        members=tuple(_member(shared, entry) for entry in entries),
        samples=cast(int, values["samples"]),
        aggregate=cast(Aggregate, values["aggregate"]),
        controls=cast(bool, values["controls"]),
        mode=cast(Mode, values["mode"]),
        record=cast(str, values["record"]),
        limits=limits,
    )


def _member(shared: Mapping[str, Json], entry: Mapping[str, Json]) -> Member:
    for key, value in entry.items():
        if key not in MEMBER_KEYS:
            raise unknown("setting in judges of reward 'judge':", key, MEMBER_KEYS)
        if shared[key] is not None:
            _of(type(shared[key]), value, key)
    values = {**shared, **entry}
    extra, weights, pass_at = values["extra_body"], values["weights"], values["pass_at"]
    if not isinstance(extra, dict | None):
        raise RewardError(f"reward 'judge': extra_body is {extra!r}; it is a mapping, such as {{chat_template_kwargs: ...}}")
    if not isinstance(weights, dict | None):
        raise RewardError(f"reward 'judge': weights is {weights!r}; it is a mapping from criterion to number")
    return Member(
        model=_of(str, values["model"], "model"),
        base_url=_of(str, values["base_url"], "base_url"),
        api_key_env=_of(str, values["api_key_env"], "api_key_env"),
        template=_of(str, values["template"], "template"),
        parser=_of(str, values["parser"], "parser"),
        send_images=_of(bool, values["send_images"], "send_images"),
        sampling=Sampling(
            temperature=_of(float, values["temperature"], "temperature"),
            max_tokens=_of(int, values["max_tokens"], "max_tokens"),
            structured=_of(bool, values["structured"], "structured"),
            extra_body=json.dumps(extra or {}, sort_keys=True, ensure_ascii=False),
        ),
        pass_at=None if pass_at is None else _of(float, pass_at, "pass_at"),
        weights=tuple((name, _of(float, weight, f"weights.{name}")) for name, weight in (weights or {}).items()),
    )


def _of(kind: type[T], value: Json, key: str) -> T:
    taken = (int, float) if kind is float else (kind,)
    if not isinstance(value, taken) or (isinstance(value, bool) and kind is not bool):
        raise RewardError(f"reward 'judge': {key} is {value!r}; it takes a {kind.__name__}")
    return cast(T, float(value) if kind is float else value)  # type: ignore[arg-type]
