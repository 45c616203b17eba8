"""Judgements from the record, by other judges, held against labels and each other: `python -m rewards.judge <command> key=value ...`."""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path

from pydantic import Field, JsonValue, model_validator
from rich.table import Table

from rewards.command_line import ASKS, Arguments, OneOrMore, plain_console, run
from rewards.errors import RewardError, unknown
from rewards.judge.audit import audit_of, table_of
from rewards.judge.judgement import differences, read_judgements
from rewards.judge.record import JudgeRecord
from rewards.judge.sitting import Answers, Prices, Sitting, cost, judge_all
from rewards.outcome import Grade, Ungraded
from tasks.message import Json

GRAMMAR = """\
python -m rewards.judge replay   the recorded judgements again, without a server; also with another judge.parser, pass_at or weights
python -m rewards.judge rejudge  the same answers before another judge.model or judge.template; what is recorded is not asked again
python -m rewards.judge audit    agreement with labels and with another judge, with itself; position, length, cost
python -m rewards.judge diff     two files of judgements, item by item
python -m rewards.judge export   the record as JSONL; import reads it back

  python -m rewards.judge replay data=answers.jsonl judge.model=Qwen/Qwen3-32B judge.record=judge.sqlite out=judged.jsonl
  python -m rewards.judge audit data=answers.jsonl label=correct judge.model=... judge.base_url=... judge.record=judge.sqlite
  python -m rewards.judge diff before.jsonl after.jsonl
"""
SHOWN_BAD_ROWS = 5


class GradeArguments(Arguments):
    data: OneOrMore = Field(description="answers: .jsonl or .parquet files, or hf:<dataset>[:<split>]; one, or a list")
    judge: dict[str, JsonValue] = Field(description="settings of the reward `judge`: model, base_url, template, record, ...")
    out: Path | None = Field(None, description="the file of judgements, one JSON object a line")
    columns: dict[str, str] = Field({}, description="our field -> your column: id, prompt, response, target, images, ...")
    target: str = Field("text", description="what the target column holds: text, math, choice, rubric, ...")
    prices: tuple[float, float] = Field((0.0, 0.0), description="of a million tokens of prompt and of completion, in any currency")
    strict: bool = Field(False, description="replay: fail with the first request that is not in the record, and name it")

    @model_validator(mode="before")
    @classmethod
    def _without_rewards(cls, values: dict[str, Json]) -> dict[str, Json]:
        if "rewards" in values:
            raise ValueError(
                "rewards: these commands ask the reward `judge` alone; what reads replies is judge.parser=path/to/file.py:name"
            )
        return values


class AuditArguments(GradeArguments):
    label: str = Field("", description="the column that says whether the answer is right")
    other: dict[str, JsonValue] = Field({}, description="what another judge has different: other.model=..., other.template=...")


class DiffArguments(Arguments):
    before: Path = Field(description="a file of judgements")
    after: Path = Field(description="another one, of the same items")
    out: Path | None = Field(None, description="the items that differ, one JSON object a line")
    shown: int = Field(20, description="how many of them are printed")


