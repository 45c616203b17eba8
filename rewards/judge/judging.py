"""One judge: from a transcript to a grade, through the template, the record and the server."""

import unicodedata
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import PIL.Image

from rewards.answer import final_answer
from rewards.judge.record import JudgeRecord
from rewards.judge.reply import Reply
from rewards.judge.request import JudgeRequest, key_of
from rewards.judge.settings import JudgeSettings
from rewards.judge.template import load_template
from rewards.judge.verdict import read_score
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.transcript import Transcript
from tasks.message import Message
from tasks.problem import TextTarget

Ask: TypeAlias = Callable[[JudgeRequest], Awaitable[Reply | Ungraded]]


class Judge:
    """`ask` is the server, None when there must be none. Only one event loop may use it."""

    def __init__(self, settings: JudgeSettings, ask: Ask | None) -> None:
        assert (ask is not None) == settings.asks, "a judge asks the server in the modes live and record, and only there"
        self._settings, self._ask = settings, ask
        self._template = load_template(settings.template)
        self._record = None if settings.mode == "live" else JudgeRecord(settings.record_path, read_only=not settings.asks)
        self._first_miss = ""

    def close(self) -> None:
        if self._record is not None:
            self._record.close()

    async def grade(self, target: TextTarget, transcript: Transcript) -> Outcome:
        """An answer that says nothing is wrong without asking: such answers are known to win over judges."""
        answer = final_answer(transcript.final_text)
        if _says_nothing(answer) and not all(_says_nothing(gold) for gold in target.answers):
            return Grade(0.0, False, answer)
        reply = await self._answered(self.request(target, transcript))
        score = reply if isinstance(reply, Ungraded) else read_score(reply, self._template.scale)
        if isinstance(score, Ungraded):
            return score
        return Grade(score.reward, score.points >= self._template.pass_at, answer, {"score": score.points})

    def request(self, target: TextTarget, transcript: Transcript, sample: int = 0) -> JudgeRequest:
        answer = final_answer(transcript.final_text)
        system, user = self._template.render(_question(transcript.prompt), target.answers, answer)
        sampling = self._settings.sampling
        return JudgeRequest(
            model=self._settings.model,
            system=system,
            user=user,
            images=_images(transcript) if self._settings.send_images else (),
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            structured=sampling.structured,
            scale=self._template.scale,
            template_version=self._template.version,
            sample=sample,
        )

    async def _answered(self, request: JudgeRequest) -> Reply | Ungraded:
        """From the record where it stands there; else from the server, and into the record before anything else."""
        canonical = request.canonical()
        key = key_of(canonical)
        if self._first_miss:
            return Ungraded("judge-miss", f"a strict replay ended with its first miss, request {self._first_miss}")
        known = self._record.find(key) if self._record is not None else None
        if known is not None:
            return known
        if self._ask is None:
            if self._settings.mode == "replay_strict":
                self._first_miss = key
            return Ungraded("judge-miss", f"request {key} is not in {self._settings.record}; answer it with mode=record")
        reply = await self._ask(request)
        if self._record is None or isinstance(reply, Ungraded):
            return reply
        return self._record.keep(canonical, reply)


def _question(prompt: tuple[Message, ...]) -> str:
    """The problem without system messages; with several turns, who says what."""
    turns = [message for message in prompt if message.role != "system"]
    return turns[0].text if len(turns) == 1 else "\n\n".join(f"{turn.role}: {turn.text}" for turn in turns)


def _images(transcript: Transcript) -> tuple[PIL.Image.Image, ...]:
    return tuple(image for message in (*transcript.prompt, *transcript.response) for image in message.images)


def _says_nothing(text: str) -> bool:
    """Only blanks, control characters and punctuation."""
    return all(unicodedata.category(letter)[0] in "PZC" for letter in text)
