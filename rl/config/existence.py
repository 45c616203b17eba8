"""Whether what the settings name exists, families, options, data files, plug-ins and rewards, and whether a batch holds every task."""

import difflib
import random
from collections.abc import Iterator
from pathlib import Path

from rewards.errors import RewardError
from rewards.mixture import check_spec, check_target, spec_of
from rewards.plugins import load_plugin
from rl.config.keys import KeyPath
from rl.config.settings import RunSettings
from rl.config.task_settings import TaskSettings
from tasks.errors import TaskError
from tasks.families import make_family
from tasks.mixture import slots
from tasks.table import PREFIX as HUB


def missing(settings: RunSettings) -> Iterator[tuple[KeyPath, str]]:
    """The keys whose value names nothing or does not fit, each with the reason. Imports the plug-ins, which registers their rewards."""
    for spec in settings.rewards.plugins:
        try:
            load_plugin(spec)
        except RewardError as error:
            yield ("rewards", "plugins"), str(error)
    try:
        slots({name: task.weight for name, task in settings.tasks.items()}, settings.loop.groups_per_batch)
    except TaskError as error:
        yield ("loop", "groups_per_batch"), str(error)
    for name, task in settings.tasks.items():
        for path, reason in _missing_in_task(task):
            yield ("tasks", name, *path), reason
    for section, data in (("cold_start", settings.cold_start.data), ("preferences", settings.preferences.data)):
        if data is not None and not data.startswith(HUB) and not Path(data).expanduser().exists():
            yield (section, "data"), _no_file(Path(data))
    for name, teacher in settings.distillation.teachers.items():
        for source in teacher.sources:
            if source not in settings.tasks:
                yield ("distillation", "teachers", name, "sources"), f"there is no task {source!r}; tasks are {', '.join(settings.tasks)}"


def _missing_in_task(task: TaskSettings) -> Iterator[tuple[KeyPath, str]]:
    try:
        family = make_family(task.family, task.options) if task.family is not None else None
    except TaskError as error:
        yield ("options" if task.options and _is_family(task.family) else "family",), str(error)
        return
    for key, reward in (("reward", task.reward), ("heldout_reward", task.heldout_reward)):
        try:
            # A family's own reward grades what it makes; asking would import sympy.
            if reward is not None and family is not None:
                check_target(reward, family.make(random.Random(0)).target)
            elif reward is not None:
                check_spec(spec_of(reward))
        except TaskError as error:
            yield ("family",), str(error)
        except RewardError as error:
            yield (key,), str(error)
    if task.data is not None and not task.data.startswith(HUB) and not Path(task.data).expanduser().exists():
        yield ("data",), _no_file(Path(task.data))


def _is_family(name: str | None) -> bool:
    """True when the family is there, so that a mistake must be in its options."""
    try:
        make_family(name or "", {})
    except TaskError:
        return False
    return True


def _no_file(path: Path) -> str:
    folder = path.expanduser().parent
    if not folder.is_dir():
        return f"there is no file {path}: no folder {folder} seen from {Path.cwd()}"
    near = difflib.get_close_matches(path.name, [other.name for other in folder.iterdir()], n=1)
    return f"there is no file {path}" + (f"; did you mean {folder / near[0]}?" if near else f" seen from {Path.cwd()}")
