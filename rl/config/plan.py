"""What a run will do and need, worked out from its settings before anything is started: `dry_run=true` prints it."""

from dataclasses import dataclass

from rl.config.plan_warnings import warnings
from rl.config.policy_shape import PolicyShape, policy_shape
from rl.config.processes import Actor, Machine, processes, this_machine
from rl.config.settings import RunSettings
from rl.config.supervised_settings import DemonstrationSettings
from rl.config.task_settings import TaskSettings
from tasks.mixture import slots


@dataclass(frozen=True, slots=True)
class StagePlan:
    """`rollouts` and `max_tokens` are 0 where nothing is sampled; groups that are refilled come on top."""

    name: str
    amount: str
    rollouts: int
    max_tokens: int


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """`origin` is the family or the data; `groups` of every batch are this task's; `problems` says how many there are to train on."""

    name: str
    origin: str
    groups: int
    problems: str
    heldout: int


@dataclass(frozen=True, slots=True)
class Plan:
    """`shape` is None for a checkpoint that is not on this machine; `refills` says whether more may be sampled than `stages` count."""

    name: str
    policy: str
    shape: PolicyShape | None
    machine: Machine
    actors: tuple[Actor, ...]
    tasks: tuple[TaskPlan, ...]
    stages: tuple[StagePlan, ...]
    refills: bool
    warnings: tuple[str, ...]

    @property
    def memory_gib(self) -> float | None:
        """All actors together; None where the policy's shape is unknown."""
        known = [actor.count * actor.memory_gib for actor in self.actors if actor.memory_gib is not None]
        return sum(known) if len(known) == len(self.actors) else None


def plan(settings: RunSettings, machine: Machine | None = None) -> Plan:
    """The plan on this machine, or on another. Families, rewards and files were found when the settings were loaded."""
    machine = machine or this_machine()
    shape = policy_shape(settings.policy)
    actors = processes(settings, shape, machine)
    return Plan(
        name=settings.name,
        policy=settings.policy.path or "a tiny Qwen3-VL, built here",
        shape=shape,
        machine=machine,
        actors=actors,
        tasks=_tasks(settings),
        stages=_stages(settings),
        refills=settings.uses_loop and settings.loop.refill,
        warnings=tuple(warnings(settings, shape, machine, actors)),
    )


def _tasks(settings: RunSettings) -> tuple[TaskPlan, ...]:
    groups = slots(settings.weights, settings.loop.groups_per_batch)
    return tuple(
        TaskPlan(name, task.family or task.data or "", groups.get(name, 0), _problems(task, settings), task.heldout)
        for name, task in settings.tasks.items()
    )


def _problems(task: TaskSettings, settings: RunSettings) -> str:
    if not task.weight:
        return "none"
    if task.family is not None and not settings.query_filter.enabled:
        return "ever new ones"
    return "all rows" if task.filtered is None else f"{task.filtered:,}"


def _stages(settings: RunSettings) -> tuple[StagePlan, ...]:
    cold, evaluation, off = settings.cold_start, settings.evaluation, settings.distillation.off_policy
    heldout = sum(task.heldout for task in settings.tasks.values())
    first = ("cold start", _supervised(cold), 0)
    stages = [first] if cold.enabled and settings.method != "sft" else []
    trained_here = {
        name: teacher for name, teacher in settings.distillation.teachers.items() if teacher.path is None and settings.uses_teachers
    }
    stages += [(f"teacher {name}", _supervised(teacher.cold_start), 0) for name, teacher in trained_here.items()]
    stages.append(("evaluation before", _times(heldout, evaluation.final_samples), heldout * evaluation.final_samples))
    if settings.further_supervised_s is not None:
        stages.append(("further supervised training", f"{settings.further_supervised_s:g} s", 0))
    elif settings.method == "sft":
        stages.append(first)
    elif settings.method == "off_policy_distill":
        asked, answers = off.problems * len(settings.weights), off.samples * len(off.modes)
        stages.append(("teachers' answers", _times(asked, answers), asked * answers))
        stages.append(("imitation", f"{off.supervised.steps:,} steps of {off.supervised.batch_size}", 0))
    elif settings.method == "dpo":
        stages += _preference_stages(settings)
    else:
        stages += _loop_stages(settings, heldout)
    stages.append(("evaluation after", _times(heldout, evaluation.final_samples), heldout * evaluation.final_samples))
    return tuple(StagePlan(name, amount, rollouts, rollouts * settings.rollout.max_tokens) for name, amount, rollouts in stages)


def _preference_stages(settings: RunSettings) -> list[tuple[str, str, int]]:
    preferences = settings.preferences
    training = ("preference optimisation", f"{preferences.steps:,} steps of {preferences.batch_size} pairs", 0)
    if preferences.data is not None:
        return [training]
    asked = preferences.problems * len(settings.weights)
    return [("answers to compare", _times(asked, preferences.samples), asked * preferences.samples), training]


def _loop_stages(settings: RunSettings, heldout: int) -> list[tuple[str, str, int]]:
    query_filter, loop, evaluation = settings.query_filter, settings.loop, settings.evaluation
    stages = []
    if query_filter.enabled:
        pools = {name: settings.tasks[name].filtered for name in settings.weights}
        pool = sum(number or 0 for number in pools.values())
        whole = [f"all rows of {name}" for name, number in pools.items() if number is None]
        amount = " and ".join([_times(pool, query_filter.samples)] * bool(pool) + whole)
        stages.append(("query filter", amount, pool * query_filter.samples))
    name = "reinforcement learning" if settings.uses_rewards else "on-policy distillation"
    amount = f"{loop.steps} steps of {_times(loop.groups_per_batch, settings.rollout.group_size)}"
    stages.append((name, amount, loop.steps * loop.groups_per_batch * settings.rollout.group_size))
    during = (loop.steps - 1) // evaluation.every
    stages.append(("evaluation during", f"{during} x {_times(heldout, evaluation.samples)}", during * heldout * evaluation.samples))
    return stages


def _supervised(settings: DemonstrationSettings) -> str:
    examples = settings.data or f"{settings.demonstrations} examples"
    return f"{settings.steps:,} steps of {settings.batch_size}, {examples}"


def _times(problems: int, samples: int) -> str:
    return f"{problems:,} problems x {samples}"
