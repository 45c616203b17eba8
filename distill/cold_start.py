"""The cold start of a run: supervised training on a small fixed set of demonstrations, cached by content."""

import asyncio
import hashlib
import json
from pathlib import Path

from distill.conversation import Conversation, encode
from distill.conversation_sources import WorkedExamples
from distill.imitated import Imitated, Imitation, content, problem_key
from distill.resumable import ResumableTraining
from distill.supervised import Demonstration, SupervisedReport, SupervisedTrainer
from distill.worked_turns import WorkedTurns, record
from rl.assembly import tool_runner, uses_bfloat16
from rl.cached_folder import is_complete, made_once
from rl.config.settings import RunSettings
from rl.config.supervised_settings import SupervisedSettings
from rl.policy import policy_key
from rl.training.tree import Tree
from rollouts.render import Renderer
from rollouts.tools.runner import ToolRunner
from tasks.errors import TaskError

SupervisedTraining = ResumableTraining[SupervisedReport]


async def cold_start(
    settings: RunSettings,
    supervised: SupervisedSettings,
    start: Path,
    imitated: Imitation,
    training: SupervisedTraining,
    *,
    from_trained: bool,
) -> Path:
    """The folder of the best supervised policy that the demonstrations allow, `start` included if it is `from_trained`; made once for equal
    content.
    """
    if not imitated:
        raise TaskError("no task has demonstrations of its own to train on; give cold_start.data, or cold_start.enabled=false")
    folder = settings.cache / "cold_starts" / content_key(settings, supervised, policy_key(start), imitated)
    if not is_complete(folder):
        with made_once(folder) as work:
            await _train(settings, supervised, start, imitated, work, training, None, from_trained=from_trained)
            if not work.exists():
                raise ValueError("no checkpoint of the supervised training had a finite validation loss; lower its optimizer.lr")
    return folder


async def further_supervised(
    settings: RunSettings, start: Path, imitated: Imitation, seconds: float, training: SupervisedTraining, folder: Path
) -> Path:
    """The control of equal compute: `seconds` more on the same demonstrations, at the rate the cold start ended with.

    The checkpoint with the lowest validation loss is kept here too, be it the cold start itself.
    """
    cold = settings.cold_start
    optimizer = cold.optimizer.model_copy(update={"lr": cold.optimizer.lr * cold.optimizer.final_lr_share, "decay": "constant"})
    longer = cold.model_copy(update={"optimizer": optimizer, "steps": 1_000_000, "patience": 1_000_000, "long_share": 1.0})
    await _train(settings, longer, start, imitated, folder, training, seconds, from_trained=True)
    return folder if folder.exists() else start


async def _train(
    settings: RunSettings,
    supervised: SupervisedSettings,
    start: Path,
    imitated: Imitation,
    folder: Path,
    training: SupervisedTraining,
    seconds: float | None,
    *,
    from_trained: bool,
) -> None:
    bfloat16, seed = uses_bfloat16(settings), settings.seed

    def build(policy: Path | None) -> SupervisedTrainer:
        demonstrations = asyncio.run(encode_demonstrations(settings, start, imitated))
        return SupervisedTrainer(
            policy or start, supervised, settings.learner, demonstrations, seed, folder, bfloat16=bfloat16, from_trained=from_trained
        )

    await training.run(content_key(settings, supervised, policy_key(start), imitated), build, seconds)


async def encode_demonstrations(settings: RunSettings, path: Path, imitated: Imitation) -> list[Demonstration]:
    """What is trained on, for the tokenizer and the images of the checkpoint in `path`."""
    renderer = Renderer(path)
    async with tool_runner(settings) as runner:
        return [
            # A family's examples are different problems, as it tells them apart: by more than what they show.
            Demonstration(tree, str(number) if isinstance(imitated, WorkedExamples) else problem_key(one))
            for number, one in enumerate(imitated)
            for tree in await _trees(settings, one, renderer, runner)
        ]


async def _trees(settings: RunSettings, one: Imitated, renderer: Renderer, runner: ToolRunner) -> list[Tree]:
    if isinstance(one, Conversation):
        return encode(one, renderer)
    return [await record(settings, one, renderer, runner)]


def content_key(settings: RunSettings, supervised: SupervisedSettings, start_key: str, imitated: Imitation) -> str:
    """What a cold start is made of, as a name: tools count where demonstrations call them, since what these return is trained with."""
    with_tools = any(isinstance(one, WorkedTurns) for one in imitated)
    tools = settings.rollout.tools.model_dump(mode="json") if with_tools else None
    digest = hashlib.sha256(
        json.dumps([start_key, supervised.model_dump(mode="json"), settings.seed, tools, uses_bfloat16(settings), 6]).encode()
    )
    for one in imitated:
        for piece in content(one):
            digest.update(piece)
    return digest.hexdigest()[:16]
