"""The program: `python -m rl.run config=reasoning_rl key=value ...`."""

import asyncio
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from rewards.command_line import plain_console
from rewards.errors import RewardError
from rl.config.configure import load, read_layers
from rl.config.error import ConfigError
from rl.config.existence import check_cold_start
from rl.config.plan import plan
from rl.config.plan_display import print_plan
from rl.config.settings import RunSettings
from rl.config.usage import print_usage
from rl.records.run_folder import RunFolder, RunFolderError
from rl.stages import run_stages, stage_settings
from rl.task_pools import filtered_pools
from rl.task_rewards import check_task_rewards
from tasks.build import build_task
from tasks.errors import TaskError
from tasks.table import PREFIX as HUB

MISTAKES = (ConfigError, RunFolderError, TaskError, RewardError)
"""What the user can mend: shown without a traceback."""


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 done, 1 the run failed, 2 the request was wrong, 130 ended by the user."""
    try:
        if print_usage(arguments, plain_console()):
            return 0
        settings = load(arguments)
        if settings.backend == "verl":
            from rl.integrations.verl.launch import run

            run(settings)
            return 0
        if settings.stages:
            layers = read_layers(arguments)
            for stage in stage_settings(settings, layers).values():
                _read_inputs(stage)
            return run_stages(settings, _run_stage, layers)
        return _run_stage(settings)
    except MISTAKES as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:  # Before there was anything to end: imports take seconds.
        return 130


def _run_stage(settings: RunSettings) -> int:
    check_cold_start(settings)
    if settings.dry_run:
        _read_inputs(settings)
        print_plan(plan(settings), plain_console())
        return 0
    folder = RunFolder(settings.runs / settings.name)
    with folder.claimed(settings.model_dump(mode="json")):
        if folder.is_done:
            from rl.report.page import write_missing_report

            write_missing_report(settings, folder)
            print(f"{folder.path} is done; a new run takes another name: name=<name> (its page anew: python -m rl.report {folder.path})")
            return 0
        return _run(settings, folder)


def _read_inputs(settings: RunSettings) -> None:
    """Problems, the rows of local files, the tokenizers of local teachers: what is wrong with them is told for a plan, and before the first
    of several stages. Nothing is fetched from the hub."""
    hub = {name for name, task in settings.tasks.items() if task.data is not None and task.data.startswith(HUB)}
    local = {name: build_task(name, task, settings.seed) for name, task in settings.tasks.items() if name not in hub}
    check_task_rewards({name: task for name, task in local.items() if settings.tasks[name].data is not None})
    filtered_pools(settings.model_copy(update={"tasks": {name: settings.tasks[name] for name in local}}), local)
    cold, pairs = settings.cold_start, settings.preferences.data
    if cold.data is not None and not cold.data.startswith(HUB) and (cold.enabled or settings.method == "sft"):
        from distill.conversation_file import read_conversations

        read_conversations(cold.data)
    if pairs is not None and not pairs.startswith(HUB) and settings.method == "dpo":
        from distill.preference_pairs import read_pairs

        read_pairs(pairs)
    student = settings.policy.path
    paths = {name: teacher.path for name, teacher in settings.distillation.teachers.items() if teacher.path is not None}
    teachers = {name: Path(path) for name, path in paths.items() if Path(path).is_dir()}
    if settings.uses_loop and teachers and not hub and student is not None and Path(student).is_dir():
        from distill.on_policy import check_teachers

        check_teachers(settings, Path(student), teachers, local)


def _run(settings: RunSettings, folder: RunFolder) -> int:
    for warning in plan(settings).warnings:
        print(f"warning: {warning}", file=sys.stderr)
    from rl.recipe import Recipe

    try:
        return asyncio.run(Recipe(settings, folder).run())
    except (asyncio.CancelledError, KeyboardInterrupt):
        return 130
    except MISTAKES:
        raise
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        with suppress(OSError):  # The disk may be full: that is what ended the run, then.
            story = folder.path / "error.txt"
            story.write_text(traceback.format_exc())
            print(f"(the whole story: {story})", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
