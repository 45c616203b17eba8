"""Rows of a user's data: JSONL, parquet, or a Hugging Face dataset, one at a time."""

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from tasks.errors import RowError, TaskError, nearest

PREFIX = "hf:"
BATCH_ROWS = 64


@dataclass(frozen=True, slots=True)
class Row:
    """`number` counts from 1: the line of a JSONL file, the row of a table. `where` says the same to people."""

    number: int
    where: str
    values: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that is no problem, where it stands, and why."""

    where: str
    reason: str


class Table(Protocol):
    """`title` is what people call it, `stem` a short name for ids, `folder` where relative image paths start."""

    @property
    def title(self) -> str: ...

    @property
    def stem(self) -> str: ...

    @property
    def folder(self) -> Path: ...

    def rows(self) -> Iterator[Row | BadRow]: ...


def open_table(data: str) -> Table:
    """The table behind `data`: a `.jsonl` or `.parquet` file, a folder that `datasets.save_to_disk` wrote, or
    `hf:<dataset or folder>[:<configuration>][:<split>]`.
    """
    if data.startswith(PREFIX):
        from tasks.hf_table import open_hub_table

        return open_hub_table(data.removeprefix(PREFIX))
    path = Path(data).expanduser()
    if path.is_dir():
        from tasks.hf_table import open_folder_table

        return open_folder_table(path, "train")
    if not path.is_file():
        siblings = [file.name for file in path.parent.glob("*") if file.suffix in (".jsonl", ".parquet")] if path.parent.is_dir() else []
        hint = f"; {nearest(path.name, siblings)}" if siblings else ""
        raise TaskError(f"no data file {path} (from {Path.cwd()}){hint}")
    if path.suffix == ".jsonl":
        return JsonLines(path)
    if path.suffix == ".parquet":
        return Parquet(path)
    raise TaskError(f"{path}: data is a .jsonl or .parquet file, a folder written by datasets.save_to_disk, or hf:<dataset>[:<split>]")


ItemT = TypeVar("ItemT")


def read_all(data: str, read: Callable[[Row, Table], ItemT], what: str) -> list[ItemT]:
    """What `read` makes of every row of a table (see `open_table`). Raises `TaskError` that lists the first rows that are no `what`."""
    table = open_table(data)
    found: list[ItemT] = []
    bad: list[BadRow] = []
    for row in table.rows():
        try:
            if isinstance(row, BadRow):
                bad.append(row)
            else:
                found.append(read(row, table))
        except RowError as error:
            bad.append(BadRow(row.where, str(error)))
    if bad:
        listed = "\n".join(f"  {row.where}: {row.reason}" for row in bad[:5])
        raise TaskError(f"{data}: {len(bad)} rows are no {what}, the first:\n{listed}")
    if not found:
        raise TaskError(f"{data}: no row")
    return found


def as_written(rows: Sequence[Mapping[str, object]]) -> Iterator[Mapping[str, object]]:
    """Rows of an Arrow table without the keys that it fills in: it gives each tool call the arguments, and each schema the keys, of all."""
    for row in rows:
        yield {name: _without_nulls(value, inside=name in _MERGED) for name, value in row.items()}


_MERGED = ("tool_calls", "tools")


def _without_nulls(value: object, *, inside: bool) -> object:
    if isinstance(value, list):
        return [_without_nulls(item, inside=inside) for item in value]
    if isinstance(value, dict):
        items = ((key, _without_nulls(item, inside=inside or key in _MERGED)) for key, item in value.items())
        return {key: item for key, item in items if item is not None or not inside}
    return value


@dataclass(frozen=True, slots=True)
class _File:
    path: Path

    @property
    def title(self) -> str:
        return str(self.path)

    @property
    def stem(self) -> str:
        return self.path.stem

    @property
    def folder(self) -> Path:
        return self.path.parent


@dataclass(frozen=True, slots=True)
class JsonLines(_File):
    """A JSON object on each line; blank lines are passed over."""

    def rows(self) -> Iterator[Row | BadRow]:
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield self._row(number, line)

    def _row(self, number: int, line: bytes) -> Row | BadRow:
        where = f"{self.path}:{number}"
        try:
            values = json.loads(line.rstrip().decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError as error:
            return BadRow(where, f"not UTF-8: {error.reason} at byte {error.start + 1} of the line")
        except json.JSONDecodeError as error:
            return BadRow(where, f"no JSON: {error.msg} at column {error.colno}")
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets in thousands of brackets
            return BadRow(where, f"no JSON that can be read: {error}")
        return Row(number, where, values) if isinstance(values, dict) else BadRow(where, f"a {type(values).__name__}, not a JSON object")


@dataclass(frozen=True, slots=True)
class Parquet(_File):
    """A parquet file, read a few rows at a time."""

    def rows(self) -> Iterator[Row | BadRow]:
        import pyarrow
        import pyarrow.parquet

        number = 0
        try:
            with pyarrow.parquet.ParquetFile(self.path) as file:
                batches = file.iter_batches(batch_size=BATCH_ROWS)
                rows = itertools.chain.from_iterable(as_written(batch.to_pylist()) for batch in batches)
                for number, values in enumerate(rows, start=1):
                    yield Row(number, f"{self.path} row {number}", values)
        except (pyarrow.ArrowException, OSError) as error:
            raise TaskError(f"{self.path} cannot be read as parquet after row {number}: {error}") from error
