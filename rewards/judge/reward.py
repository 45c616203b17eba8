"""The reward `judge`: a judge model compares the answer with the reference answers.

It runs in the caller's event loop. Judges with equal settings share one client, one record and one budget per process.
"""

import asyncio

from rewards.judge.budget import Budget
from rewards.judge.judging import Judge
from rewards.judge.settings import JudgeSettings, Limits, Mode, Sampling
from rewards.outcome import Outcome
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import TextTarget

_budgets: dict[JudgeSettings, Budget] = {}
_judges: dict[asyncio.AbstractEventLoop, dict[JudgeSettings, Judge]] = {}


@reward("judge", target=TextTarget, images=True, own_limit=True)
async def grade_by_judge(
    target: TextTarget,
    transcript: Transcript,
    *,
    model: str = "",
    base_url: str = "",
    template: str = "reference_points",
    mode: Mode = "live",
    record: str = "",
    send_images: bool = True,
    temperature: float = 0.0,
    max_tokens: int = 1024,
    structured: bool = True,
    concurrency: int = 16,
    attempts: int = 5,
    request_timeout_s: float = 60.0,
    max_calls: int = 0,
    max_total_tokens: int = 0,
) -> Outcome:
    """The judge's score, from 0 to 1; right from the template's `pass_at` on. The key is read from OPENAI_API_KEY."""
    sampling = Sampling(temperature, max_tokens, structured)
    limits = Limits(concurrency, attempts, request_timeout_s, max_calls, max_total_tokens)
    settings = JudgeSettings(model, base_url, template, mode, record, send_images, sampling, limits)
    return await judge_of(settings).grade(target, transcript)


def judge_of(settings: JudgeSettings) -> Judge:
    """The judge of these settings in the running event loop."""
    loop = asyncio.get_running_loop()
    for ended in [known for known in list(_judges) if known.is_closed()]:
        for judge in _judges.pop(ended, {}).values():
            judge.close()
    judges = _judges.setdefault(loop, {})
    if settings not in judges:
        judges[settings] = _new_judge(settings)
    return judges[settings]


def _new_judge(settings: JudgeSettings) -> Judge:
    if not settings.asks:
        return Judge(settings, None)
    from rewards.judge.client import JudgeClient  # the client's library takes half a second to import, and a replay needs none of it

    budget = _budgets.setdefault(settings, Budget(settings.limits.max_calls, settings.limits.max_total_tokens))
    return Judge(settings, JudgeClient(settings.base_url, settings.limits, budget).ask)
