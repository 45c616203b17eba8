"""Both engines against plain transformers, through the one protocol."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import PIL.Image
import pytest
import torch
from hugging_face import HuggingFace

from rollouts.engine_thread import EngineThread
from rollouts.generator import Continuation, Generated, Request, Sampling
from rollouts.torch_engine import TorchGenerator, TorchSettings
from rollouts.vllm_engine import VllmGenerator, VllmSettings

MAX_MODEL_LEN = 256
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"


def picture(seed: int, width: int, height: int) -> PIL.Image.Image:
    pixels = torch.randint(0, 256, (height // 16, width // 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return PIL.Image.fromarray(pixels.numpy()).resize((width, height), PIL.Image.Resampling.NEAREST)


RED, BLUE = picture(1, 64, 96), picture(2, 100, 70)
PROMPTS = {
    "text": ("How many apples are there? 12 + 30 = ", ()),
    "one image": (f"{IMAGE}How many apples are in the picture? There are ", (RED,)),
    "two images": (f"Compare {IMAGE} with {IMAGE}: the first has 12 apples, the second ", (BLUE, RED)),
    "the same image twice": (f"{IMAGE}{IMAGE} are equal, ", (RED, RED)),
}


@pytest.fixture(scope="module")
def reference(tiny_policy: Path) -> HuggingFace:
    return HuggingFace(tiny_policy)


@pytest.fixture(scope="module", params=["vllm", "torch"])
def generator(request: pytest.FixtureRequest, tiny_policy: Path) -> Iterator[EngineThread]:
    if request.param == "vllm":
        engine: EngineThread = VllmGenerator(VllmSettings(tiny_policy, max_model_len=MAX_MODEL_LEN, max_images=2, kv_cache_mib=16))
    else:
        engine = TorchGenerator(TorchSettings(tiny_policy, max_model_len=MAX_MODEL_LEN, max_images=2))
    yield engine
    asyncio.run(engine.close())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("engine")]


@pytest.fixture
async def published(generator: EngineThread, reference: HuggingFace) -> EngineThread:
    """The generator with the weights that the reference has."""
    await generator.publish(reference.weights(0), 0)
    return generator


def request(reference: HuggingFace, kind: str = "text", count: int = 1, seed: int = 0, **sampling: object) -> Request:
    text, images = PROMPTS[kind]
    compact, _ = reference.prompt(text, images)
    return Request(compact, images, Sampling(**{"max_tokens": 24, "banned_ids": reference.placeholders, **sampling}), count, seed)  # type: ignore[arg-type]


async def one(generator: EngineThread, asked: Request) -> Continuation:
    (continuation,) = (await generator.generate(asked)).continuations
    return continuation


async def answers(generator: EngineThread, requests: list[Request]) -> list[Generated | ValueError]:
    pairs = [pair async for together in generator.generate_all(requests) for pair in together]
    return [answer for _, answer in sorted(pairs, key=lambda pair: pair[0])]


def assert_logprobs_are(reference: HuggingFace, generated: Generated, asked: Request) -> None:
    for continuation in generated.continuations:
        expected = reference.sampled_logprobs(generated.prompt_ids, continuation.token_ids, asked.images, asked.sampling.temperature or 1.0)
        torch.testing.assert_close(torch.tensor(continuation.logprobs), expected, atol=1e-4, rtol=0)


async def test_after_every_publish_greedy_output_and_logprobs_equal_hugging_face(generator: EngineThread, reference: HuggingFace) -> None:
    """The same prompts and images each time: whatever a cache kept of the old weights would show."""
    for version in (1, 2, 3):
        await generator.publish(reference.weights(version), version)
        for kind, (_, images) in PROMPTS.items():
            generated = await generator.generate(request(reference, kind, temperature=0.0))
            assert list(generated.continuations[0].token_ids) == reference.greedy(generated.prompt_ids, images, 24), (version, kind)
            assert generated.continuations[0].policy_version == version
            assert_logprobs_are(reference, generated, request(reference, kind))


@pytest.mark.parametrize("temperature", [0.6, 1.0])
async def test_logprobs_are_those_of_the_sampling_distribution(published: EngineThread, reference: HuggingFace, temperature: float) -> None:
    for kind in PROMPTS:
        asked = request(reference, kind, count=4, temperature=temperature)
        assert_logprobs_are(reference, await published.generate(asked), asked)


async def test_expanded_prompts_equal_the_processors(published: EngineThread, reference: HuggingFace) -> None:
    for kind, (text, images) in PROMPTS.items():
        _, expanded = reference.prompt(text, images)
        assert (await published.generate(request(reference, kind))).prompt_ids == expanded, kind


async def test_a_second_turn_continues_sampled_ids_with_another_image(published: EngineThread, reference: HuggingFace) -> None:
    first = request(reference, "one image", stop_ids=())
    sampled = (await one(published, first)).token_ids
    compact, _ = reference.prompt(f"{IMAGE} and now?", (BLUE,))
    second = Request(first.prompt_ids + sampled + compact, (RED, BLUE), first.sampling, count=3, seed=5)
    assert_logprobs_are(reference, await published.generate(second), second)


async def test_a_banned_id_is_never_sampled_and_the_rest_shares_its_probability(published: EngineThread, reference: HuggingFace) -> None:
    vocabulary = len(reference.tokenizer)
    banned = tuple(id for id in range(vocabulary) if id % 4)
    asked = request(reference, count=8, banned_ids=banned)
    generated = await published.generate(asked)
    for continuation in generated.continuations:
        assert all(id % 4 == 0 for id in continuation.token_ids)
        ids = (*generated.prompt_ids, *continuation.token_ids)
        rows = reference.logprobs(ids, (), banned=banned)[len(generated.prompt_ids) - 1 : -1]
        expected = rows.gather(1, torch.tensor(continuation.token_ids)[:, None])[:, 0]
        torch.testing.assert_close(torch.tensor(continuation.logprobs), expected, atol=1e-4, rtol=0)


async def test_the_same_requests_give_bitwise_the_same_answers(published: EngineThread, reference: HuggingFace) -> None:
    requests = [request(reference, kind, count=4, seed=seed) for kind in PROMPTS for seed in (0, 1)]
    first, second = await answers(published, requests), await answers(published, requests)
    await published.publish(reference.weights(0), 0)
    assert first == second == await answers(published, requests)


async def test_samples_and_seeds_differ(published: EngineThread, reference: HuggingFace) -> None:
    generated = await answers(published, [request(reference, count=8, seed=seed) for seed in range(8)])
    drawn = {continuation.token_ids for answer in generated if isinstance(answer, Generated) for continuation in answer.continuations}
    assert len(drawn) == 64


def assert_same(one: Generated, other: Generated) -> None:
    """The same tokens, and log-probs up to the rounding of batches of other sizes."""
    assert one.prompt_ids == other.prompt_ids
    for mine, theirs in zip(one.continuations, other.continuations, strict=True):
        assert mine.token_ids == theirs.token_ids
        assert mine.logprobs == pytest.approx(theirs.logprobs, abs=1e-5)


async def test_a_sample_does_not_depend_on_its_neighbours(published: EngineThread, reference: HuggingFace) -> None:
    asked = request(reference, "one image", count=2, seed=7)
    alone = await published.generate(asked)
    others = [request(reference, kind, count=6, seed=seed) for kind in PROMPTS for seed in (1, 2)]
    *_, crowded = await answers(published, [*others, asked])
    assert isinstance(crowded, Generated)
    assert_same(alone, crowded)


async def test_more_samples_than_places_all_finish(published: EngineThread, reference: HuggingFace) -> None:
    generated = await published.generate(request(reference, "one image", count=300, max_tokens=3))
    assert [len(continuation.token_ids) for continuation in generated.continuations] == [3] * 300


async def test_more_prompt_tokens_than_a_step_takes_all_come_right(published: EngineThread, reference: HuggingFace) -> None:
    """More text than the engine computes in a step, and more image tokens than it encodes in one."""
    compact, _ = reference.prompt(f"{IMAGE}{IMAGE} How many? ", ())
    sampling = Sampling(3, banned_ids=reference.placeholders)
    pictures = [Request(compact, (picture(2 * i, 256, 256), picture(2 * i + 1, 256, 256)), sampling, 2, i) for i in range(70)]
    texts = [Request((i, *range(200)), (), sampling, 2, i) for i in range(50)]
    generated = await answers(published, [*pictures, *texts])
    for answer, asked in zip(generated[::23], [*pictures, *texts][::23], strict=True):
        assert isinstance(answer, Generated)
        assert_logprobs_are(reference, answer, asked)


async def test_sequences_in_flight_go_on_with_published_weights(published: EngineThread, reference: HuggingFace) -> None:
    """Tokens before the switch have the old weights' log-probs, those after it the new weights' on the whole sequence."""
    for kind in PROMPTS:
        old_weights = reference.weights(0)
        await published.publish(old_weights, 0)
        asked = request(reference, kind, count=2, max_tokens=40)
        await one(published, request(reference, kind, max_tokens=1))  # From now on the prompt is cached, images included.
        long = asyncio.create_task(published.generate(asked))
        await published.generate(request(reference, "text", max_tokens=6))
        new_weights = reference.weights(9)
        await published.publish(new_weights, 9)
        generated = await long
        after = request(reference, kind, max_tokens=4)
        assert (await one(published, after)).policy_version == 9
        for continuation in generated.continuations:
            assert continuation.policy_version == 0
            given = torch.tensor(continuation.logprobs)
            reference.take(old_weights)
            old = (given - reference.sampled_logprobs(generated.prompt_ids, continuation.token_ids, asked.images)).abs() < 1e-4
            reference.take(new_weights)
            new = (given - reference.sampled_logprobs(generated.prompt_ids, continuation.token_ids, asked.images)).abs() < 1e-4
            switch = int(old.sum())
            assert 4 <= switch <= 8, kind
            assert old[:switch].all(), kind
            assert new[switch:].all(), kind


async def test_a_request_that_cannot_be_served_fails_alone(published: EngineThread, reference: HuggingFace) -> None:
    good = request(reference, "one image", max_tokens=5)
    sampling = good.sampling
    large = Request(good.prompt_ids, (picture(3, 640, 640),), sampling, 1, 0)
    too_long = Request((5,) * MAX_MODEL_LEN, (), sampling, 1, 0)
    no_placeholder = Request((5, 6), (RED,), sampling, 1, 0)
    unknown_id = Request((5, 10**6), (), sampling, 1, 0)
    got = await answers(published, [large, good, too_long, no_placeholder, unknown_id, good])
    errors = [str(answer) for answer in got if isinstance(answer, ValueError)]
    served = [answer for answer in got if isinstance(answer, Generated)]
    assert len(served) == 2
    for answer in served:
        assert_same(answer, await published.generate(good))
    for error, part in zip(errors, ("max_model_len = 256", "max_model_len = 256", "0 image placeholder(s)", "vocabulary"), strict=True):
        assert part in error
    with pytest.raises(ValueError, match="shorten the prompt"):
        await published.generate(too_long)


async def test_finish_says_whether_a_stop_id_or_a_limit_ended_it(published: EngineThread, reference: HuggingFace) -> None:
    free = await one(published, request(reference))
    assert (free.finish, len(free.token_ids)) == ("length", 24)
    stop = free.token_ids[10]
    stopped = await one(published, request(reference, stop_ids=(stop,)))
    assert stopped.finish == "stop"
    assert stopped.token_ids == free.token_ids[: free.token_ids.index(stop) + 1]
    exact = await one(published, request(reference, stop_ids=(stop,), max_tokens=free.token_ids.index(stop) + 1))
    assert exact.finish == "stop"
    full = await published.generate(request(reference, max_tokens=10**4))
    assert full.continuations[0].finish == "length"
    assert len(full.prompt_ids) + len(full.continuations[0].token_ids) == MAX_MODEL_LEN


async def test_the_tokenizers_end_token_does_not_stop_unless_asked(published: EngineThread, reference: HuggingFace) -> None:
    end = reference.tokenizer.eos_token_id
    others = tuple(id for id in range(len(reference.tokenizer)) if id != end)
    assert (await one(published, request(reference, banned_ids=others, max_tokens=5))).token_ids == (end,) * 5


async def test_weights_that_are_not_the_checkpoints_are_refused_and_nothing_changes(
    published: EngineThread, reference: HuggingFace
) -> None:
    before = await published.generate(request(reference))
    weights = reference.weights(4)
    missing = {name: tensor for name, tensor in weights.items() if name != "model.visual.pos_embed.weight"}
    with pytest.raises(ValueError, match="pos_embed"):
        await published.publish(missing, 4)
    with pytest.raises(ValueError, match=r"1 unknown .*spare"):
        await published.publish({**weights, "spare.weight": torch.zeros(1)}, 4)
    with pytest.raises(ValueError, match=r"shape \(2, 2\)"):
        await published.publish({**weights, "model.language_model.norm.weight": torch.zeros(2, 2)}, 4)
    assert await published.generate(request(reference)) == before


async def test_a_cancelled_request_leaves_the_engine(published: EngineThread, reference: HuggingFace) -> None:
    task = asyncio.create_task(published.generate(request(reference, max_tokens=200)))
    expected = await published.generate(request(reference, "one image", max_tokens=3))
    task.cancel()
    assert_same(await published.generate(request(reference, "one image", max_tokens=3)), expected)
