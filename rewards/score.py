"""Scores answers that are there already with any reward: `python -m rewards.score data=answers.jsonl reward=math out=scored.jsonl`."""

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field, JsonValue, field_validator
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from rewards.command_line import Arguments, OneOrMore, plain_console, run
from rewards.errors import RewardError
from rewards.isolation import RewardPool
from rewards.judge.budget import Spent, spent
from rewards.mixture import describe, spec_of
from rewards.offline.answers import AnswerReader, Rewards, Sample
from rewards.offline.output import ScoredFile
from rewards.offline.rollouts import RolloutReader, is_rollouts
from rewards.offline.scored import BAD_ROW, ScoredRow
from rewards.offline.scoring import score
from rewards.offline.summary import Summary
from rewards.plugins import load_plugin
from tasks.gold import TARGET_KINDS
from tasks.message import Json
from tasks.problem import RewardNotation
from tasks.table import BadRow, JsonLines, Table, open_table

GRAMMAR = """\
Every argument is key=value. A key is dotted, a value is YAML:
  python -m rewards.score data=answers.jsonl reward=math
  python -m rewards.score data=answers.parquet columns.response=output 'reward={math: 1, format: {weight: 0.2, gate: math}}'
  python -m rewards.score data=answers.jsonl 'by_source={gsm8k: math, refcoco: boxes}' columns.source=data_source
  python -m rewards.score data=runs/quickstart                          the rollouts of a run, by the rewards that graded them
  python -m rewards.score config=scoring.yaml data=other.jsonl
"""
SHOWN_BAD_ROWS = 5
STOPPED = "stopped; the same command goes on where it ended"
Component = float | dict[str, JsonValue]


class ScoreArguments(Arguments):
    data: OneOrMore = Field(description=".jsonl or .parquet files, hf:<dataset>[:<split>], or a run's folder; one, or a list")
    reward: str | dict[str, Component] | None = Field(None, description="a reward, or a mixture by component; a row's own comes first")
    by_source: dict[str, str | dict[str, Component]] = Field({}, description="rewards by the row's source, before `reward`")
    out: Path | None = Field(None, description="the scored file [beside the data, *.scored.jsonl]")
    rewards: OneOrMore = Field((), description="plug-ins: path/to/file.py[:name] or package.module")
    columns: dict[str, str] = Field({}, description="our field -> your column: id, prompt, response, target, images, tool_calls, ...")
    target: str | None = Field(None, description="what the target column holds; by default what the reward grades")
    workers: Annotated[int, Field(ge=1)] = Field(os.cpu_count() or 1, description="worker processes")
    timeout_s: Annotated[float, Field(gt=0)] = Field(10.0, description="seconds a call may take")
    memory_mib: Annotated[int, Field(ge=1)] = Field(1024, description="MiB that a worker may allocate")
    strict: bool = Field(False, description="stop at the first row that cannot be read")
    overwrite: bool = Field(False, description="score anew what the scored file holds")

    @field_validator("target")
    @classmethod
    def _known_kind(cls, value: str | None) -> str | None:
        if value is not None and value not in TARGET_KINDS:
            raise ValueError(f"target={value}: there is no such kind; known: {', '.join(TARGET_KINDS)}")
        return value


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 no row could be graded, 2 the request was wrong, 130 ended by the user (the same command goes on)."""
    return run(ScoreArguments, GRAMMAR, lambda settings: asyncio.run(_run(settings)), arguments, stopped=STOPPED)


async def _run(settings: ScoreArguments) -> int:
    for plugin in settings.rewards:
        load_plugin(plugin)
    rewards = Rewards(settings.reward, settings.by_source, settings.target)
    rewards.check()
    tables = [table for data in settings.data for table in _tables(data)]
    readers = [_reader(table, rewards, settings.columns) for table in tables]
    out = settings.out or Path(f"{Path(settings.data[0]).with_suffix('')}.scored.jsonl")
    with ScoredFile(out, _made_with(settings, tables), overwrite=settings.overwrite) as file:
        progress = _progress()
        task = progress.add_task("scoring", total=None, completed=file.rows_done)

        bad: list[str] = []
        num_bad = 0

        def seen(rows: Sequence[ScoredRow]) -> None:
            nonlocal num_bad
            progress.update(task, advance=len(rows), description=f"scoring{_judged()}")
            found = [f"{row.where}: {row.detail}" for row in rows if row.ungraded == BAD_ROW]
            num_bad += len(found)
            bad.extend(found[: SHOWN_BAD_ROWS - len(bad)])

        samples = (sample for reader in readers for sample in reader.samples())
        async with RewardPool(settings.workers, settings.timeout_s, settings.memory_mib, settings.rewards) as pool:
            with progress:
                summary = await score(_strict(samples) if settings.strict else samples, pool, file, settings.workers, seen)
        file.write_summary({"made_with": _made_with(settings, tables), "finished": True, **summary.as_json()})
    _report(summary, out, bad, num_bad)
    return 0 if summary.all.reward.number or not summary.all.rows else 1


def _tables(data: str) -> Iterator[Table]:
    folder = Path(data).expanduser() / "rollouts"
    if not folder.is_dir():
        yield open_table(data)
        return
    steps = sorted(folder.glob("*.jsonl"))
    if not steps:
        raise RewardError(f"{folder} holds no recorded rollouts")
    yield from (JsonLines(path) for path in steps)


def _reader(table: Table, rewards: Rewards, columns: Mapping[str, str]) -> AnswerReader | RolloutReader:
    if isinstance(table, JsonLines) and is_rollouts(table.path):
        return RolloutReader(table, rewards)
    if rewards.for_all is None and not rewards.by_source and "reward" not in columns:
        first = next(iter(table.rows()), None)
        if first is not None and (isinstance(first, BadRow) or first.values.get("reward") is None):
            raise RewardError(f"{table.title}: no reward is named; write reward=<name> (python -m rewards.list shows all)")
    return AnswerReader.of(table, rewards, columns)


def _made_with(settings: ScoreArguments, tables: Sequence[Table]) -> dict[str, Json]:
    """What the scores depend on: a file that was made with something else is not continued."""
    notations: dict[str, RewardNotation] = {**({"": settings.reward} if settings.reward is not None else {}), **settings.by_source}
    return {
        "data": [_identity(table) for table in tables],
        "columns": dict(settings.columns),
        "target": settings.target,
        "rewards": {source: dict(describe(spec_of(notation))) for source, notation in notations.items()},
        "plugins": list(settings.rewards),
    }


def _identity(table: Table) -> Json:
    path = Path(table.title)
    if not path.is_file():
        return {"data": table.title}
    found = path.stat()
    return {"data": str(path.resolve()), "bytes": found.st_size, "changed_ns": found.st_mtime_ns}


def _strict(samples: Iterator[Sample | BadRow]) -> Iterator[Sample | BadRow]:
    for sample in samples:
        if isinstance(sample, BadRow):
            raise RewardError(f"{sample.where}: {sample.reason}")
        yield sample


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=plain_console(stderr=True), transient=True)


def _judged() -> str:
    """What judges among the rewards have cost so far."""
    return f", judge: {spent()}" if spent() != Spent() else ""


def _report(summary: Summary, out: Path, bad: Sequence[str], num_bad: int) -> None:
    console = plain_console()
    if num_bad:
        more = f"\n  and {num_bad - len(bad)} more" if num_bad > len(bad) else ""
        print(f"{num_bad} rows cannot be read and are ungraded ({BAD_ROW}):\n  " + "\n  ".join(bad) + more, file=sys.stderr)
    console.print(summary.tables())
    console.print(f"\n{out}{_judged()}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
