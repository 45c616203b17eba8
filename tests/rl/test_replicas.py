"""Which replica serves which request, with replicas that answer when told to."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace

import pytest
from ray.exceptions import ActorDiedError, OutOfMemoryError, RayError, RayTaskError

from rl.cluster import RayGenerator, RayObject, check_gpus
from rollouts.generator import Continuation, Generated, Request, Sampling


class Replica:
    """Has the shape of a Ray actor's handle: `stream.options(...).remote(...)`. It answers a batch of requests when `ends` is set."""

    def __init__(self) -> None:
        self.ends = asyncio.Event()
        self.served: list[Request] = []
        self.calls = 0

    @property
    def stream(self) -> "Replica":
        return self

    def options(self, **_: object) -> "Replica":
        return self

    async def remote(self, method: str, requests: Sequence[Request]) -> AsyncIterator[asyncio.Future[object]]:
        self.served += requests
        self.calls += 1
        await self.ends.wait()
        answers: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        answers.set_result([(index, Generated((1,), (Continuation((2,), (0.0,), "stop", 0),))) for index in range(len(requests))])
        yield answers

    @property
    def call(self) -> SimpleNamespace:
        return SimpleNamespace(remote=self._publish)

    async def _publish(self, method: str, weights: object, version: int) -> None:
        assert method == "publish"


def request(count: int, affinity: str = "") -> Request:
    return Request((1,), (), Sampling(1, 1.0, (), ()), count, 0, affinity)


async def test_requests_that_come_one_by_one_go_to_all_replicas() -> None:
    replicas = [Replica(), Replica()]
    generator = RayGenerator(replicas)
    pending = []
    for _ in range(4):
        pending.append(asyncio.create_task(generator.generate(request(8))))
        await asyncio.sleep(0.05)
    assert [len(replica.served) for replica in replicas] == [2, 2]
    for replica in replicas:
        replica.ends.set()
    assert len(await asyncio.gather(*pending)) == 4


async def test_a_request_goes_where_the_fewest_samples_are_under_way() -> None:
    replicas = [Replica(), Replica()]
    generator = RayGenerator(replicas)
    large = asyncio.create_task(generator.generate(request(16)))
    small = [asyncio.create_task(generator.generate(request(4))) for _ in range(3)]
    await asyncio.sleep(0.05)
    assert [len(replica.served) for replica in replicas] == [1, 3]
    replicas[0].ends.set()
    await large
    late = asyncio.create_task(generator.generate(request(1)))
    await asyncio.sleep(0.05)
    assert [len(replica.served) for replica in replicas] == [2, 3]
    replicas[1].ends.set()
    await asyncio.gather(*small, late)


async def test_requests_of_one_affinity_stay_on_a_replica_until_the_weights_change() -> None:
    replicas = [Replica(), Replica()]
    generator = RayGenerator(replicas)

    def served() -> list[list[str]]:
        return [[asked.affinity for asked in replica.served] for replica in replicas]

    pending = [asyncio.create_task(generator.generate(request(1, affinity))) for affinity in ("a", "b", "a", "a", "c", "b")]
    await asyncio.sleep(0.05)
    assert served() == [["a", "a", "a"], ["b", "c", "b"]]
    pending.append(asyncio.create_task(generator.generate(request(8))))
    pending.append(asyncio.create_task(generator.generate(request(1, "a"))))
    await asyncio.sleep(0.05)
    assert served() == [["a", "a", "a", "", "a"], ["b", "c", "b"]]

    for replica in replicas:
        replica.ends.set()
    await asyncio.gather(*pending)
    replicas[0].ends.clear()
    await generator.publish_reference(None, 1)
    large = asyncio.create_task(generator.generate(request(8)))
    await asyncio.sleep(0.05)
    await generator.generate(request(1, "a"))
    assert served() == [["a", "a", "a", "", "a", ""], ["b", "c", "b", "a"]]
    replicas[0].ends.set()
    await large


async def test_a_replica_that_is_much_busier_gives_its_affinity_away() -> None:
    replicas = [Replica(), Replica()]
    generator = RayGenerator(replicas)
    pending = [asyncio.create_task(generator.generate(request(1, "a"))) for _ in range(64)]
    await asyncio.sleep(0.05)
    assert [len(replica.served) for replica in replicas] == [48, 16], "33 more than the other is too many, one by one from there"
    for replica in replicas:
        replica.ends.set()
    await asyncio.gather(*pending)


async def test_a_new_affinity_goes_where_fewer_rollouts_are_even_while_all_of_them_wait_for_tools() -> None:
    replicas = [Replica(), Replica()]
    for replica in replicas:
        replica.ends.set()
    generator = RayGenerator(replicas)
    await asyncio.gather(*(generator.generate(request(1, "a")) for _ in range(4)))
    await asyncio.gather(*(generator.generate(request(1, "b")) for _ in range(4)))
    assert [{asked.affinity for asked in replica.served} for replica in replicas] == [{"a"}, {"b"}]


async def test_requests_made_while_others_are_under_way_travel_together() -> None:
    replica = Replica()
    generator = RayGenerator([replica])
    pending = [asyncio.create_task(generator.generate(request(1)))]
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)
    assert replica.calls == 1
    for _ in range(5):
        pending.append(asyncio.create_task(generator.generate(request(1))))
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert (replica.calls, len(replica.served)) == (2, 6)
    replica.ends.set()
    await asyncio.gather(*pending)


class Dead(Replica):
    """Answers every call with an error of Ray's."""

    def __init__(self, error: RayError) -> None:
        super().__init__()
        self.error = error

    async def remote(self, method: str, requests: Sequence[Request]) -> AsyncIterator[asyncio.Future[object]]:
        raise self.error
        yield


@pytest.mark.parametrize("error", [ActorDiedError(), OutOfMemoryError("ended for memory")], ids=["died", "memory"])
async def test_nobody_waits_for_a_replica_that_is_gone(error: RayError) -> None:
    with pytest.raises(RuntimeError, match="a generator process died"):
        await asyncio.wait_for(RayGenerator([Dead(error)]).generate(request(1)), 5.0)


class Failing:
    """An actor whose every call raises `cause` over there, which Ray reports with the traceback of its process."""

    def __init__(self, cause: Exception) -> None:
        self.cause = cause

    @property
    def call(self) -> "Failing":
        return self

    async def remote(self, method: str, *arguments: object) -> object:
        raise RayTaskError("call", "Traceback (most recent call last): ...", self.cause).make_dual_exception_instance()


async def test_an_error_in_an_actor_is_raised_as_it_was_there() -> None:
    cause = ValueError("cold_start.short_context=8: every demonstration is longer; raise it")
    with pytest.raises(ValueError, match="every demonstration is longer") as caught:
        await RayObject([Failing(cause)]).call("advance")
    assert caught.value is cause


def test_processes_that_would_wait_for_a_gpu_for_ever_are_refused() -> None:
    check_gpus(2, 1, there=3, share=1.0)
    with pytest.raises(ValueError, match=r"1 more .* 1 of a GPU each, and of the 2 .* only 0 are left: lower gpu_share"):
        check_gpus(2, 1, there=2, share=1.0)


def test_processes_share_a_gpu_as_far_as_their_shares_fit() -> None:
    check_gpus(1, 1, there=1, share=0.5)
    with pytest.raises(ValueError, match=r"0.5 of a GPU each"):
        check_gpus(2, 1, there=1, share=0.5)
    with pytest.raises(ValueError, match=r"0.6 of a GPU each, and of the 2"):
        check_gpus(2, 1, there=2, share=0.6)
