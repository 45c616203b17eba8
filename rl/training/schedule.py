"""Learning rate over the optimizer steps."""

import math
from collections.abc import Callable

from rl.config.supervised_settings import OptimizerSettings


def learning_rate(settings: OptimizerSettings, step: int, total_steps: int) -> float:
    """The rate of step `step`, counted from 0: linear warm-up to the peak, then the decay, which ends at `final_lr_share` of it."""
    if step < settings.warmup_steps:
        return settings.lr * (step + 1) / settings.warmup_steps
    progress = min(1.0, (step - settings.warmup_steps) / max(1, total_steps - 1 - settings.warmup_steps))
    final = settings.final_lr_share
    return settings.lr * (final + (1.0 - final) * _REMAINING[settings.decay](progress)) if settings.decay != "constant" else settings.lr


_REMAINING: dict[str, Callable[[float], float]] = {
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: 0.5 * (1.0 + math.cos(math.pi * progress)),
}
