"""vLLM's scheduler for the CPU: a prompt is computed whole or not yet.

vLLM samples a token that it throws away from a prompt that is only partly computed, and then turns the sample's random stream back; the
random streams of the CPU cannot be turned back, and the engine dies of it. `enable_chunked_prefill=False` prevents that for text; images
can still cut a prompt, where the encoder's budget of a step ends.
"""

from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request


class WholePromptScheduler(Scheduler):  # type: ignore[misc]
    def _try_schedule_encoder_inputs(
        self, request: Request, num_computed_tokens: int, num_new_tokens: int, encoder_compute_budget: int, shift_computed_tokens: int = 0
    ) -> tuple[list[int], int, int, list[int]]:
        scheduled: tuple[list[int], int, int, list[int]] = super()._try_schedule_encoder_inputs(
            request, num_computed_tokens, num_new_tokens, encoder_compute_budget, shift_computed_tokens
        )
        if scheduled[1] < num_new_tokens:
            return [], 0, encoder_compute_budget, []
        return scheduled
