"""Who writes answers for off-policy distillation: a checkpoint on our engines, or a model behind an OpenAI-compatible server."""

import asyncio
import base64
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol

import openai
import PIL.Image

from rewards.answer import CLOSE, OPEN
from rollouts.generator import Generator, Request, Sampling
from rollouts.render import Renderer
from rollouts.rollout import Rollout
from rollouts.seeds import request_seed
from rollouts.turns import TurnLoop
from tasks.message import ExecutedCall, ImagePart, Message, TextPart, ToolCall, text_message
from tasks.problem import Problem

CONCURRENCY = 16
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Written:
    """All messages after the prompt, those of tools included, and whether the answer came to its end by itself."""

    response: tuple[Message, ...]
    complete: bool
    executed_calls: tuple[ExecutedCall, ...] = ()

    @property
    def turns(self) -> tuple[str, ...]:
        """What the assistant said."""
        return tuple(message.text for message in self.response if message.role == "assistant")


class Writer(Protocol):
    """`model` names it in the rows, and `server` where it is; None for a checkpoint."""

    @property
    def model(self) -> str: ...

    @property
    def server(self) -> str | None: ...

    async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
        """`samples` answers, from random streams that depend on `stream` and the problem's id alone (as far as a server keeps to seeds).

        `thinking` is how the chat template asks; problems with tools are played with it.
        """
        ...


class EngineWriter:
    """A checkpoint with its own tokenizer and chat template: any one will do, since only text leaves it.

    `turns` plays problems with tools.
    """

    def __init__(self, model: str, generator: Generator, renderer: Renderer, sampling: Sampling, turns: TurnLoop) -> None:
        self.model = model
        self.server = None
        self._generator = generator
        self._renderer = renderer
        self._sampling = sampling
        self._turns = turns

    async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
        if problem.tools:
            opening = self._turns.opening(problem)
            played = await asyncio.gather(*(self._turns.rollout(opening, index, stream) for index in range(samples)))
            return [self._written(rollout) for rollout in played]
        images = self._renderer.seen([image for message in problem.messages for image in message.images])
        prompt = self._renderer.prompt_ids(problem.messages, thinking=thinking)
        generated = await self._generator.generate(Request(prompt, images, self._sampling, samples, request_seed(stream, problem.id)))
        of_prompt = self._renderer.opening if thinking else ""
        said = [_opened(self._renderer.sampled_message(c.token_ids), of_prompt) for c in generated.continuations]
        return [Written((message,), c.finish == "stop") for message, c in zip(said, generated.continuations, strict=True)]

    def _written(self, rollout: Rollout) -> Written:
        said = tuple(_opened(message, self._renderer.opening) if message.role == "assistant" else message for message in rollout.response)
        return Written(said, not rollout.is_over_limit, rollout.executed_calls)


class ServerWriter:
    """`OPENAI_API_KEY` is sent where it is set. Requests that fail in passing are repeated by the client.

    Raises `ValueError` where the server takes no such request: a prompt that is too long, or an image that it cannot read.
    """

    def __init__(self, model: str, base_url: str, temperature: float, max_tokens: int) -> None:
        self.model = model
        self.server = base_url
        self._temperature = temperature
        self._max_tokens = max_tokens
        self._client = openai.AsyncOpenAI(base_url=base_url, api_key=os.environ.get("OPENAI_API_KEY", "none"), max_retries=ATTEMPTS)
        self._slots = asyncio.Semaphore(CONCURRENCY)

    async def write(self, problem: Problem, samples: int, stream: str, *, thinking: bool) -> list[Written]:
        seed = request_seed(stream, problem.id) % (1 << 31)
        return list(await asyncio.gather(*(self._one(problem.messages, seed + i, thinking) for i in range(samples))))

    async def _one(self, messages: Sequence[Message], seed: int, thinking: bool) -> Written:
        body: dict[str, object] = {
            "model": self.model,
            "messages": _as_chat(messages),
            "temperature": self._temperature,
            "max_tokens": self._max_tokens,
            "seed": seed,
        }
        if not thinking:
            # vLLM's and SGLang's name for what they pass on to the chat template.
            body["chat_template_kwargs"] = {"enable_thinking": False}
        async with self._slots:
            try:
                answer = await self._client.post("/chat/completions", body=body, cast_to=openai.types.chat.ChatCompletion)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                raise ValueError(f"the server refused the request: {error.message}") from error
        choice = answer.choices[0]
        # Servers that take the thinking out of the text give it beside, by one of two names; vLLM's is `reasoning`.
        thought = getattr(choice.message, "reasoning", None) or getattr(choice.message, "reasoning_content", None)
        text = choice.message.content or ""
        said = text_message("assistant", f"<think>\n{thought}\n</think>\n\n{text}" if thought else text)
        return Written((_opened(said, "<think>\n" if CLOSE in text and OPEN not in text else ""),), choice.finish_reason == "stop")


def _opened(said: Message, opening: str) -> Message:
    """With the opening of its thinking, where the prompt ended with that."""
    is_opened = not opening or said.text.lstrip().startswith(OPEN)
    return said if is_opened else replace(said, parts=(TextPart(opening + said.text),))


def _as_chat(messages: Sequence[Message]) -> list[dict[str, object]]:
    """Tools' messages answer the calls in the order of these, so both are numbered alike."""
    calls, returned = count(), count()
    chat: list[dict[str, object]] = []
    for message in messages:
        content = [_as_part(part) for part in message.parts] if message.images else message.text
        chat.append({"role": message.role, "content": content})
        if message.tool_calls:
            chat[-1]["tool_calls"] = [_as_call(call, f"call_{next(calls)}") for call in message.tool_calls]
        if message.role == "tool":
            chat[-1]["tool_call_id"] = f"call_{next(returned)}"
    return chat


def _as_call(call: ToolCall, name: str) -> dict[str, object]:
    return {"id": name, "type": "function", "function": {"name": call.name, "arguments": json.dumps(call.arguments)}}


def _as_part(part: TextPart | ImagePart) -> dict[str, object]:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    return {"type": "image_url", "image_url": {"url": _data_url(part.image)}}


def _data_url(image: PIL.Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
