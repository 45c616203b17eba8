"""How many tool calls an expert would make, estimated offline and written beside the data: `python -m rewards.targets data=...`.

Strong models are asked several times for each problem, through the recorded client of the judge; the median of their votes is the
column `expected_calls`, which the reward `tool_calls` is held against.
"""

import asyncio
import base64
import json
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from pydantic import Field, JsonValue
from rich.progress import MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from rewards.command_line import Arguments, plain_console, run
from rewards.judge.budget import Budget
from rewards.judge.expert import Estimate, Expert, expert_settings
from rewards.judge.reward import servers_of
from rewards.judge.sitting import Prices, cost
from rewards.offline.output import replacing
from rewards.offline.problems import ProblemReader
from rewards.offline.scored import BAD_ROW
from rewards.outcome import Ungraded
from tasks.errors import RowError
from tasks.table import BadRow, Row, open_table

GRAMMAR = """\
  python -m rewards.targets data=problems.jsonl judge.model=Qwen/Qwen3-VL-235B-A22B-Instruct judge.base_url=http://localhost:8000/v1
  python -m rewards.targets data=problems.parquet target=text 'tools={calculator: the value of an expression}' judge.samples=9 ...
  python -m rewards.targets data=problems.jsonl judge.mode=replay judge.model=...      again, without a server
"""
ZOOM: Mapping[str, str] = {"image_zoom_in_tool": "crops a box of an image and shows it enlarged"}
VOTES = "expected_calls_votes"
WINDOW = 64
"""Problems in memory at one time, images included; the judge's own `concurrency` bounds requests."""
SHOWN_BAD_ROWS = 5
STOPPED = "stopped; the same command goes on with the answers that are recorded"


class TargetsArguments(Arguments):
    data: str = Field(description="problems: a .jsonl or .parquet file, or hf:<dataset>[:<split>]")
    judge: dict[str, JsonValue] = Field(
        description="whom to ask: model, base_url, samples [5], temperature [0.7], record [beside out], ..."
    )
    out: Path | None = Field(None, description="the rows with their estimates [beside the data, *.targets.jsonl]")
    columns: dict[str, str] = Field({}, description="our field -> your column: prompt, images, target, choices, expected_calls")
    target: str | None = Field(None, description="what the target column holds; the right answer is shown then, by default it is not")
    tools: dict[str, str] = Field(dict(ZOOM), description="the tools at hand, by name: what each does")
    prices: tuple[float, float] = Field((0.0, 0.0), description="of a million tokens of prompt and of completion, in any currency")


@dataclass(slots=True)
class Tally:
    """What became of the rows."""

    estimates: Counter[int] = field(default_factory=Counter)
    unanimous: int = 0
    kept: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    bad_rows: list[BadRow] = field(default_factory=list)

    def add(self, found: Estimate | Ungraded | BadRow | None) -> None:
        match found:
            case Estimate():
                self.estimates[found.calls] += 1
                self.unanimous += found.is_unanimous
            case Ungraded():
                self.failed[found.reason] += 1
            case BadRow():
                self.bad_rows.append(found)
            case None:
                self.kept += 1


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 no problem has an estimate, 2 the request was wrong, 130 ended by the user (answers stay recorded)."""
    return run(TargetsArguments, GRAMMAR, lambda settings: asyncio.run(_run(settings)), arguments, stopped=STOPPED)


async def _run(arguments: TargetsArguments) -> int:
    problems = ProblemReader.of(open_table(arguments.data), arguments.columns, arguments.target)
    prices, tally = Prices(*arguments.prices), Tally()
    name = arguments.data.removeprefix("hf:").replace(":", ".")
    out = arguments.out or Path(f"{Path(name).with_suffix('')}.targets.jsonl")
    settings = expert_settings({"mode": "record", "record": str(out.with_suffix(".judge.sqlite")), **arguments.judge})
    budget = Budget(settings.limits.max_calls, settings.limits.max_total_tokens)
    expert = Expert(settings, servers_of(settings, budget), budget, tuple(f"{tool}: {does}" for tool, does in arguments.tools.items()))
    progress = Progress(TextColumn("{task.description}"), MofNCompleteColumn(), TimeElapsedColumn(), console=plain_console(stderr=True))
    try:
        with progress, replacing(out) as file:
            task = progress.add_task("estimating", total=None)
            async for line in _lines(problems, expert, tally):
                file.write(line)
                progress.update(task, advance=1, description=cost(budget.total, prices))
    finally:
        expert.close()
    _report(tally, out, cost(budget.total, prices))
    return 0 if tally.estimates or tally.kept else 1


async def _lines(problems: ProblemReader, expert: Expert, tally: Tally) -> AsyncIterator[bytes]:
    """The rows in order, each with its estimate; null where there is none. A line that is no JSON is left out."""
    rows = problems.table.rows()
    while window := list(islice(rows, WINDOW)):
        for row, found in zip(window, await asyncio.gather(*(_estimate(problems, expert, row) for row in window)), strict=True):
            tally.add(found)
            if isinstance(row, Row):
                new = {problems.column: found.calls, VOTES: found.votes} if isinstance(found, Estimate) else {problems.column: None}
                yield _line(row.values if found is None else {**row.values, **new})


async def _estimate(problems: ProblemReader, expert: Expert, row: Row | BadRow) -> Estimate | Ungraded | BadRow | None:
    """None for a row that has its number of calls already."""
    if isinstance(row, BadRow):
        return row
    try:
        if problems.known(row) is not None:
            return None
        return await expert.estimate(*problems.asked(row))
    except RowError as error:
        return BadRow(row.where, str(error))


def _line(values: Mapping[str, object]) -> bytes:
    """Bytes, which are images in a table, as base64 text."""
    return json.dumps(values, ensure_ascii=False, default=_plain).encode("utf-8", "backslashreplace") + b"\n"


def _plain(value: object) -> str:
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _report(tally: Tally, out: Path, spent: str) -> None:
    for row in tally.bad_rows[:SHOWN_BAD_ROWS]:
        print(f"{row.where}: {row.reason}", file=sys.stderr)
    console, estimated = plain_console(), tally.estimates.total()
    table = Table("calls", "problems", box=None, pad_edge=False, header_style="dim")
    for calls, number in sorted(tally.estimates.items()):
        table.add_row(str(calls), f"{number:,}")
    console.print(table)
    kept = f"; {tally.kept:,} had a number already" if tally.kept else ""
    console.print(f"\n{estimated:,} estimated, {tally.unanimous:,} of them with all votes alike{kept}", highlight=False)
    without = tally.failed + Counter({BAD_ROW: len(tally.bad_rows)})
    if without:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in without.most_common())
        console.print(f"without an estimate: {reasons}", highlight=False)
    console.print(f"{spent}\n{out}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
