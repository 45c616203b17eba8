"""The folder of a run, `runs/<name>/`: what lies where, and whose it is.

    config.yaml                  the resolved settings
    cold_start.jsonl             one JSON object a step of the supervised cold start
    further_supervised.jsonl     the same of the control that goes on with supervised training
    imitation.jsonl              the same of supervised training on teachers' answers
    preferences.jsonl            a line for each report of preference optimisation
    teacher_answers.jsonl        one JSON object an answer: its text, where it comes from, what became of it
    policy/                      the result of supervised training, a Hugging Face checkpoint
    unfinished/<training>/       the newest checkpoint of training outside of the loop, while that lasts
    pass_rates.jsonl             one JSON object a query: what the query filter decided by
    metrics.jsonl                one JSON object a step
    evaluations.jsonl            one JSON object an evaluation, problem by problem
    rollouts/step_000010.jsonl   readable rollouts, with rollouts/images/<pixels>.png
    tensorboard/                 events
    report.html                  all of it in one page (`rl.report`)

`rl.records.run_records` writes it; reading needs no more than this file.
"""

import fcntl
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import yaml
from omegaconf import OmegaConf
from pydantic import JsonValue, TypeAdapter, ValidationError

from rl.config.settings import RunSettings
from rl.records.evaluation_record import Evaluation
from rl.records.json_lines import read_lines, replace_bytes
from rl.records.rollout_records import IMAGES, RolloutRecord, read_rollouts
from rl.records.step_log import StepMetrics, read_step_log

FREE_KEYS = frozenset({"name", "runs", "cache", "dry_run", "records", "checkpoint", "gpu_share"})
"""Settings that may change when a run is continued: they do not change what it computes."""

TrainingStage: TypeAlias = Literal["cold_start", "further_supervised", "imitation", "preferences"]
"""Training outside of the loop; each logs to a file of its name."""

EVALUATION = TypeAdapter(Evaluation)
_CONFIG: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class RunFolderError(Exception):
    """The folder cannot be used for this run; the message says how to go on."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    path: Path

    @property
    def config_path(self) -> Path:
        return self.path / "config.yaml"

    @property
    def metrics_path(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def evaluations_path(self) -> Path:
        return self.path / "evaluations.jsonl"

    @property
    def images_path(self) -> Path:
        return self.path / "rollouts" / IMAGES

    @property
    def report_path(self) -> Path:
        return self.path / "report.html"

    def rollouts_path(self, step: int) -> Path:
        return self.path / "rollouts" / f"step_{step:06d}.jsonl"

    def rollout_steps(self) -> tuple[int, ...]:
        """The steps whose rollouts were recorded, in order."""
        return tuple(sorted(int(path.stem.removeprefix("step_")) for path in (self.path / "rollouts").glob("step_*.jsonl")))

    def config(self) -> dict[str, JsonValue]:
        """The resolved settings that the run was started with."""
        if not self.config_path.exists():
            raise RunFolderError(f"{self.path} is no run folder: it has no {self.config_path.name}")
        return _CONFIG.validate_python(yaml.safe_load(self.config_path.read_text(encoding="utf-8")) or {})

    def metrics(self) -> tuple[StepMetrics, ...]:
        return tuple(read_step_log(self.metrics_path))

    def training_path(self, stage: TrainingStage) -> Path:
        return self.path / f"{stage}.jsonl"

    def training(self, stage: TrainingStage) -> tuple[StepMetrics, ...]:
        """What a stage outside of the loop logged; nothing where it was not part of the run."""
        return tuple(read_step_log(self.training_path(stage)))

    def evaluations(self) -> tuple[Evaluation, ...]:
        """All evaluations in the order of their steps; one that was made again replaces the earlier."""
        found = (EVALUATION.validate_json(line) for line in read_lines(self.evaluations_path))
        latest = {(evaluation.step, evaluation.stage): evaluation for evaluation in found}
        order = ("before", "during", "after")
        return tuple(sorted(latest.values(), key=lambda e: (e.step, order.index(e.stage))))

    @property
    def is_done(self) -> bool:
        """Whether its last evaluation is there."""
        return any(evaluation.stage == "after" for evaluation in self.evaluations())

    def rollouts(self, step: int) -> tuple[RolloutRecord, ...]:
        return tuple(read_rollouts(self.rollouts_path(step)))

    @contextmanager
    def claimed(self, config: Mapping[str, JsonValue]) -> Iterator[None]:
        """Makes the folder this run's alone while the context lasts, and writes `config.yaml`.

        A folder with the same settings is continued (`FREE_KEYS` may differ). Raises `RunFolderError` where another run's settings
        or another live process holds it, or nothing can be written there.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            opened = open(self.path / ".lock", "a+b")  # noqa: SIM115
        except OSError as error:
            raise RunFolderError(f"{self.path} cannot be written: {error.strerror}; choose another place: runs=<folder>") from error
        with opened as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.seek(0)
                owner = lock.read().decode(errors="replace").strip() or "unknown"
                raise RunFolderError(f"{self.path} is in use by process {owner}; {self._another_name()}") from error
            lock.truncate(0)
            lock.write(str(os.getpid()).encode())
            lock.flush()
            self.check_config(config)
            # Written by what reads settings: to PyYAML a text such as 0E0 is no number, and needs no quotes.
            replace_bytes(self.config_path, OmegaConf.to_yaml(OmegaConf.create(dict(config))).encode())
            yield

    def check_config(self, config: Mapping[str, JsonValue]) -> None:
        """Raises `RunFolderError` where the folder holds a run with other settings."""
        if not self.config_path.exists():
            return
        there, now = _flat(_completed(self.config())), _flat(yaml.safe_load(yaml.safe_dump(dict(config))))
        known = [key for key in {**there, **now} if key.split(".")[0] not in FREE_KEYS]
        differing = [key for key in known if there.get(key) != now.get(key)]
        if differing:
            lines = [f"  {key}: {there.get(key, '(absent)')} there, {now.get(key, '(absent)')} now" for key in differing[:20]]
            lines += [f"  and {len(differing) - 20} more"] if len(differing) > 20 else []
            head = f"{self.path} holds a run with other settings:"
            longer = [self._more_steps()] if "loop.steps" in differing else []
            raise RunFolderError("\n".join([head, *lines, f"Continue it with its own settings, or {self._another_name()}", *longer]))

    def _more_steps(self) -> str:
        """The schedule of the learning rate ends at `loop.steps`, so that more of them are a run of their own."""
        newest = max((self.path / "checkpoints").glob("step_*/policy"), default=None)
        if newest is None:
            return "The number of steps is part of the learning rate's schedule, so it cannot change within a run"
        return (
            "The number of steps is part of the learning rate's schedule, so it cannot change within a run; a new run goes on from this "
            f"one's policy, with an optimizer and a schedule of its own: policy.path={newest} cold_start.enabled=false"
        )

    def _another_name(self) -> str:
        number = 2
        while self.path.with_name(f"{self.path.name}-{number}").exists():
            number += 1
        return f"start a new run under another name: name={self.path.name}-{number}"


def _completed(config: Mapping[str, JsonValue]) -> Mapping[str, JsonValue]:
    """With the defaults of keys that a folder of an older version lacks; as it is, where that version had others than these."""
    try:
        return RunSettings.model_validate(config).model_dump(mode="json")
    except ValidationError:
        return config


def _flat(config: Mapping[str, JsonValue], prefix: str = "") -> dict[str, str]:
    """Dotted key -> value as YAML shows it; an empty mapping is a value."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = yaml.safe_dump(value, default_flow_style=True).removesuffix("\n...\n").strip()
    return found
