"""The policy that is trained: a checkpoint, or a tiny Qwen3-VL that is built here with its tokenizer and image processor."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError
from safetensors.torch import load_file
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    AutoTokenizer,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from rl.cached_folder import MARK, is_complete, made_once
from rl.config.checkpoint_folder import checkpoint_fault
from rl.config.supervised_settings import TinyPolicySettings

# The tokens that Qwen3-VL's template uses, in its order.
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
    "<think>",
    "</think>",
)
PATCH = 16
HEAD_DIM = 32
# Qwen's chat format: roles between <|im_start|> and <|im_end|>, tools in the system turn, tool results in a user turn.
CHAT_TEMPLATE = Path(__file__).with_name("chat_template.jinja")


def build_tiny_policy(
    settings: TinyPolicySettings, corpus: Iterable[str], seed: int, cache: Path, tokenizer_of: Path | None = None
) -> Path:
    """A folder with an untrained Qwen3-VL, made once for the same settings, corpus and seed.

    The tokenizer is byte-level BPE, so it holds any text; its merges are learnt from `corpus`, and every digit is a token of its own as in
    Qwen3. With `tokenizer_of`, another policy's folder, it is that one's instead, and neither the corpus nor `vocab_size` counts.
    """
    texts = list(corpus)
    words = sorted(AutoTokenizer.from_pretrained(tokenizer_of).get_vocab().items()) if tokenizer_of else texts
    content = json.dumps([settings.model_dump(), words, seed, 1], ensure_ascii=False).encode()
    folder = cache / "policies" / hashlib.sha256(content).hexdigest()[:16]
    if is_complete(folder):
        return folder
    tokenizer = AutoTokenizer.from_pretrained(tokenizer_of) if tokenizer_of else _tokenizer(texts, settings.vocab_size, settings.words)
    half = [0.5, 0.5, 0.5]
    pixels = {"shortest_edge": 32 * 32, "longest_edge": settings.max_image_pixels}
    image_processor = Qwen2VLImageProcessor(patch_size=PATCH, merge_size=2, size=pixels, image_mean=half, image_std=half)
    video_processor = Qwen3VLVideoProcessor(patch_size=PATCH, merge_size=2)
    processor = Qwen3VLProcessor(image_processor, tokenizer, video_processor, chat_template=CHAT_TEMPLATE.read_text())
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(_config(settings, tokenizer))
    # Position embeddings of the default scale would drown in the patch embeddings of an untrained tower.
    torch.nn.init.normal_(model.model.visual.pos_embed.weight, std=0.5)
    with made_once(folder) as work:
        model.save_pretrained(work)
        processor.save_pretrained(work)
    return folder


def resolve_policy(name: str, key: str = "policy.path") -> Path:
    """The local folder of a checkpoint: itself, or what the hub has under that name. Raises `ValueError`, naming `key`, for neither."""
    fault = checkpoint_fault(name)
    if fault is not None:
        raise ValueError(f"{key}: {fault}")
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder
    try:
        return Path(snapshot_download(name))
    except (OSError, ValueError, HfHubHTTPError) as error:
        raise ValueError(f"{key}={name}: no such folder, and the hub gave no checkpoint of that name ({error})") from error


def copy_policy(source: Path, folder: Path) -> None:
    """A copy of a checkpoint without the mark of a cached one: the name of `folder` does not stand for its content (see `policy_key`)."""
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns(MARK), dirs_exist_ok=True)


def read_weights(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a local checkpoint by name."""
    weights: dict[str, torch.Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        weights |= load_file(file)
    return weights


def policy_key(folder: Path) -> str:
    """Differs whenever the files of a checkpoint do: by content where we made and cached it, else by names, sizes and times of change."""
    if is_complete(folder):
        return folder.name
    files = sorted(file for file in folder.iterdir() if file.is_file())
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:16]


def _tokenizer(texts: list[str], vocab_size: int, whole: Sequence[str]) -> PreTrainedTokenizerFast:
    bpe = Tokenizer(models.BPE())
    words = Regex(r" ?[A-Za-z_]{2,}|[^\s]|\n+|\s+")
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, "isolated"),
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocab_size - len(SPECIAL_TOKENS), initial_alphabet=alphabet, show_progress=False)
    )
    bpe.add_special_tokens(list(SPECIAL_TOKENS))
    bpe.add_tokens(list(whole))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, eos_token="<|im_end|>", pad_token="<|endoftext|>", model_max_length=32768)
    tokenizer.chat_template = CHAT_TEMPLATE.read_text()
    return tokenizer


def _config(settings: TinyPolicySettings, tokenizer: PreTrainedTokenizerFast) -> Qwen3VLConfig:
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS}
    return Qwen3VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": settings.hidden_size,
            "intermediate_size": settings.intermediate_size,
            "num_hidden_layers": settings.num_layers,
            "num_attention_heads": settings.num_heads,
            "num_key_value_heads": settings.num_kv_heads,
            "head_dim": HEAD_DIM,
            "max_position_embeddings": 32768,
            "initializer_range": 0.04,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [6, 5, 5], "mrope_interleaved": True},
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": ids["<|im_end|>"],
            "pad_token_id": ids["<|endoftext|>"],
        },
        vision_config={
            "depth": settings.vision_depth,
            "hidden_size": settings.vision_hidden_size,
            "intermediate_size": 2 * settings.vision_hidden_size,
            "num_heads": max(1, settings.vision_hidden_size // 32),
            "patch_size": PATCH,
            "spatial_merge_size": 2,
            "temporal_patch_size": 2,
            "out_hidden_size": settings.hidden_size,
            "num_position_embeddings": 36,
            "deepstack_visual_indexes": [settings.vision_depth - 2] if settings.vision_depth > 1 else [],
            "initializer_range": 0.04,
        },
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
        eos_token_id=ids["<|im_end|>"],
        pad_token_id=ids["<|endoftext|>"],
    )