class RecordArguments(Arguments):
    record: Path = Field(description="the SQLite file")
    lines: Path = Field(description="the JSONL file")


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 nothing could be graded (`diff`: something differs), 2 the request was wrong, 130 ended by the user."""
    if not arguments or arguments[0] in ASKS:
        print(GRAMMAR)
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        print(unknown("command", command, COMMANDS), file=sys.stderr)
        return 2
    kind, work = COMMANDS[command]
    return run(kind, f"python -m rewards.judge {command} key=value ...", work, rest, ("before", "after") if command == "diff" else ())


def _replay(arguments: GradeArguments) -> int:
    return _judge(arguments, "replay_strict" if arguments.strict else "replay")


def _rejudge(arguments: GradeArguments) -> int:
    return _judge(arguments, "record")


def _judge(arguments: GradeArguments, mode: str) -> int:
    sitting = _sit(arguments, {"mode": mode, **arguments.judge})
    if arguments.out is not None:
        _write(arguments.out, [judgement.to_json() for judgement in sitting.judgements])
    else:
        print("\n".join(judgement.to_json() for judgement in sitting.judgements))
    return 0 if any(isinstance(judgement.outcome, Grade) for judgement in sitting.judgements) else 1


def _audit(arguments: AuditArguments) -> int:
    settings: Mapping[str, Json] = {"mode": "record" if "record" in arguments.judge else "live", **arguments.judge}
    sitting = _sit(arguments, settings, arguments.label)
    other = _sit(arguments, {**settings, **arguments.other}) if arguments.other else None
    audit = audit_of(sitting, Prices(*arguments.prices), other)
    if arguments.out is not None:
        _write(arguments.out, [json.dumps(audit, ensure_ascii=False)])
    plain_console().print(table_of(audit))
    return 0 if any(isinstance(judgement.outcome, Grade) for judgement in sitting.judgements) else 1


def _sit(arguments: GradeArguments, settings: Mapping[str, Json], label: str = "") -> Sitting:
    console = plain_console(stderr=True)
    prices = Prices(*arguments.prices)
    sitting = asyncio.run(judge_all(Answers(arguments.data, arguments.target, arguments.columns, label), settings, prices, console))
    for row in sitting.bad_rows[:SHOWN_BAD_ROWS]:
        console.print(f"{row.where}: {row.reason}", soft_wrap=True)
    graded = [judgement for judgement in sitting.judgements if isinstance(judgement.outcome, Grade)]
    bad = f", {len(sitting.bad_rows)} rows could not be read" if sitting.bad_rows else ""
    console.print(f"{len(graded)} of {len(sitting.judgements)} graded{bad}: {cost(sitting.spent, prices)}", highlight=False)
    ungraded = [judgement.outcome for judgement in sitting.judgements if isinstance(judgement.outcome, Ungraded)]
    details = {outcome.reason: outcome.detail for outcome in reversed(ungraded)}
    for reason, number in Counter(outcome.reason for outcome in ungraded).most_common():
        console.print(f"  {reason} {number:,}, the first: {details[reason]}", highlight=False, soft_wrap=True)
    return sitting


def _diff(arguments: DiffArguments) -> int:
    before, after = read_judgements(arguments.before), read_judgements(arguments.after)
    found = list(differences(before, after))
    if arguments.out is not None:
        lines = ({"id": d.id, "kind": d.kind, "before": str(d.before), "after": str(d.after)} for d in found)
        _write(arguments.out, [json.dumps(line, ensure_ascii=False) for line in lines])
    table = Table("id", "what differs", "before", "after", box=None, pad_edge=False, header_style="dim")
    for difference in islice(found, arguments.shown):
        table.add_row(difference.id, difference.kind, str(difference.before), str(difference.after))
    console = plain_console()
    if found:
        console.print(table)
    console.print(f"{len(found)} of {len({*before, *after})} items differ", highlight=False)
    return 1 if found else 0


def _export(arguments: RecordArguments) -> int:
    with JudgeRecord(arguments.record, read_only=True) as record:
        _write(arguments.lines, list(record.export_lines()))
        print(f"{len(record)} answers in {arguments.lines}")
    return 0


def _import(arguments: RecordArguments) -> int:
    if not arguments.lines.is_file():
        raise RewardError(f"lines={arguments.lines}: there is no such file")
    with JudgeRecord(arguments.record) as record, arguments.lines.open(encoding="utf-8") as lines:
        print(f"{record.import_lines(lines, str(arguments.lines))} new answers in {arguments.record}")
    return 0


def _write(path: Path, lines: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


COMMANDS: Mapping[str, tuple[type[Arguments], Callable[..., int]]] = {
    "replay": (GradeArguments, _replay),
    "rejudge": (GradeArguments, _rejudge),
    "audit": (AuditArguments, _audit),
    "diff": (DiffArguments, _diff),
    "export": (RecordArguments, _export),
    "import": (RecordArguments, _import),
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
