"""Trying a reward before it is trusted: hostile inputs, gold answers, purity, time.

Every call runs in a reward worker, under the limits of a run.
"""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rewards.grading import Timed
from rewards.isolation import Call, RewardPool
from rewards.offline.gold import GOLD, GoldAnswer, forms, hostile
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.registry import Reward
from rewards.transcript import Transcript
from tasks.message import text_message
from tasks.problem import MissingTarget, Target

Level = Literal["ok", "note", "fail"]
BROKEN = frozenset({"exception", "bad-return", "not-finite", "timeout", "crash", "memory", "plug-in"})
REPEATS = 3


@dataclass(frozen=True, slots=True)
class Finding:
    level: Level
    check: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What was found out about a reward. `median_s` and `worst_s` are of one call, None when none was measured."""

    reward: str
    findings: tuple[Finding, ...]
    median_s: float | None
    worst_s: float | None

    @property
    def failed(self) -> bool:
        return any(finding.level == "fail" for finding in self.findings)


async def preflight(entry: Reward, pool: RewardPool, golds: Mapping[type, GoldAnswer] = GOLD) -> Preflight:
    """`golds` holds an example of each kind of target."""
    if entry.is_async:
        return Preflight(entry.name, (Finding("note", "not called", "an asynchronous reward may ask a server"),), None, None)
    findings: list[Finding] = []
    seconds: list[float] = []
    for target in _targets(entry, golds):
        gold = golds.get(type(target))
        tried = await _try(pool, entry, target, hostile(gold))
        findings += _broken(tried)
        if gold is not None and entry.targets:
            right = await _try(pool, entry, target, {form: form for answer in (gold.right, *gold.also) for form in forms(answer)})
            wrong = await _try(pool, entry, target, {form: form for form in forms(gold.wrong)})
            findings += [*_broken(right), *_pays(gold, right, wrong, tried)]
            tried |= right | wrong
        findings += await _purity(pool, entry, target, hostile(gold), tried)
        seconds += [timed.seconds for timed in tried.values() if timed.seconds is not None]
    if entry.targets:
        findings += await _missing_target(pool, entry)
    known = [target for target in entry.targets if target in golds]
    if entry.targets and not known:
        names = ", ".join(target.__name__ for target in entry.targets)
        findings.append(Finding("note", "gold answers", f"there is no example of {names}: score a file of your own with rewards.score"))
    return Preflight(entry.name, tuple(findings), statistics.median(seconds) if seconds else None, max(seconds, default=None))


def _targets(entry: Reward, golds: Mapping[type, GoldAnswer]) -> Sequence[Target]:
    if not entry.targets:
        return (golds[next(iter(golds))].target,)
    return [golds[kind].target for kind in entry.targets if kind in golds]


async def _try(pool: RewardPool, entry: Reward, target: Target, responses: Mapping[str, str | None]) -> dict[str, Timed]:
    calls = [_call(entry, target, text) for text in responses.values()]
    found = await pool.break_down(calls)
    return {name: breakdown.components[entry.name] for name, breakdown in zip(responses, found, strict=True)}


def _call(entry: Reward, target: Target, response: str | None) -> Call:
    said = () if response is None else (text_message("assistant", response),)
    return entry.name, target, Transcript((text_message("user", "What is it?"),), said)


def _broken(tried: dict[str, Timed]) -> Iterator[Finding]:
    """Calls that ended in no grade and no reason of the reward's own."""
    for name, timed in tried.items():
        if isinstance(timed.outcome, Ungraded) and timed.outcome.reason in BROKEN:
            yield Finding("fail", f"input: {name[:60]}", f"{timed.outcome.reason}: {timed.outcome.detail}")


def _pays(gold: GoldAnswer, right: dict[str, Timed], wrong: dict[str, Timed], tried: dict[str, Timed]) -> Iterator[Finding]:
    full, low = _best(right), _best(wrong)
    if full is None or full <= 0 or (low is not None and low >= full):
        shown = "nothing" if full is None else f"{full:g}"
        yield Finding("fail", "gold answer", f"{gold.right!r} earns {shown} in its best form, the wrong {gold.wrong!r} {low}")
        return
    yield Finding("ok", "gold answer", f"{gold.right[:40]!r} earns {full:g}, {gold.wrong[:40]!r} {low if low is not None else 0:g}")
    for name in gold.unpaid:
        outcome = tried[name].outcome
        if isinstance(outcome, Grade) and outcome.reward >= full:
            yield Finding("fail", f"pays for: {name}", f"{outcome.reward:g}, as much as for the right answer")


def _best(tried: dict[str, Timed]) -> float | None:
    return max((timed.outcome.reward for timed in tried.values() if isinstance(timed.outcome, Grade)), default=None)


async def _purity(
    pool: RewardPool, entry: Reward, target: Target, named: Mapping[str, str | None], tried: dict[str, Timed]
) -> list[Finding]:
    """The same calls again, in the opposite order: a reward that remembers or rolls dice says something else."""
    kept = {name: timed.outcome for name, timed in tried.items() if not _is_broken(timed.outcome)}
    if not kept:
        return [Finding("note", "purity", "not tried: no call gave a grade")]
    texts = dict(named) | {name: name for name in kept if name not in named}
    for _ in range(REPEATS - 1):
        names = list(reversed(kept))
        again = await pool.grade_many([_call(entry, target, texts[name]) for name in names])
        for name, outcome in zip(names, again, strict=True):
            if _value(outcome) != _value(kept[name]):
                detail = f"input {name[:40]!r}: first {_value(kept[name])}, then {_value(outcome)}"
                return [Finding("fail", "purity", f"the same answer gets different grades; {detail}")]
    return [Finding("ok", "purity", f"{len(kept)} calls, {REPEATS} times each")]


async def _missing_target(pool: RewardPool, entry: Reward) -> list[Finding]:
    outcome = await pool.grade(*_call(entry, MissingTarget(), "42"))
    right = isinstance(outcome, Ungraded)
    return [Finding("ok" if right else "fail", "no gold answer", "ungraded" if right else f"graded: {outcome}")]


def _is_broken(outcome: Outcome) -> bool:
    return isinstance(outcome, Ungraded) and outcome.reason in BROKEN


def _value(outcome: Outcome) -> tuple[float, bool | None] | str:
    return (outcome.reward, outcome.verdict) if isinstance(outcome, Grade) else outcome.reason
