"""A small OpenAI-compatible server that answers what it is told, and remembers what it was asked."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rewards.judge.settings import JudgeSettings, Limits, Mode, Sampling


@dataclass(frozen=True)
class Scripted:
    """One answer of the server. `body` takes the place of a completion with `content`."""

    content: str = '{"score": 8}'
    status: int = 200
    body: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_s: float = 0.0
    finish_reason: str = "stop"
    refusal: str | None = None
    tokens: int | None = 30


Script = Callable[[int, dict], Scripted]
"""From the number of the request (0 first) and its body to the answer."""


class JudgeServer:
    def __init__(self, script: Script) -> None:
        self._script = script
        self.bodies: list[dict] = []
        self.keys: list[str] = []
        self.most_at_once = 0
        self._now = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                assert head.startswith("POST /v1/chat/completions ")
                self.keys.append(headers.get("authorization", ""))
                writer.write(await self._answer(body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, body: dict) -> bytes:
        self.bodies.append(body)
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        try:
            answer = self._script(len(self.bodies) - 1, body)
            await asyncio.sleep(answer.delay_s)
        finally:
            self._now -= 1
        text = completion(answer) if answer.body is None else answer.body
        headers = {"content-type": "application/json", "content-length": str(len(text.encode())), **answer.headers}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"HTTP/1.1 {answer.status} Answer\r\n{lines}\r\n{text}".encode()


def completion(answer: Scripted) -> str:
    message = {"role": "assistant", "content": answer.content, "refusal": answer.refusal}
    usage = {} if answer.tokens is None else {"usage": {"total_tokens": answer.tokens}}
    return json.dumps(
        {
            "id": "c",
            "object": "chat.completion",
            "choices": [{"index": 0, "message": message, "finish_reason": answer.finish_reason}],
            **usage,
        }
    )


@asynccontextmanager
async def serving(script: Script | Scripted) -> AsyncIterator[JudgeServer]:
    told = script if callable(script) else lambda number, body: script
    server = JudgeServer(told)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield server
    finally:
        listener.close()


def judge_settings(
    url: str = "", *, mode: Mode = "live", record: str = "", template: str = "reference_points", structured: bool = True, attempts: int = 3,
    timeout_s: float = 5.0, concurrency: int = 4, max_calls: int = 0, max_tokens: int = 0, model: str = "judge-1", send_images: bool = True,
) -> JudgeSettings:  # fmt: skip
    limits = Limits(concurrency, attempts, timeout_s, max_calls, max_tokens)
    return JudgeSettings(model, url, template, mode, record, send_images, Sampling(0.0, 256, structured), limits)
