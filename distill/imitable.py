"""Whether a student can say what a teacher wrote."""

from collections.abc import Sequence

from distill.worked_turns import WorkedTurns, record
from rl.config.settings import RunSettings
from rollouts.render import Renderer
from rollouts.tools.runner import ToolRunner
from tasks.problem import Problem


async def unfit(settings: RunSettings, problem: Problem, turns: Sequence[str], renderer: Renderer, runner: ToolRunner) -> str | None:
    """What keeps the student, whose renderer is given, from it: `special_token` or `over_limit`; None where nothing does.

    Turns that call tools are played once, as they will be where they are trained on.
    """
    if any(token in turn for token in renderer.control_tokens for turn in turns):
        return "special_token"
    if problem.tools:
        try:
            await record(settings, followed(problem, turns), renderer, runner)
        except ValueError:
            return "over_limit"
    return None


def followed(problem: Problem, turns: Sequence[str]) -> WorkedTurns:
    """The turns of an agent that met failing calls too."""
    return WorkedTurns(problem.messages, tuple(turns), problem.tools, may_fail=True)
