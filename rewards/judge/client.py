"""The judge's server: one request with retries, under a limit of concurrency and a budget."""

import asyncio
import os

import openai
import stamina

from rewards.judge.budget import Budget
from rewards.judge.reply import GarbageReplyError, Reply, read_completion
from rewards.judge.request import JudgeRequest
from rewards.judge.settings import Limits
from rewards.outcome import Ungraded

WAIT_FIRST_S, WAIT_MOST_S, JITTER_S = 0.2, 20.0, 0.2
REFUSED_SCHEMA = (400, 422)
DETAIL_CHARS = 300


class BudgetSpentError(Exception):
    """The budget allows no further call."""


class JudgeClient:
    """Belongs to one event loop. A server that rejects structured output is asked without from then on."""

    def __init__(self, base_url: str, limits: Limits, budget: Budget) -> None:
        key = os.environ.get("OPENAI_API_KEY", "none")
        self._client = openai.AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0, timeout=limits.timeout_s)
        self._limits, self._budget = limits, budget
        self._slots = asyncio.Semaphore(limits.concurrency)
        self._has_schemas = True

    async def ask(self, request: JudgeRequest) -> Reply | Ungraded:
        """The answer, or why there is none. The wait for a free slot costs none of the time limit."""
        async with self._slots:
            try:
                return await self._with_retries(request)
            except BudgetSpentError:
                return Ungraded("judge-budget", f"spent: {self._budget}")
            except GarbageReplyError as error:
                return Ungraded("judge-garbage", str(error)[:DETAIL_CHARS])
            except (openai.APITimeoutError, TimeoutError):
                return Ungraded("judge-timeout", f"{self._limits.attempts} attempts of {self._limits.timeout_s:g} s")
            except openai.APIStatusError as error:
                reason = "judge-unreachable" if _is_passing(error) is not False else "judge-rejected"
                return Ungraded(reason, f"status {error.status_code}: {error.message}"[:DETAIL_CHARS])
            except openai.APIConnectionError as error:
                return Ungraded("judge-unreachable", f"{self._client.base_url}: {error.__cause__ or error}"[:DETAIL_CHARS])

    async def _with_retries(self, request: JudgeRequest) -> Reply:
        retries = stamina.retry_context(
            on=_is_passing,
            attempts=self._limits.attempts,
            timeout=None,
            wait_initial=WAIT_FIRST_S,
            wait_max=WAIT_MOST_S,
            wait_jitter=JITTER_S,
        )
        async for attempt in retries:
            with attempt:
                return await self._once(request)
        raise AssertionError("stamina raises the last error")

    async def _once(self, request: JudgeRequest) -> Reply:
        structured = request.structured and self._has_schemas
        try:
            return await self._send(request, structured)
        except openai.APIStatusError as error:
            if not structured or error.status_code not in REFUSED_SCHEMA:
                raise
        reply = await self._send(request, structured=False)
        self._has_schemas = False
        return reply

    async def _send(self, request: JudgeRequest, structured: bool) -> Reply:
        if not self._budget.take_call():
            raise BudgetSpentError
        async with asyncio.timeout(self._limits.timeout_s):  # the client's own limit starts anew with every byte
            text = await self._client.post("/chat/completions", body=request.body(structured), cast_to=str)
        reply = read_completion(text)
        self._budget.add_tokens(reply.tokens, request.system + request.user, reply.content)
        return reply


def _is_passing(error: Exception) -> bool | float:
    """Whether another attempt may do better; in seconds where the server says when."""
    if isinstance(error, openai.APIStatusError):
        if error.status_code not in (408, 409, 429) and error.status_code < 500:
            return False
        after = error.response.headers.get("retry-after", "")
        return min(float(after), WAIT_MOST_S) if after.isascii() and after.isdigit() else True
    return isinstance(error, (openai.APIConnectionError, TimeoutError))
