"""A teacher on vLLM says what the same checkpoint says on torch."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from transformers import AutoConfig

from distill.vllm_teacher import VllmTeacher
from rl.training.frozen import FrozenPolicy
from rl.training.model import SoftmaxSettings
from rl.training.tree import Stretch, Tree
from rollouts.render import Renderer
from rollouts.vllm_engine import VllmSettings
from tasks.message import ImagePart, Message, TextPart

pytestmark = pytest.mark.filterwarnings("ignore")
BANNED = (55, 144)  # Such as this policy holds for probable.


@pytest.fixture(scope="module")
def teacher(tiny_policy: Path) -> VllmTeacher:
    return VllmTeacher(VllmSettings(tiny_policy, max_model_len=129, max_images=2, kv_cache_mib=16), BANNED)


@pytest.fixture(scope="module")
def trees(tiny_policy: Path) -> list[Tree]:
    """Text alone; an image in the prompt; and another that a tool put between two sampled stretches."""
    renderer = Renderer(tiny_policy)
    red, blue = (PIL.Image.new("RGB", (64, 64), color) for color in ("red", "blue"))

    def given(message: Message) -> Stretch:
        ids = np.array(renderer.expanded(renderer.prompt_ids((message,)), message.images), dtype=np.int64)
        return Stretch(ids, np.zeros(len(ids), dtype=np.bool_), message.images)

    def said(text: str) -> Stretch:
        ids = np.array(renderer.turn_ids(text), dtype=np.int64)
        return Stretch(ids, np.ones(len(ids), dtype=np.bool_))

    text, image = (given(Message("user", parts)) for parts in ((TextPart("apples?"),), (ImagePart(red), TextPart("how many?"))))
    seen = given(Message("user", (ImagePart(blue),)))
    first, last = said("look"), said("12")
    joined = Stretch(
        np.concatenate([part.token_ids_T for part in (first, seen, last)]),
        np.concatenate([part.loss_mask_T for part in (first, seen, last)]),
        seen.images,
    )
    return [Tree(text, (said("42"), said("30 + 12"))), Tree(image, (said("many"), joined))]


def test_log_probs_of_the_tokens_agree_with_torch(teacher: VllmTeacher, tiny_policy: Path, trees: list[Tree]) -> None:
    expected = FrozenPolicy(tiny_policy, SoftmaxSettings(), 4096, bfloat16=False).logprobs(trees)
    for tree, of_torch in zip(teacher.logprobs(trees), expected, strict=True):
        for ours, theirs in zip(tree, of_torch, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("padding", [0, 100])
def test_the_most_probable_tokens_and_the_rest_agree_with_torch(
    teacher: VllmTeacher, tiny_policy: Path, trees: list[Tree], padding: int
) -> None:
    rows = AutoConfig.from_pretrained(tiny_policy).get_text_config().vocab_size
    everything = FrozenPolicy(tiny_policy, SoftmaxSettings(), 4096, bfloat16=False).top_k(trees, rows, rows)
    displaced = 0
    for tree, whole in zip(teacher.top_k(trees, 8, rows - padding), everything, strict=True):
        for (ids_MK, logprobs_MB), (all_ids, all_logprobs) in zip(tree, whole, strict=True):
            np.testing.assert_allclose(np.exp(logprobs_MB).sum(1), 1.0, atol=1e-5)
            for ids, logprobs, order, values in zip(ids_MK, logprobs_MB, all_ids, all_logprobs, strict=True):
                known = dict(zip(order.tolist(), values.tolist(), strict=False))
                best = [i for i in order.tolist() if i < rows - padding and i not in BANNED][:8]
                displaced += best != order.tolist()[:8]
                assert ids.tolist() == best
                np.testing.assert_allclose(logprobs[:-1], [known[i] for i in best], atol=1e-4)
    assert displaced, "nothing that is no token was among the most probable"


def test_more_than_there_are_tokens_gives_all_of_them(teacher: VllmTeacher, trees: list[Tree]) -> None:
    (ids_MK, logprobs_MB), *_ = teacher.top_k(trees, 64, 10)[0]
    assert [sorted(ids) for ids in ids_MK.tolist()] == [[*range(10)]] * len(ids_MK)
    assert logprobs_MB.shape == (len(ids_MK), 11)
