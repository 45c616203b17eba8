"""Several runs in order, each from the policy of the one before: cold start, distillation, reinforcement learning as one command.

Every stage is a run of its own in `runs/<name>/<stage>/`. A stage whose last evaluation is there is not run again, and one that was
interrupted goes on as any run does. Where a stage names checkpoints of its own, `stage:<name>` is the policy that an earlier stage made: so
a stage's agent can teach a policy that starts afresh.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from rich.table import Table

from rewards.command_line import plain_console
from rl.checkpoint import newest_checkpoint
from rl.config.error import ConfigError
from rl.config.existence import missing
from rl.config.keys import KeyPath, nearest_keys
from rl.config.layers import Layer, place_of
from rl.config.settings import STAGE, RunSettings
from rl.records.evaluation_record import Evaluation
from rl.records.run_folder import RunFolder, RunFolderError
from tasks.message import Json

TABLE = "stages.md"


def run_stages(settings: RunSettings, run: Callable[[RunSettings], int], layers: Sequence[Layer] = ()) -> int:
    """Runs what is not done yet and writes the table of scores. The exit code is that of the first stage that failed, else 0."""
    stages = stage_settings(settings, layers)
    made: dict[str, Path] = {}
    for name, stage in stages.items():
        folder = RunFolder(stage.runs / stage.name)
        if made:
            starts_itself = "policy.path" in settings.stages[name]
            stage = _with_results(stage if starts_itself else _starting_from([*made.values()][-1], stage), made)
        try:
            if folder.is_done:
                from rl.report.page import write_missing_report

                folder.check_config(stage.model_dump(mode="json"))
                write_missing_report(stage, folder)
            elif code := run(stage):
                return code
        except RunFolderError as error:
            raise RunFolderError(f"{error}\n({name} is a stage, and `name`, which is {settings.name}, that of all stages)") from error
        made[name] = Path(f"{STAGE}{name}") if settings.dry_run else _result(folder, name)
    if not settings.dry_run:
        _report({name: RunFolder(stage.runs / stage.name) for name, stage in stages.items()}, settings.runs / settings.name / TABLE)
    return 0


def stage_settings(settings: RunSettings, layers: Sequence[Layer] = ()) -> dict[str, RunSettings]:
    """The settings of every stage: the common ones with the stage's own keys. Raises `ConfigError` with every mistake, and where it stands.

    All but the first have no cold start, unless that is what the stage is or it asks for one. A task or teacher that is null is none of
    the stage's.
    """
    common = settings.model_dump(mode="json", exclude={"stages"})
    found: dict[str, RunSettings] = {}
    mistakes: list[str] = []
    for place, (name, keys) in enumerate(settings.stages.items()):
        values = _with_keys(common, keys | {"name": name, "runs": str(settings.runs / settings.name)})
        try:
            stage = RunSettings.model_validate(_without_null(_without_null(values, "tasks"), "distillation", "teachers"))
        except ValidationError as error:
            mistakes += [_placed(name, tuple(map(str, e["loc"])), layers) + _mistake(e) for e in error.errors()]
            continue
        mistakes += [f"{_placed(name, path, layers)}{'.'.join(path)}: {reason}" for path, reason in missing(stage)]
        keeps = place == 0 or stage.method == "sft" or "cold_start.enabled" in settings.stages[name]
        found[name] = stage if keeps else _without_cold_start(stage)
        earlier = list(settings.stages)[:place]
        mistakes += [f"stages.{name}: {STAGE}{other} is no earlier stage" for other in _referred(stage) if other not in earlier]
    if mistakes:
        raise ConfigError(*mistakes)
    return found


def _placed(stage: str, path: KeyPath, layers: Sequence[Layer]) -> str:
    """What stands before a mistake: file and line of the key, or of the stage, and the stage."""
    place = place_of(("stages", stage, ".".join(path)), layers)
    return f"{place + ': ' if place else ''}stages.{stage}: "


def _mistake(details: ErrorDetails) -> str:
    path = tuple(map(str, details["loc"]))
    key = ".".join(path)
    if details["type"] == "extra_forbidden":
        near = nearest_keys(path)
        return f"unknown key {key}" + (f"; did you mean {' or '.join(near)}?" if near else "")
    return f"{key}{': ' if key else ''}{details['msg'].removeprefix('Value error, ')}"


def _with_keys(values: Mapping[str, Json], keys: Mapping[str, Json]) -> dict[str, Json]:
    changed = dict(values)
    for key, value in keys.items():
        first, _, rest = key.partition(".")
        inner = changed.get(first)
        changed[first] = _with_keys(inner if isinstance(inner, dict) else {}, {rest: value}) if rest else value
    return changed


def _without_null(values: Mapping[str, Json], first: str, *rest: str) -> dict[str, Json]:
    """The values, less those that are null in the mapping that the keys lead to."""
    inner = values.get(first)
    if not isinstance(inner, dict):
        return dict(values)
    return {**values, first: _without_null(inner, *rest) if rest else {key: value for key, value in inner.items() if value is not None}}


def _without_cold_start(stage: RunSettings) -> RunSettings:
    return stage.model_copy(update={"cold_start": stage.cold_start.model_copy(update={"enabled": False})})


def _starting_from(policy: Path, stage: RunSettings) -> RunSettings:
    return stage.model_copy(update={"policy": stage.policy.model_copy(update={"path": str(policy)})})


def _referred(stage: RunSettings) -> list[str]:
    """The stages whose policies it names."""
    named = [stage.policy.path, *(teacher.path for teacher in stage.distillation.teachers.values())]
    return [path.removeprefix(STAGE) for path in named if path is not None and path.startswith(STAGE)]


def _with_results(stage: RunSettings, made: Mapping[str, Path]) -> RunSettings:
    """The stage with the folders of checkpoints in place of `stage:<name>`."""

    def folder(path: str | None) -> str | None:
        return str(made[path.removeprefix(STAGE)]) if path is not None and path.startswith(STAGE) else path

    teachers = {n: teacher.model_copy(update={"path": folder(teacher.path)}) for n, teacher in stage.distillation.teachers.items()}
    policy = stage.policy.model_copy(update={"path": folder(stage.policy.path)})
    return stage.model_copy(update={"policy": policy, "distillation": stage.distillation.model_copy(update={"teachers": teachers})})


def _result(folder: RunFolder, stage: str) -> Path:
    """The policy that a finished run made: that of supervised training, or of its newest checkpoint."""
    supervised = folder.path / "policy"
    if supervised.is_dir():
        return supervised
    checkpoint = newest_checkpoint(folder.path / "checkpoints", lambda warning: None)
    if checkpoint is None:
        raise ConfigError(f"stages.{stage}: {folder.path} ended without a policy: no policy/ and no checkpoint")
    return checkpoint.policy


def _report(folders: Mapping[str, RunFolder], path: Path) -> None:
    """Held-out accuracy of every task before the first stage and after each, and the seconds that each trained, evaluations excluded."""
    rows: list[tuple[str, Evaluation]] = []
    for name, folder in folders.items():
        evaluations = folder.evaluations()
        rows += [("before", evaluations[0])] if not rows else []
        rows.append((name, evaluations[-1]))
    tasks = tuple(dict.fromkeys(task for _, evaluation in rows for task in evaluation.tasks))
    header = ["stage", *tasks, "all tasks", "training, s"]
    cells = [[name, *(_percent(e, task) for task in tasks), _percent(e, None), f"{e.train_s:.0f}"] for name, e in rows]
    lines = [header, ["---"] * len(header), *cells]
    path.write_text("".join(f"| {' | '.join(line)} |\n" for line in lines))
    table = Table(*header)
    for row in cells:
        table.add_row(*row)
    plain_console().print(table)


def _percent(evaluation: Evaluation, task: str | None) -> str:
    accuracy = evaluation.accuracy(task)
    return "" if accuracy is None else f"{accuracy:.1%}"
