"""Ray: the only module that knows it. Actors for generators, learner ranks and frozen models, and handles that follow the protocols.

Everything an actor runs is a plain class of another module, which tests use without Ray.
"""

import asyncio
import importlib
import inspect
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import ray
import stamina
import torch
from ray.exceptions import RayError, RayTaskError

from rl.training.batch import FloatsM, FloatsMV, IdsMK, SapoBatch
from rl.training.learner import UpdateReport
from rl.training.tree import Tree
from rollouts.generator import Generated, Generator, Request

OBJECT_STORE_MIB = 256
# Less than a step of an engine takes.
TRAVEL_TOGETHER_S = 0.01
# Samples under way beyond those of another replica that cost more time than what a replica has cached saves.
MUCH_BUSIER = 32
# For how long a thread of OpenMP waits awake for the next piece: longer than the gaps within a step, far shorter than those between steps.
# Asleep at once (OMP_WAIT_POLICY=passive), a step of a small policy takes a quarter longer; awake for ever, it takes others their cores.
SPINS = "10000"


class Cluster:
    """A Ray session of our own on this machine, or the cluster that RAY_ADDRESS names. Leaving the context ends all our actors."""

    def __init__(self, on_cpu: bool, gpu_share: float = 1.0) -> None:
        self._on_cpu = on_cpu
        self._gpu_share = gpu_share
        self._gpus: int | None = None
        self._actors: list[Any] = []

    def __enter__(self) -> "Cluster":
        if os.environ.get("RAY_ADDRESS"):
            ray.init(namespace="posttrain", log_to_driver=True)
            check_kind(self._on_cpu, int(ray.cluster_resources().get("GPU", 0)))
        else:
            for attempt in stamina.retry_context(on=_started_too_slowly, attempts=3, timeout=None):
                with attempt:
                    self._start_here()
            if not self._on_cpu:
                self._gpus = int(ray.cluster_resources().get("GPU", 0))
        return self

    def _start_here(self) -> None:
        ray.shutdown()
        # Logical CPUs: what our actors ask for is threads they rarely use at the same time.
        ray.init(
            address="local",  # Without it Ray joins a cluster that someone else started on this machine, dead or alive.
            num_cpus=max(8, os.cpu_count() or 1),
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_MIB << 20 if self._on_cpu else None,
            log_to_driver=False,
            logging_level="ERROR",
            namespace="posttrain",
            # A worker started in advance has not our actors' environment, so that none of them would ever be used.
            _system_config={"prestart_worker_first_driver": False, "enable_worker_prestart": False},
        )

    def __exit__(self, *_: object) -> None:
        for actor in self._actors:
            ray.kill(actor)
        ray.shutdown()

    def actors(self, number: int, *, preload: str, threads: int = 1, group: bool = False) -> list[Any]:
        """Processes that import `preload` at once, each to hold one object later; with `group` they form one torch process group.

        Each takes `gpu_share` of a GPU where there are some. Raises `ValueError` where this machine has too few.
        """
        if self._gpus is not None:
            check_gpus(len(self._actors), number, self._gpus, self._gpu_share)
        places = [{"RANK": str(rank), "LOCAL_RANK": "0", "WORLD_SIZE": str(number)} for rank in range(number)]
        grouped = group and number > 1
        return [self._actor(place if grouped else {}, threads, preload) for place in places]

    def _actor(self, environment: Mapping[str, str], threads: int, preload: str) -> Any:
        variables = {"OMP_NUM_THREADS": str(threads), "GOMP_SPINCOUNT": SPINS, "MALLOC_ARENA_MAX": "1", **environment}
        resources = {"num_cpus": threads} if self._on_cpu else {"num_cpus": 1, "num_gpus": self._gpu_share}
        handle = ray.remote(_Host).options(runtime_env={"env_vars": variables}, max_concurrency=1000, **resources).remote(preload)
        self._actors.append(handle)
        return handle

    def release(self, actors: Sequence[Any]) -> None:
        """Ends these processes before the cluster does."""
        for actor in actors:
            ray.kill(actor)
            self._actors.remove(actor)


def check_gpus(taken: int, wanted: int, there: int, share: float) -> None:
    """Raises `ValueError` where Ray would wait, without a word and for ever, for a GPU that nobody gives back.

    A GPU holds as many processes as have room for their share of it.
    """
    room = there * int(1 / share)
    if taken + wanted > room:
        raise ValueError(
            f"{wanted} more process(es) take {share:g} of a GPU each, and of the {room} that fit on this machine's {there} GPUs "
            f"only {room - taken} are left: lower gpu_share so that they share one, lower rollout.replicas or learner.ranks, "
            "name a cluster in RAY_ADDRESS, or run on the CPU (CUDA_VISIBLE_DEVICES=)"
        )


