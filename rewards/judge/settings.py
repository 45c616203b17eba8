"""The settings of a judge, checked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias, get_args

from rewards.errors import RewardError, unknown

Mode: TypeAlias = Literal["live", "record", "replay", "replay_strict"]


@dataclass(frozen=True, slots=True)
class Sampling:
    temperature: float
    max_tokens: int
    structured: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """`attempts` a request at the most, each of `timeout_s`. `max_calls` and `max_total_tokens` bound this process; 0 is no bound."""

    concurrency: int
    attempts: int
    timeout_s: float
    max_calls: int
    max_total_tokens: int


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """Raises `RewardError` for settings that cannot be served."""

    model: str
    base_url: str
    template: str
    mode: Mode
    record: str
    send_images: bool
    sampling: Sampling
    limits: Limits

    def __post_init__(self) -> None:
        if self.mode not in get_args(Mode):
            raise unknown("mode of reward 'judge':", self.mode, get_args(Mode))
        if not self.model:
            raise RewardError("reward 'judge': set model=... to the name of the judge model")
        if self.asks and not self.base_url:
            raise RewardError("reward 'judge': set base_url=... to an OpenAI-compatible endpoint, such as http://localhost:8000/v1")
        if self.mode != "live" and not self.record:
            raise RewardError(f"reward 'judge': mode={self.mode} needs record=path/to/record.sqlite")
        if min(self.limits.concurrency, self.limits.attempts, self.sampling.max_tokens) < 1 or self.limits.timeout_s <= 0:
            raise RewardError("reward 'judge': concurrency, attempts, max_tokens and request_timeout_s must be above 0")
        if min(self.limits.max_calls, self.limits.max_total_tokens, self.sampling.temperature) < 0:
            raise RewardError("reward 'judge': max_calls, max_total_tokens and temperature must not be below 0")

    @property
    def asks(self) -> bool:
        """Whether the server may be asked at all."""
        return self.mode in ("live", "record")

    @property
    def record_path(self) -> Path:
        return Path(self.record)
