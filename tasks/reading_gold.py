"""Gold answers that are read off: times on a clock, values of charts, tables, spans of a video."""

import re
from collections.abc import Mapping

from tasks.errors import RowError, short
from tasks.gold_scalars import finite, is_empty, text_of
from tasks.problem import ClockTarget, Span, SpansTarget, TableTarget, Target, ValuesTarget

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE)
_TIME = re.compile(r"(?:(\d+):)?(\d+):(\d{2}(?:\.\d+)?)")


def read_clock(value: object, choices: tuple[str, ...]) -> Target:
    """`3:45`, `15:45:30`, `3:45 pm`. From 1 to 12 without am or pm it is what a dial shows."""
    match = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise RowError(f"a time is h:mm or h:mm:ss, with am or pm or without, not {short(value)}")
    hour, minute, second = int(match[1]), int(match[2]), None if match[3] is None else int(match[3])
    if hour > 23 or minute > 59 or (second or 0) > 59 or (match[4] and not 1 <= hour <= 12):
        raise RowError(f"there is no time {short(value)}")
    if match[4]:
        return ClockTarget(hour % 12 + (12 if match[4].lower() == "p" else 0), minute, second, twelve_hour=False)
    return ClockTarget(hour, minute, second, twelve_hour=1 <= hour <= 12)


def read_values(value: object, choices: tuple[str, ...]) -> Target:
    values = value if isinstance(value, list | tuple) else [value]
    return ValuesTarget(tuple(text_of(item, "a value") for item in values if not is_empty(item)))


def read_table(value: object, choices: tuple[str, ...]) -> Target:
    """A list of rows, the header first, or of objects with the same keys."""
    if not isinstance(value, list | tuple):
        raise RowError(f"a table is a list of rows, the header first, or of objects, not {short(value)}")
    first = value[0]
    if isinstance(first, Mapping):
        rows: list[object] = [list(first), *([row.get(name) for name in first] if isinstance(row, Mapping) else row for row in value)]
    else:
        rows = list(value)
    return TableTarget(tuple(_row(row, rows[0]) for row in rows))


def _row(row: object, header: object) -> tuple[str, ...]:
    if not isinstance(row, list | tuple) or not isinstance(header, list | tuple) or len(row) != len(header):
        raise RowError(f"each row of a table is a list as long as the header, not {short(row)}")
    return tuple("" if is_empty(cell) else text_of(cell, "a cell") for cell in row)


def read_spans(value: object, choices: tuple[str, ...]) -> Target:
    """`[start, end]` or `{start, end, label}`, or a list of either; times in seconds or as `h:mm:ss`."""
    single = isinstance(value, Mapping) or (isinstance(value, list | tuple) and not any(isinstance(item, list | Mapping) for item in value))
    items = [value] if single else value
    if not isinstance(items, list | tuple):
        raise RowError(f"spans are a list of [start, end] or of {{start, end, label}}, not {short(value)}")
    return SpansTarget(tuple(_span(item) for item in items))


def _span(value: object) -> Span:
    label: object = ""
    times = value
    if isinstance(value, Mapping):
        times, label = [value.get("start"), value.get("end")], value.get("label") or ""
    if not isinstance(times, list | tuple) or len(times) != 2 or not isinstance(label, str):
        raise RowError(f"a span is [start, end] or {{start, end, label}}, not {short(value)}")
    start, end = _seconds(times[0]), _seconds(times[1])
    if not 0 <= start < end:
        raise RowError(f"span {short(value)}: it starts at 0 or later, and ends after that")
    return Span(start, end, label)


def _seconds(value: object) -> float:
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    return int(match[1] or 0) * 3600 + int(match[2]) * 60 + float(match[3]) if match else finite(value)