def check_kind(on_cpu: bool, gpus: int) -> None:
    """Raises `ValueError` where a cluster's GPUs would be left idle without a word: the machine of the driver decides for all."""
    if on_cpu and gpus and "CUDA_VISIBLE_DEVICES" not in os.environ:
        raise ValueError(
            f"the cluster of RAY_ADDRESS has {gpus} GPUs, and this machine, by which a run decides, has none: start it on a machine of the "
            "cluster that has one, or train on CPUs on purpose (CUDA_VISIBLE_DEVICES=)"
        )


def _started_too_slowly(error: Exception) -> bool:
    """Ray gives its node 30 seconds, whatever else the machine has to do."""
    return "timed out during startup" in str(error)


class _Host:
    """The process of an actor. Calls of plain methods run one after the other in one thread, coroutines in the loop."""

    def __init__(self, preload: str) -> None:
        self._object: Any = None
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._thread.submit(importlib.import_module, preload)

    async def start(self, build: Callable[[], object]) -> None:
        self._object = await self._in_thread(build)

    async def rendezvous(self) -> dict[str, str]:
        """Where the ranks of a process group whose rank 0 is here meet: this node, at a port that is free on it."""
        return {"MASTER_ADDR": ray.util.get_node_ip_address(), "MASTER_PORT": str(_free_port())}

    async def call(self, method: str, *arguments: object) -> object:
        function = getattr(self._object, method)
        if inspect.iscoroutinefunction(function):
            return await function(*arguments)
        return await self._in_thread(function, *arguments)

    async def stream(self, method: str, *arguments: object) -> AsyncIterator[object]:
        async for item in getattr(self._object, method)(*arguments):
            yield item

    async def _in_thread(self, function: Callable[..., object], *arguments: object) -> object:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *arguments)


class RayGenerator(Generator):
    """Generator replicas as one. Each request goes to the replica with the fewest samples under way, later ones of its affinity with it
    unless that has `MUCH_BUSIER` more than another.

    A call of an actor costs as much as sampling many tokens, so requests travel together: those made in the same turn of the event loop
    where nothing is under way, and otherwise those of `TRAVEL_TOGETHER_S`.
    """

    def __init__(self, replicas: Sequence[Any]) -> None:
        self._replicas = list(replicas)
        self._under_way = [0] * len(self._replicas)
        # Since the weights were last published, which empties the replicas' caches.
        self._place_of: dict[str, int] = {}
        self._given = [0] * len(self._replicas)
        self._waiting: list[tuple[Request, asyncio.Future[Generated]]] = []
        self._running: set[asyncio.Task[None]] = set()

    async def start(self, build: Callable[[], Generator]) -> None:
        await _all_of(replica.start.remote(build) for replica in self._replicas)

    async def generate(self, request: Request) -> Generated:
        future: asyncio.Future[Generated] = asyncio.get_running_loop().create_future()
        if not self._waiting:
            asyncio.get_running_loop().call_later(TRAVEL_TOGETHER_S if any(self._under_way) else 0.0, self._dispatch)
        self._waiting.append((request, future))
        return await future

    async def publish(self, weights: Mapping[str, torch.Tensor], version: int) -> None:
        await self.publish_reference(ray.put(weights), version)

    async def publish_reference(self, weights: Any, version: int) -> None:
        self._place_of.clear()
        self._given = [0] * len(self._replicas)
        await _all_of(replica.call.remote("publish", weights, version) for replica in self._replicas)

    async def close(self) -> None:
        await asyncio.gather(*(replica.call.remote("close") for replica in self._replicas))

    def _dispatch(self) -> None:
        shares: list[list[tuple[Request, asyncio.Future[Generated]]]] = [[] for _ in self._replicas]
        for request, future in self._waiting:
            place = self._place(request.affinity)
            self._under_way[place] += request.count
            self._given[place] += request.count
            future.add_done_callback(partial(self._ended, place, request.count))
            shares[place].append((request, future))
        self._waiting = []
        for replica, share in zip(self._replicas, shares, strict=True):
            if share:
                task = asyncio.ensure_future(self._serve(replica, share))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    def _place(self, affinity: str) -> int:
        # Rollouts whose tools run have nothing under way, but come back: of equals, the one that was given less.
        idlest = min(range(len(self._replicas)), key=lambda place: (self._under_way[place], self._given[place]))
        known = self._place_of.setdefault(affinity, idlest) if affinity else idlest
        return known if self._under_way[known] - self._under_way[idlest] <= MUCH_BUSIER else idlest

    def _ended(self, place: int, samples: int, _: object) -> None:
        self._under_way[place] -= samples

    async def _serve(self, replica: Any, share: Sequence[tuple[Request, "asyncio.Future[Generated]"]]) -> None:
        requests = [request for request, _ in share]
        try:
            async for reference in replica.stream.options(num_returns="streaming").remote("generate_all", requests):
                for index, answer in await reference:
                    future = share[index][1]
                    if future.done():
                        continue
                    if isinstance(answer, Exception):
                        future.set_exception(answer)
                    else:
                        future.set_result(answer)
        except RayTaskError as error:
            _fail(share, RuntimeError(f"a generator failed: {error.cause if error.cause is not None else error}"))
        except RayError as error:  # Not all of them say that the actor died: one that Ray ends for memory does not.
            _fail(share, RuntimeError(f"a generator process died: {error}"))


