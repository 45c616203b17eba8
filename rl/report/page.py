"""`report.html`: the whole of a run in one page that opens offline. `python -m rl.report runs/<name> [control run folders ...]`.

Everything that a model said reaches the page as JSON in a script element that is never run, and from there the screen as text alone; a
content security policy lets nothing run but the page's own script, by its hash, and nothing load from elsewhere.
"""

import base64
import hashlib
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from importlib.resources import files
from pathlib import Path

import jinja2
from markupsafe import Markup
from pydantic import JsonValue, TypeAdapter

from rl.config.settings import RunSettings
from rl.records.json_lines import replace_bytes
from rl.records.rollout_records import RolloutRecord
from rl.records.run_folder import RunFolder
from rl.records.step_log import StepMetrics
from rl.report.chart import Chart, draw
from rl.report.curves import curves
from rl.report.result import ALL_TASKS, RunResult, run_result
from rl.report.rollouts import PageLimits, shown_rollouts

_RECORDS = TypeAdapter(tuple[RolloutRecord, ...])
_FACTS = {
    "policy": "policy.path",
    "objective": "objective.name",
    "advantage": "objective.advantage",
    "engine": "rollout.engine",
    "steps": "loop.steps",
    "problems a batch": "loop.groups_per_batch",
    "rollouts a problem": "rollout.group_size",
    "max lag": "loop.max_lag",
    "learning rate": "learner.optimizer.lr",
    "temperature": "rollout.temperature",
    "temperature of evaluations": "evaluation.temperature",
    "seed": "seed",
}


def write_report(run: RunFolder, controls: Sequence[RunFolder] = (), limits: PageLimits | None = None) -> Path:
    """Writes `report.html` into the run's folder and gives its path. Controls are laid over it in table and curves."""
    replace_bytes(run.report_path, report_html(run, controls, limits or PageLimits()).encode())
    return run.report_path


def write_missing_report(settings: RunSettings, run: RunFolder) -> None:
    """For a run that is done: one that was killed after its last evaluation did not come to write it."""
    if settings.records.report and not settings.dry_run and not run.report_path.exists():
        print(f"report {write_report(run)}")


def report_html(run: RunFolder, controls: Sequence[RunFolder], limits: PageLimits) -> str:
    page = files("rl.report") / "template"
    style, script = ((page / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    charts = [draw(spec) for spec in curves(run, controls)]
    shown = shown_rollouts(run, limits)
    results = [result for folder in (run, *controls) if (result := run_result(folder)) is not None]
    data = {
        "rollouts": _RECORDS.dump_python(shown.records, mode="json"),
        "images": shown.images,
        "charts": [_hover(chart) for chart in charts],
    }
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"percent": _percent, "points": _points, "number": _number}
    template = environment.from_string((page / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        name=run.path.name,
        status=_status(run, results),
        facts=_facts(run.config()),
        results=results,
        all_tasks=ALL_TASKS,
        charts=[(chart.spec, Markup(chart.svg)) for chart in charts],
        metrics=_summary(run.metrics()),
        notes=shown.notes,
        num_rollouts=len(shown.records),
        config=run.config_path.read_text(encoding="utf-8"),
        style=Markup(style),
        script=Markup(script),
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        data=Markup(inert_json(data)),
    )


def inert_json(value: object) -> str:
    """JSON that cannot end the script element it stands in, nor open a comment there."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _hover(chart: Chart) -> dict[str, object]:
    """What the page needs to show the values under the pointer."""
    area = chart.area
    series = [
        {"label": s.label, "colour": s.colour, "points": [[x, y if math.isfinite(y) else str(y)] for x, y in zip(s.xs, s.ys, strict=True)]}
        for s in chart.spec.series
    ]
    box = {"left": area.left, "right": area.right, "top": area.top, "bottom": area.bottom, "xMin": area.x_min, "xMax": area.x_max}
    return {"area": box, "series": series, "share": chart.spec.share, "xLabel": chart.spec.x_label}


def _status(run: RunFolder, results: Sequence[RunResult]) -> str:
    metrics, planned = run.metrics(), _at(run.config(), "loop.steps")
    if not metrics:
        return "no step was logged"
    done = f"{metrics[-1].step} of {planned} steps" if planned is not None else f"{metrics[-1].step} steps"
    finished = any(result.finished for result in results if result.run == run.path.name)
    return done if finished else f"{done}, not finished"


def _facts(config: Mapping[str, JsonValue]) -> list[tuple[str, str]]:
    tasks = config.get("tasks")
    found = [("tasks", ", ".join(tasks))] if isinstance(tasks, dict) else []
    for label, key in _FACTS.items():
        value = _at(config, key)
        if label == "policy" and value is None:
            found.append((label, "a tiny Qwen3-VL, built locally"))
        elif value is not None:
            found.append((label, str(value)))
    return found


def _at(config: Mapping[str, JsonValue], dotted: str) -> JsonValue:
    value: JsonValue = dict(config)
    for key in dotted.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _summary(steps: Iterable[StepMetrics]) -> list[tuple[str, float, float, float, float]]:
    """Name, first, last, smallest and largest value of every metric."""
    values: dict[str, list[float]] = {}
    for step in steps:
        for name, value in step.values.items():
            values.setdefault(name, []).append(value)
    return [(name, found[0], found[-1], min(found), max(found)) for name, found in sorted(values.items())]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _points(change: float) -> str:
    return f"{100 * change:+.1f}" if math.isfinite(change) else "?"


def _number(value: float) -> str:
    return f"{value:.4g}"
