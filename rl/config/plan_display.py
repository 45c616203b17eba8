"""The plan, printed."""

from rich.console import Console, ConsoleRenderable, Group
from rich.table import Table
from rich.text import Text

from rl.config.plan import Plan
from rl.config.processes import Actor
from rl.config.settings import STAGE


def print_plan(plan: Plan, console: Console) -> None:
    console.print(render_plan(plan))


def render_plan(plan: Plan) -> ConsoleRenderable:
    """Policy, processes, tasks, stages and warnings, one under the other."""
    parts: list[ConsoleRenderable] = [
        Text(f"plan of {plan.name!r} (nothing is started)", "bold"),
        Text(f"policy: {plan.policy}, {_parameters(plan)}\n"),
        _processes(plan),
        Text(""),
        _tasks(plan),
        Text(""),
        _stages(plan),
    ]
    if plan.warnings:
        parts.append(Text(""))
    parts += [Text(f"warning: {warning}", "yellow") for warning in plan.warnings]
    return Group(*parts)


def _parameters(plan: Plan) -> str:
    if plan.policy.startswith(STAGE):
        return "made by that stage"
    if plan.shape is None:
        return "not on this machine: it will be downloaded, and its size is not known"
    return f"{plan.shape.parameters / 1e6:,.2f} M parameters, {plan.shape.vision_parameters / 1e6:,.2f} M of them the vision tower's"


def _processes(plan: Plan) -> Table:
    table = _table("process", "", "CPUs", "GPUs", "threads", "memory, GiB (rough)")
    for actor in plan.actors:
        table.add_row(actor.role, f"x {actor.count}", str(actor.cpus), f"{actor.gpus:g}", str(actor.threads), _memory(actor))
    machine = plan.machine
    total = f"{plan.memory_gib:.1f}" if plan.memory_gib is not None else "?"
    table.add_row("in all", "", "", "", "", f"{total} of {machine.memory_gib:.1f}", style="bold")
    table.caption = f"this machine: {machine.cores} cores, {machine.gpus} GPUs"
    return table


def _memory(actor: Actor) -> str:
    return "?" if actor.memory_gib is None else f"{actor.memory_gib:.2f}"


def _tasks(plan: Plan) -> Table:
    table = _table("task", "from", "groups a batch", "problems to train on", "held out")
    for task in plan.tasks:
        table.add_row(task.name, task.origin, str(task.groups), task.problems, f"{task.heldout:,}")
    return table


def _stages(plan: Plan) -> Table:
    table = _table("stage", "", "rollouts", "tokens, at most")
    for stage in plan.stages:
        table.add_row(stage.name, stage.amount, f"{stage.rollouts:,}" if stage.rollouts else "", _tokens(stage.max_tokens))
    rollouts, tokens = (sum(stage.rollouts for stage in plan.stages), sum(stage.max_tokens for stage in plan.stages))
    table.add_row("in all", "", f"{rollouts:,}", _tokens(tokens), style="bold")
    if plan.refills:
        table.caption = "with loop.refill, groups of equal rewards are sampled anew on top"
    return table


def _tokens(number: int) -> str:
    return f"{number:,}" if number else ""


def _table(first: str, second: str, *numbers: str) -> Table:
    table = Table(first, second, box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0), caption_justify="left")
    for name in numbers:
        table.add_column(name, justify="right")
    return table
