"""Which curves a report shows, and what they are made of."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from rl.records.evaluation_record import Evaluation
from rl.records.rise import accuracy_interval
from rl.records.run_folder import RunFolder, TrainingStage
from rl.records.step_log import StepMetrics
from rl.report.chart import NUM_COLOURS, ChartSpec, Series


@dataclass(frozen=True, slots=True)
class Curve:
    """A chart of named metrics. `prefix*` takes every metric that starts so. With `compared`, controls are laid over it, dashed."""

    title: str
    metrics: Mapping[str, str]
    note: str = ""
    share: bool = False
    compared: bool = False


_CURVES = (
    Curve("Training reward by task", {"reward/*": ""}, "mean over all graded rollouts that arrived, refilled groups included"),
    Curve("Training accuracy by task", {"accuracy/*": ""}, "share of right verdicts, refilled groups included", share=True),
    Curve("Response length", {"rollout/length_mean": "mean"}, "sampled tokens a rollout"),
    Curve(
        "Tool calls by calls needed",
        {"rollout/calls_expected_*": " needed"},
        "executed calls a rollout, on problems that take none, one, two ... by the expert's estimate",
        compared=True,
    ),
    Curve("Entropy", {"learner/entropy": "entropy"}, "nats a sampled token"),
    Curve(
        "Distance of policies",
        {"learner/engine_kl": "engine to learner", "learner/behavior_kl": "behavior to learner", "learner/reference_kl": "to reference"},
        "KL in nats a token; engine to learner is the numerical mismatch of the two",
    ),
    Curve(
        "Distance from the teacher",
        {"learner/divergence": "divergence"},
        "nats a sampled token, as distillation.divergence counts",
    ),
    Curve("Gradient norm", {"learner/grad_norm": "norm"}, "before clipping"),
    Curve(
        "What taught nothing",
        {
            "group/zero_variance_frac": "groups of equal reward",
            "rollout/truncated_frac": "truncated rollouts",
            "group/ungraded_frac": "ungraded rollouts",
            "group/failed_frac": "failed rollouts",
        },
        "shares of all that arrived",
        share=True,
    ),
    Curve("Lag", {"rollout/lag_max": "oldest", "rollout/lag_mean": "mean"}, "versions between sampling and training"),
)
_STAGES = {"time/generate_s": "generate", "time/update_s": "update", "time/publish_s": "publish", "time/teacher_s": "teacher"}
_TRAINING: tuple[tuple[TrainingStage, Curve], ...] = (
    ("cold_start", Curve("Cold start", {"cold_start/*": ""}, "loss, nats a token")),
    ("further_supervised", Curve("Further supervised training", {"further_supervised/*": ""}, "loss, nats a token")),
    ("imitation", Curve("Imitation of teachers' answers", {"imitation/*": ""}, "loss, nats a token")),
    ("preferences", Curve("Preference optimisation", {"preference/*": ""}, "of a pair: loss and margin in nats, accuracy as a share")),
)


def curves(run: RunFolder, controls: Sequence[RunFolder]) -> list[ChartSpec]:
    """The charts for which there are values: held-out accuracy first, then the loop, then training outside of it."""
    metrics = run.metrics()
    charts = [*heldout_curves(run, controls)]
    laid_over = [(control.path.name, control.metrics()) for control in controls]
    charts += [_with_controls(_chart(curve, metrics), curve, laid_over) for curve in _CURVES]
    charts += [_stage_seconds(metrics)]
    charts += [_chart(curve, run.training(stage)) for stage, curve in _TRAINING]
    return [chart for chart in charts if any(series.xs for series in chart.series)]


def heldout_curves(run: RunFolder, controls: Sequence[RunFolder]) -> list[ChartSpec]:
    """One chart a task, with 95 % intervals over problems. Runs are laid over training seconds, a run alone over its steps."""
    evaluations = {folder: folder.evaluations() for folder in (run, *controls)}
    tasks = dict.fromkeys(task for evaluation in evaluations[run] for task in evaluation.tasks)
    by_time = bool(controls)
    charts = []
    for task in tasks:
        series = tuple(
            _heldout_series(folder.path.name, found, task, by_time, position % NUM_COLOURS)
            for position, (folder, found) in enumerate(evaluations.items())
        )
        x_label = "seconds of training" if by_time else "step"
        note = "mean pass@1, 95 % interval over problems"
        charts.append(ChartSpec(f"Held-out accuracy: {task}", series, x_label, note, share=True, markers=True))
    return charts


def _heldout_series(label: str, evaluations: Iterable[Evaluation], task: str, by_time: bool, colour: int) -> Series:
    known = [(e, interval) for e in evaluations if (interval := accuracy_interval(e, task)) is not None]
    xs = tuple(e.train_s if by_time else float(e.step) for e, _ in known)
    band = tuple((max(0.0, i.low), min(1.0, i.high)) for _, i in known)
    return Series(label, xs, tuple(i.mean for _, i in known), colour, dashed=colour > 0, band=band)


def _chart(curve: Curve, steps: Sequence[StepMetrics]) -> ChartSpec:
    labels: dict[str, str] = {}
    for metric, label in curve.metrics.items():
        prefix = metric.removesuffix("*")
        names = dict.fromkeys(name for s in steps for name in s.values if (name.startswith(prefix) if prefix != metric else name == metric))
        labels |= {name: f"{name.removeprefix(prefix)}{label}" if prefix != metric else label for name in names}
    if len(labels) > NUM_COLOURS:
        labels = {name: label for name, label in labels.items() if label == "mean"} or dict(list(labels.items())[:NUM_COLOURS])
    series = tuple(_series(name, label, steps, colour) for colour, (name, label) in enumerate(labels.items()))
    return ChartSpec(curve.title, series, note=curve.note, share=curve.share)


def _with_controls(chart: ChartSpec, curve: Curve, controls: Iterable[tuple[str, Sequence[StepMetrics]]]) -> ChartSpec:
    """What the run shows, in the same colours; what only a control has is left out."""
    if not curve.compared:
        return chart
    colour_of = {series.label: series.colour for series in chart.series}
    series = [
        replace(series, label=f"{series.label}, {name}", colour=colour_of[series.label], dashed=True)
        for name, metrics in controls
        for series in _chart(curve, metrics).series
        if series.label in colour_of
    ]
    return replace(chart, series=(*chart.series, *series))


def _series(name: str, label: str, steps: Sequence[StepMetrics], colour: int) -> Series:
    found = [(float(s.step), s.values[name]) for s in steps if name in s.values]
    return Series(label, tuple(x for x, _ in found), tuple(y for _, y in found), colour)


def _stage_seconds(steps: Sequence[StepMetrics]) -> ChartSpec:
    """Seconds of a step by stage, one on top of the other; `other` is what is left of the step."""
    timed = [s for s in steps if "time/step_s" in s.values]
    xs = tuple(float(s.step) for s in timed)
    stages = {name: label for name, label in _STAGES.items() if any(name in s.values for s in timed)}
    stack = [
        Series(label, xs, tuple(s.values.get(name, 0.0) for s in timed), colour) for colour, (name, label) in enumerate(stages.items())
    ]
    rest = tuple(max(0.0, s.values["time/step_s"] - sum(s.values.get(name, 0.0) for name in stages)) for s in timed)
    stack.append(Series("other", xs, rest, len(stack)))
    return ChartSpec("Seconds a step", tuple(stack), stacked=True)
