"""A file of metrics: one JSON object a step, `{"step": 3, "reward/mean": 0.5}`, no step twice."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter

from rl.records.json_lines import append_line, read_lines, replace_lines

_ADAPTER: TypeAdapter[dict[str, int | float]] = TypeAdapter(dict[str, int | float], config=ConfigDict(ser_json_inf_nan="strings"))


@dataclass(frozen=True, slots=True)
class StepMetrics:
    step: int
    values: Mapping[str, float]


class StepLog:
    """Appends to the file. What an earlier process wrote of the first step that comes, and of later ones, gives way to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_step: int | None = None

    def append(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers that are not finite are written as the texts NaN, Infinity and -Infinity, so that every line is valid JSON."""
        assert "step" not in values, "`step` is the line's own key"
        if self._last_step is None:
            rewind_step_log(self._path, step - 1)
        elif step <= self._last_step:
            raise ValueError(f"{self._path}: step {step} comes after step {self._last_step}; steps only go forward")
        self._last_step = step
        append_line(self._path, _ADAPTER.dump_json({"step": step, **{name: float(value) for name, value in values.items()}}))


def read_step_log(path: Path) -> Iterator[StepMetrics]:
    """The steps in the order they were written; a missing file has none."""
    for line in read_lines(path):
        values = _ADAPTER.validate_json(line)
        step = values.pop("step")
        yield StepMetrics(int(step), {name: float(value) for name, value in values.items()})


def rewind_step_log(path: Path, last_step: int) -> None:
    """Takes back the steps after `last_step`."""
    lines = tuple(read_lines(path))
    kept = tuple(line for line in lines if int(_ADAPTER.validate_json(line)["step"]) <= last_step)
    if len(kept) < len(lines):
        replace_lines(path, kept)
