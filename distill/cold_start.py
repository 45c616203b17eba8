"""The cold start of a run: supervised training on a small fixed set of demonstrations, cached by content."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distill.supervised import Demonstration, SupervisedReport, SupervisedTrainer
from rl.assembly import uses_bfloat16
from rl.cluster import RayObject
from rl.config.settings import ColdStartSettings, RunSettings
from rl.training.model import TreeEncoder
from rl.training.tree import Stretch, Tree
from rollouts.render import Renderer
from tasks.message import Message


@dataclass(frozen=True, slots=True)
class WorkedAnswer:
    """A conversation, and what the assistant should say next."""

    messages: tuple[Message, ...]
    answer: str


Report = Callable[[SupervisedReport], None]


async def cold_start(
    settings: RunSettings,
    supervised: ColdStartSettings,
    start: Path,
    start_key: str,
    answers: Sequence[WorkedAnswer],
    trainer: RayObject,
    report: Report,
) -> Path:
    """The folder of the best supervised policy that the demonstrations allow; made once for equal content."""
    folder = settings.cache / "cold_starts" / _content_key(start_key, supervised, answers, settings.seed)
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        await _train(settings, supervised, start, answers, folder, trainer, report, None)
        (folder / "complete").touch()
    return folder


async def further_supervised(
    settings: RunSettings, start: Path, answers: Sequence[WorkedAnswer], seconds: float, trainer: RayObject, report: Report, folder: Path
) -> Path:
    """The control of equal compute: `seconds` more on the same demonstrations, at the rate the cold start ended with.

    The checkpoint with the lowest validation loss is kept here too; where none is better, the cold start itself is the result.
    """
    cold = settings.cold_start
    optimizer = cold.optimizer.model_copy(update={"lr": cold.optimizer.lr * cold.optimizer.final_lr_share, "decay": "constant"})
    longer = cold.model_copy(update={"optimizer": optimizer, "steps": 1_000_000, "patience": 1_000_000, "long_share": 1.0})
    await _train(settings, longer, start, answers, folder, trainer, report, seconds)
    return folder if folder.exists() else start


async def _train(
    settings: RunSettings,
    supervised: ColdStartSettings,
    start: Path,
    answers: Sequence[WorkedAnswer],
    folder: Path,
    trainer: RayObject,
    report: Report,
    seconds: float | None,
) -> None:
    bfloat16, seed = uses_bfloat16(settings), settings.seed

    def build() -> SupervisedTrainer:
        return SupervisedTrainer(start, supervised, encode_answers(start, answers), seed, folder, bfloat16=bfloat16)

    await trainer.start(build)
    began = time.monotonic()
    while True:
        latest = await trainer.call("advance")
        assert isinstance(latest, SupervisedReport)
        report(latest)
        if latest.done or (seconds is not None and time.monotonic() - began >= seconds):
            return


def encode_answers(path: Path, answers: Sequence[WorkedAnswer]) -> list[Demonstration]:
    """Each answer as the policy should sample it: the prompt is attended to, the assistant's tokens are trained on."""
    renderer = Renderer(path)
    encoder = TreeEncoder.on_cpu(path)
    demonstrations = []
    for worked in answers:
        images = tuple(image for message in worked.messages for image in message.images)
        prompt = encoder.expanded(renderer.prompt_ids(worked.messages), images)
        answer = renderer.turn_ids(worked.answer)
        mask = np.arange(len(prompt) + len(answer)) >= len(prompt)
        demonstrations.append(Demonstration(Tree(Stretch(np.array([*prompt, *answer], dtype=np.int64), mask, images))))
    return demonstrations


def _content_key(start_key: str, settings: ColdStartSettings, answers: Sequence[WorkedAnswer], seed: int) -> str:
    digest = hashlib.sha256(json.dumps([start_key, settings.model_dump(mode="json"), seed, 1]).encode())
    for worked in answers:
        digest.update(worked.answer.encode())
        for message in worked.messages:
            digest.update(f"{message.role}\0{message.text}".encode())
            for image in message.images:
                digest.update(repr(image.size).encode() + image.tobytes())
    return digest.hexdigest()[:16]
