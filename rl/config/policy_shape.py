"""The size of a policy, read from files or settings: what memory it takes, without loading it."""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rl.config.error import ConfigError
from rl.config.supervised_settings import PolicySettings, TinyPolicySettings

TINY_HEAD_DIM = 32
TINY_PATCH_VALUES = 3 * 2 * 16 * 16
TINY_PATCH_PLACES = 36


@dataclass(frozen=True, slots=True)
class PolicyShape:
    """`parameters` counts shared ones once, the vision tower's `vision_parameters` included. The rest is the language model's."""

    parameters: int
    vision_parameters: int
    layers: int
    hidden_size: int
    intermediate_size: int
    kv_heads: int
    head_dim: int
    vocab_size: int

    def kv_bytes_per_token(self, bytes_per_value: int) -> int:
        return 2 * self.layers * self.kv_heads * self.head_dim * bytes_per_value


def policy_shape(settings: PolicySettings) -> PolicyShape | None:
    """The shape of the policy that is trained; None for a checkpoint that is still to be downloaded.

    Only a local checkpoint without safetensors costs an import of torch. Raises `ConfigError` for a folder that holds no checkpoint.
    """
    if settings.path is None:
        return tiny_shape(settings.tiny)
    folder = Path(settings.path).expanduser()
    if not folder.is_dir():
        return None
    config_file = folder / "config.json"
    if not config_file.is_file():
        raise ConfigError(f"policy.path: {folder} is no checkpoint: it holds no config.json")
    config = json.loads(config_file.read_text())
    text = config.get("text_config") or config
    try:
        heads = int(text["num_attention_heads"])
        counts = _stored_parameters(folder) or _meta_parameters(folder)
        return PolicyShape(
            *counts,
            layers=text["num_hidden_layers"],
            hidden_size=text["hidden_size"],
            intermediate_size=text["intermediate_size"],
            kv_heads=text.get("num_key_value_heads") or heads,
            head_dim=text.get("head_dim") or text["hidden_size"] // heads,
            vocab_size=text["vocab_size"],
        )
    except KeyError as error:
        raise ConfigError(f"policy.path: {config_file} has no {error}; is it the config of a language model?") from None


def tiny_shape(tiny: TinyPolicySettings) -> PolicyShape:
    """The shape of the policy that `rl.policy` builds, its vocabulary full."""
    hidden, head = tiny.hidden_size, TINY_HEAD_DIM
    attention = 2 * hidden * tiny.num_heads * head + 2 * hidden * tiny.num_kv_heads * head + 2 * head
    layer = attention + 3 * hidden * tiny.intermediate_size + 2 * hidden
    text = tiny.vocab_size * hidden + tiny.num_layers * layer + hidden
    vision = _tiny_vision(tiny)
    return PolicyShape(
        parameters=text + vision,
        vision_parameters=vision,
        layers=tiny.num_layers,
        hidden_size=hidden,
        intermediate_size=tiny.intermediate_size,
        kv_heads=tiny.num_kv_heads,
        head_dim=head,
        vocab_size=tiny.vocab_size,
    )


def _tiny_vision(tiny: TinyPolicySettings) -> int:
    width = tiny.vision_hidden_size
    embedding = TINY_PATCH_VALUES * width + width + TINY_PATCH_PLACES * width
    attention = 3 * (width * width + width) + width * width + width
    block = 4 * width + attention + (2 * width * width + 2 * width) + (2 * width * width + width)
    merged = 4 * width
    projection = merged * merged + merged + merged * tiny.hidden_size + tiny.hidden_size
    # The merger normalises patches, the one for deepstack merged patches.
    deepstack = projection + 2 * merged if tiny.vision_depth > 1 else 0
    return embedding + tiny.vision_depth * block + projection + 2 * width + deepstack


def _stored_parameters(folder: Path) -> tuple[int, int] | None:
    """All parameters and the vision tower's, from the headers of the safetensors files; None without such files."""
    sizes: dict[str, int] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            header: Mapping[str, Mapping[str, list[int]]] = json.loads(stream.read(length))
        sizes |= {name: math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    return _counts(sizes) if sizes else None


def _meta_parameters(folder: Path) -> tuple[int, int]:
    """The same from config.json alone: the model is made on the meta device, without weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText

    config = AutoConfig.from_pretrained(folder)
    kind = AutoModelForImageTextToText if hasattr(config, "vision_config") else AutoModelForCausalLM
    with torch.device("meta"):
        model = kind.from_config(config)
    model.tie_weights()
    return _counts({name: parameter.numel() for name, parameter in model.named_parameters()})


def _counts(sizes: Mapping[str, int]) -> tuple[int, int]:
    vision = sum(size for name, size in sizes.items() if "visual" in name.split("."))
    return sum(sizes.values()), vision