def _fail(share: Sequence[tuple[Request, "asyncio.Future[Generated]"]], error: Exception) -> None:
    for _, future in share:
        if not future.done():
            future.set_exception(error)


class RayObject:
    """The same object in every one of some actors, which may form a process group. A call goes to all, rank 0 answers."""

    def __init__(self, ranks: Sequence[Any]) -> None:
        self.ranks = list(ranks)

    async def start(self, build: Callable[[], object]) -> None:
        """Makes the object; an earlier one in the same processes is given up."""
        meeting = await self.ranks[0].rendezvous.remote() if len(self.ranks) > 1 else {}
        await _all_of(rank.start.remote(in_group(build, meeting)) for rank in self.ranks)

    async def call(self, method: str, *arguments: object) -> object:
        return (await _all_of(rank.call.remote(method, *arguments) for rank in self.ranks))[0]


class RayLearner:
    """The learner's ranks as one."""

    def __init__(self, learner: RayObject, generator: RayGenerator) -> None:
        self._learner = learner
        self._generator = generator

    async def update(self, batch: SapoBatch) -> UpdateReport:
        report = await self._learner.call("update", ray.put(batch))
        assert isinstance(report, UpdateReport)
        return report

    async def publish(self, version: int) -> None:
        """The weights go from rank 0 to the generators through the object store; the driver never holds them."""
        references = [rank.call.remote("weights") for rank in self._learner.ranks]
        await self._generator.publish_reference(references[0], version)
        await _all_of(references[1:])

    async def save(self, folder: Path) -> None:
        await self._learner.call("save", folder.resolve())

    async def load(self, folder: Path) -> None:
        await self._learner.call("load", folder.resolve())


class RayFrozenModel:
    """A reference or a teacher, on whatever scores for it."""

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    async def start(self, build: Callable[[], object]) -> None:
        await _all_of([self._actor.start.remote(build)])

    async def logprobs(self, trees: Sequence[Tree]) -> list[list[FloatsM]]:
        result: list[list[FloatsM]] = (await _all_of([self._actor.call.remote("logprobs", list(trees))]))[0]
        return result

    async def hidden_states(self, trees: Sequence[Tree]) -> list[list[FloatsMV]]:
        result: list[list[FloatsMV]] = (await _all_of([self._actor.call.remote("hidden_states", list(trees))]))[0]
        return result

    async def top_k(self, trees: Sequence[Tree], k: int, vocab_size: int) -> list[list[tuple[IdsMK, FloatsMV]]]:
        result: list[list[tuple[IdsMK, FloatsMV]]] = (await _all_of([self._actor.call.remote("top_k", list(trees), k, vocab_size)]))[0]
        return result


async def _all_of(answers: Iterable[Awaitable[Any]]) -> list[Any]:
    """What actors answer. Their errors are raised as they were there, not as Ray's report of another process."""
    try:
        return await asyncio.gather(*answers)
    except RayTaskError as error:
        if isinstance(error.cause, Exception) and not isinstance(error.cause, RayError):
            raise error.cause from error
        raise


BuiltT = TypeVar("BuiltT")


def in_group(build: Callable[[], BuiltT], meeting: Mapping[str, str]) -> Callable[[], BuiltT]:
    """`build`, after joining the process group that the actor's environment describes, if it does, at the place of `meeting`."""

    def joined() -> BuiltT:
        if os.environ.get("WORLD_SIZE") and not torch.distributed.is_initialized():
            os.environ.update(meeting)
            torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
        return build()

    return joined


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port
