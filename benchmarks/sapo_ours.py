"""Our side of `trl_sapo.py`: generators, the signal, the learner, publishing; in one process or as Ray actors."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from sapo_workload import GROUP_SIZE, LEARNING_RATE, UPDATES, Question, RoundReport, Workload, questions, score

if TYPE_CHECKING:
    from rl.graded import GradedGroup
    from rl.training.learner import Learner
    from rollouts.generator import Generator
    from rollouts.render import Renderer
    from rollouts.rollout import RolloutGroup

MAX_MODEL_LEN = 512


def serve(workload: Workload, line: Connection) -> None:
    """Makes a round for every message on the line, and answers with its report."""
    if not workload.replicas:
        # As an actor of rl.cluster has it, which is not imported before this is set.
        os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    asyncio.run(_serve_actors(workload, line) if workload.replicas else _serve_in_process(workload, line))


async def _serve_in_process(workload: Workload, line: Connection) -> None:
    import torch

    generator = build_generator(workload)
    learner = build_learner(workload)
    torch.set_num_threads(workload.threads)

    async def update(batch: object) -> None:
        learner.update(batch)  # type: ignore[arg-type]

    async def publish() -> None:
        await generator.publish(learner.weights(), learner.version)

    await _rounds(workload, line, generator, update, publish)
    await generator.close()


async def _serve_actors(workload: Workload, line: Connection) -> None:
    from rl.cluster import Cluster, RayGenerator, RayLearner, RayObject

    with Cluster(on_cpu=True) as cluster:
        generator = RayGenerator(cluster.actors(workload.replicas, preload=f"rollouts.{workload.engine}_engine"))
        ranks = RayObject(cluster.actors(1, threads=workload.threads, preload="rl.training.learner"))
        await asyncio.gather(generator.start(lambda: build_generator(workload)), ranks.start(lambda: build_learner(workload)))
        learner = RayLearner(ranks, generator)
        version = 0

        async def update(batch: object) -> None:
            nonlocal version
            version = (await learner.update(batch)).version  # type: ignore[arg-type]

        async def publish() -> None:
            await learner.publish(version)

        await _rounds(workload, line, generator, update, publish)


def build_generator(workload: Workload) -> "Generator":
    from rollouts.torch_engine import TorchGenerator, TorchSettings
    from rollouts.vllm_engine import VllmGenerator, VllmSettings

    most = workload.prompts * GROUP_SIZE
    if workload.engine == "torch":
        return TorchGenerator(TorchSettings(workload.policy, max_model_len=MAX_MODEL_LEN, max_num_seqs=most))
    return VllmGenerator(VllmSettings(workload.policy, max_model_len=MAX_MODEL_LEN, max_num_seqs=most))


def build_learner(workload: Workload) -> "Learner":
    from rl.config.settings import LearnerSettings, ObjectiveSettings
    from rl.config.supervised_settings import OptimizerSettings
    from rl.objectives.objective import make_objective
    from rl.training.learner import Learner
    from rl.training.model import SoftmaxSettings
    from rollouts.render import Renderer

    optimizer = OptimizerSettings(lr=LEARNING_RATE, warmup_steps=0)
    settings = LearnerSettings(mini_batches=UPDATES, optimizer=optimizer, micro_batch_tokens=8192, compile=workload.compiled)
    softmax = SoftmaxSettings(banned_ids=_banned(workload, Renderer(workload.policy)))
    return Learner(workload.policy, settings, make_objective(ObjectiveSettings()), softmax, workload.rounds, bfloat16=False)


async def _rounds(
    workload: Workload,
    line: Connection,
    generator: "Generator",
    update: Callable[[object], Awaitable[None]],
    publish: Callable[[], Awaitable[None]],
) -> None:
    from rl.signal import SapoSignal
    from rollouts.generator import Sampling
    from rollouts.group import run_group
    from rollouts.render import Renderer

    renderer = Renderer(workload.policy)
    stops = () if workload.fixed else renderer.stop_ids
    sampling = Sampling(workload.max_tokens, 1.0, _banned(workload, renderer), stops)
    signal = SapoSignal("standardised", workload.max_tokens)
    asked = questions(workload)
    line.send("ready")
    for number in range(workload.rounds):
        line.recv()
        mine = asked[number * workload.prompts : (number + 1) * workload.prompts]
        t0 = time.perf_counter()
        pending = [run_group(_problem(q, i), GROUP_SIZE, generator, renderer, sampling, f"{number}") for i, q in enumerate(mine)]
        groups = await asyncio.gather(*pending)
        t1 = time.perf_counter()
        batch = await signal.batch([_graded(group, q) for group, q in zip(groups, mine, strict=True)])
        t2 = time.perf_counter()
        await update(batch)
        t3 = time.perf_counter()
        await publish()
        t4 = time.perf_counter()
        tokens = sum(rollout.num_sampled for group in groups for rollout in group.rollouts)
        line.send(RoundReport(t1 - t0, 0.0, t3 - t2, (t2 - t1) + (t4 - t3), tokens))


def _banned(workload: Workload, renderer: "Renderer") -> tuple[int, ...]:
    from transformers import AutoConfig

    return renderer.banned_ids if hasattr(AutoConfig.from_pretrained(workload.policy), "vision_config") else ()


def _problem(question: Question, index: int) -> "object":
    from tasks.problem import MathTarget, Problem

    return Problem(f"benchmark/{index}", (question.message,), MathTarget(question.answer), "math", "benchmark")


def _graded(group: "RolloutGroup", question: Question) -> "GradedGroup":
    from rewards.outcome import Grade
    from rl.graded import GradedGroup, GradedRollout

    assert not group.failures, group.failures
    members = tuple(GradedRollout(r, Grade(score(r.turns[0].message.text, question.answer))) for r in group.rollouts)
    return GradedGroup(group.problem, members)
