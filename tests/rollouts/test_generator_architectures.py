"""Both engines on the other architectures that a policy can have: Qwen3 with its own and with a tied head, Qwen2.5-VL."""

from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest
import torch
from hugging_face import HuggingFace
from transformers import (
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from rollouts.engine_thread import EngineThread
from rollouts.generator import Request, Sampling
from rollouts.torch_engine import TorchGenerator, TorchSettings
from rollouts.vllm_engine import VllmGenerator, VllmSettings

TEXT = {"hidden_size": 96, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 3, "num_key_value_heads": 1}
VISION = {"depth": 2, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "patch_size": 14, "out_hidden_size": 96}
PLACEHOLDERS = {
    "image_token": "image_pad",
    "video_token": "video_pad",
    "vision_start_token": "vision_start",
    "vision_end_token": "vision_end",
}


def qwen3(tokenizer: PreTrainedTokenizerBase, tied: bool) -> PreTrainedModel:
    config = Qwen3Config(**TEXT, head_dim=32, vocab_size=len(tokenizer), tie_word_embeddings=tied, initializer_range=0.1)
    return Qwen3ForCausalLM(config)


def qwen2_5_vl(tokenizer: PreTrainedTokenizerBase, tied: bool) -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]}
    text = TEXT | {"vocab_size": len(tokenizer), "tie_word_embeddings": tied, "initializer_range": 0.1, "rope_parameters": rope}
    ids = {f"{key}_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>") for key, token in PLACEHOLDERS.items()}
    vision = VISION | {"fullatt_block_indexes": [1], "window_size": 56}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=tied, **ids))


def save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> HuggingFace:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if hasattr(model.config, "vision_config"):
        sizes = {"patch_size": 14, "merge_size": 2}
        images = Qwen2VLImageProcessor(**sizes, size={"shortest_edge": 28 * 28, "longest_edge": 1 << 20})
        Qwen2_5_VLProcessor(images, tokenizer, Qwen2VLVideoProcessor(**sizes), chat_template="").save_pretrained(folder)
    return HuggingFace(folder)


ENGINES: dict[str, Callable[[Path], EngineThread]] = {
    "vllm": lambda folder: VllmGenerator(VllmSettings(folder, max_model_len=128, kv_cache_mib=8)),
    "torch": lambda folder: TorchGenerator(TorchSettings(folder, max_model_len=128)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("make", "tied"), [(qwen3, False), (qwen3, True), (qwen2_5_vl, False)])
async def test_logprobs_after_a_publish_equal_hugging_face(
    make: Callable[[PreTrainedTokenizerBase, bool], PreTrainedModel], tied: bool, engine: str, tiny_policy: Path, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(tiny_policy)
    reference = save(make(tokenizer, tied), tokenizer, tmp_path)
    images = (PIL.Image.radial_gradient("L").convert("RGB").resize((90, 130)),) if reference.placeholders else ()
    compact, expanded = reference.prompt("<|vision_start|><|image_pad|><|vision_end|>" * len(images) + "How many? 12 + 30 = ", images)
    generator = ENGINES[engine](tmp_path)
    await generator.publish(reference.weights(1), 1)
    generated = await generator.generate(Request(compact, images, Sampling(20, 0.8, reference.placeholders), 3, 0))
    await generator.close()
    assert generated.prompt_ids == expanded
    for continuation in generated.continuations:
        expected = reference.sampled_logprobs(expanded, continuation.token_ids, images, 0.8)
        torch.testing.assert_close(torch.tensor(continuation.logprobs), expected, atol=1e-4, rtol=0)
