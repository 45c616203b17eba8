"""Two scored files side by side: `python -m rewards.compare before.jsonl after.jsonl`."""

import json
import math
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from pydantic import Field
from rich.console import Console
from rich.table import Table

from rewards.command_line import Arguments, plain_console, run
from rewards.offline.comparison import Comparison, compare
from rewards.offline.output import replace_text
from rewards.offline.scored import ScoredRow
from rewards.offline.summary import Moments
from tasks.message import Json

GRAMMAR = """\
  python -m rewards.compare before.jsonl after.jsonl
  python -m rewards.compare before=math_1.jsonl after=math_2.jsonl examples=20 out=changes.json
"""
_VERDICTS = {True: "right", False: "wrong", None: "no verdict"}


class CompareArguments(Arguments):
    before: Path = Field(description="a scored file")
    after: Path = Field(description="another scored file of the same answers")
    examples: Annotated[int, Field(ge=0)] = Field(5, description="rows with the largest changes that are shown")
    out: Path | None = Field(None, description="where the comparison goes as JSON")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 compared, 2 the request was wrong."""
    return run(CompareArguments, GRAMMAR, _compare, arguments, ("before", "after"))


def _compare(settings: CompareArguments) -> int:
    found = compare(settings.before, settings.after, settings.examples)
    if settings.out is not None:
        replace_text(settings.out, json.dumps(_as_json(found), ensure_ascii=False, indent=2) + "\n")
    _print(found, plain_console())
    return 0


def _as_json(found: Comparison) -> Json:
    return {
        "paired": found.paired,
        "only_before": found.only_before,
        "only_after": found.only_after,
        "changed": found.changed,
        "before": found.before.as_json(),
        "after": found.after.as_json(),
        "difference": found.differences.as_json(),
        "verdicts": {f"{_VERDICTS[old]} -> {_VERDICTS[new]}": count for (old, new), count in found.verdicts.items()},
        "ungraded": {f"{old or 'graded'} -> {new or 'graded'}": count for (old, new), count in found.ungraded.items()},
        "components": {
            name: {"before": change.before.as_json(), "after": change.after.as_json(), "changed": change.changed}
            for name, change in found.components.items()
        },
        "sources": {source: differences.as_json() for source, differences in found.sources.items()},
        "largest": [{"before": asdict(change.before), "after": asdict(change.after)} for change in found.largest],
    }


def _print(found: Comparison, console: Console) -> None:
    alone = f"; {found.only_before:,} only before, {found.only_after:,} only after" if found.only_before or found.only_after else ""
    console.print(f"{found.paired:,} rows in both, {found.changed:,} changed{alone}\n", highlight=False)
    table = Table("", box=None, pad_edge=False)
    for heading in ("before", "after", "difference", "changed"):
        table.add_column(heading, justify="right")
    table.add_row("reward", _mean(found.before), _mean(found.after), _interval(found.differences), f"{found.changed:,}")
    for name, change in found.components.items():
        table.add_row(name, _mean(change.before), _mean(change.after), "", f"{change.changed:,}")
    for source, differences in sorted(found.sources.items()) if len(found.sources) > 1 else ():
        table.add_row(f"source {source}", "", "", _interval(differences), "")
    console.print(table)
    flips = [(old, new, count) for (old, new), count in found.verdicts.items() if old != new]
    lines = [f"{_VERDICTS[old]} -> {_VERDICTS[new]}: {count:,}" for old, new, count in flips]
    lines += [f"{old or 'graded'} -> {new or 'graded'}: {count:,}" for (old, new), count in found.ungraded.items() if old != new]
    if lines:
        console.print("\n" + "\n".join(lines), highlight=False)
    for largest in found.largest:
        console.print(f"\n{largest.after.where}", style="bold", highlight=False)
        console.print(f"  before {_said(largest.before)}\n  after  {_said(largest.after)}", highlight=False)


def _said(row: ScoredRow) -> str:
    if row.reward is None:
        return f"ungraded: {row.ungraded} {row.detail}".rstrip()
    parts = ", ".join(f"{name} {score.reward:.4g}" for name, score in row.components.items() if score.reward is not None)
    return f"{row.reward:.4g} {_VERDICTS[row.verdict]}, read {row.answer!r} ({parts})"


def _mean(moments: Moments) -> str:
    return f"{moments.mean:.4f}" if moments.number else "–"


def _interval(moments: Moments) -> str:
    """The mean difference with the half width of its 95 % interval (normal, paired)."""
    if not moments.number:
        return "–"
    if moments.number < 2:
        return f"{moments.mean:+.4f}"
    return f"{moments.mean:+.4f} ± {1.96 * math.sqrt(moments.squares / (moments.number - 1) / moments.number):.4f}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
