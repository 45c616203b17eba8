"""The preflight of rewards: `python -m rewards.check my_rewards.py:my_reward`."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue
from rich.table import Table
from rich.text import Text

from rewards.command_line import Arguments, OneOrMore, plain_console, run
from rewards.errors import RewardError
from rewards.isolation import RewardPool
from rewards.mixture import spec_of
from rewards.offline.gold import GOLD, GoldAnswer
from rewards.offline.output import replace_text
from rewards.offline.preflight import Level, Preflight, preflight
from rewards.offline.targets import target_kind
from rewards.plugins import load_plugin
from rewards.registry import Reward, all_rewards, find, registered_from
from tasks.gold import read_target

GRAMMAR = """\
  python -m rewards.check                       every reward there is
  python -m rewards.check my.py                 the rewards of a file
  python -m rewards.check my.py:my_reward       one of them
  python -m rewards.check math timeout_s=2      a reward by name
  python -m rewards.check my.py:rhyme 'gold={target: rain, right: pain, wrong: sun}'      with an example of its own

Exit code: 0 passed, 1 a check failed, 2 the reward cannot be loaded.
"""
MARKS: Mapping[Level, Text] = {"ok": Text("ok"), "note": Text("note", "yellow"), "fail": Text("FAIL", "red")}


class CheckArguments(Arguments):
    what: str | None = Field(None, description="a plug-in (path/to/file.py[:name], package.module) or a reward's name")
    rewards: OneOrMore = Field((), description="further plug-ins")
    gold: dict[str, JsonValue] | None = Field(
        None, description="an example of your own: gold.target=..., gold.right=<answer>, gold.wrong=<answer>"
    )
    timeout_s: Annotated[float, Field(gt=0)] = Field(10.0, description="seconds a call may take")
    memory_mib: Annotated[int, Field(ge=1)] = Field(1024, description="MiB that a call may allocate")
    out: Path | None = Field(None, description="where the findings go as JSON")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 passed, 1 a check failed, 2 the request was wrong or a plug-in does not load."""
    return run(CheckArguments, GRAMMAR, _check, arguments, ("what",))


def _check(settings: CheckArguments) -> int:
    for plugin in settings.rewards:
        load_plugin(plugin)
    entries = _chosen(settings.what)
    golds = GOLD if settings.gold is None else _own_gold(entries, settings.gold)
    found = asyncio.run(_checked(entries, settings, golds))
    if settings.out is not None:
        replace_text(settings.out, json.dumps([asdict(result) for result in found], ensure_ascii=False, indent=2) + "\n")
    _print(found)
    return int(any(result.failed for result in found))


def _chosen(what: str | None) -> Sequence[Reward]:
    if what is None:
        return all_rewards()
    place, _, name = what.rpartition(":") if ":" in what else (what, "", "")
    if not place.endswith(".py") and "." not in place:
        return (find(what),)
    names = registered_from(load_plugin(what))
    entries = [find(known) for known in names]
    return [entry for entry in entries if not name or name in (entry.name, entry.function.__name__)]


def _own_gold(entries: Sequence[Reward], written: Mapping[str, JsonValue]) -> Mapping[type, GoldAnswer]:
    """Raises `RewardError`, and `RowError` for a target that the reward does not grade."""
    match written:
        case {"target": value, "right": str(right), "wrong": str(wrong), **more} if not more and len(entries) == 1:
            target = read_target(target_kind(spec_of(entries[0].name), entries) or "none", value, ())
            return {type(target): GoldAnswer(target, right, wrong)}
    raise RewardError("gold has target, right and wrong, the answers as texts, and is for one reward: name it, such as my.py:my_reward")


async def _checked(entries: Sequence[Reward], settings: CheckArguments, golds: Mapping[type, GoldAnswer]) -> list[Preflight]:
    async with RewardPool(1, settings.timeout_s, settings.memory_mib) as pool:
        return [await preflight(entry, pool, golds) for entry in entries]


def _print(found: Sequence[Preflight]) -> None:
    table = Table("reward", "", "check", "detail", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for result in found:
        level = MARKS["fail"] if result.failed else Text("ok", "green")
        speed = (
            ""
            if result.median_s is None or result.worst_s is None
            else f"{1e3 * result.median_s:.2f} ms, worst {1e3 * result.worst_s:.0f} ms"
        )
        table.add_row(result.reward, level, "time per call", speed)
        for finding in result.findings:
            table.add_row("", MARKS[finding.level], finding.check, finding.detail)
    plain_console().print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
