"""Settings of the policy that is built, and of supervised training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rl.config.strict_settings import Count, NonNegative, PartShare, Positive, Settings, Share


class TinyPolicySettings(Settings):
    """The Qwen3-VL that is built locally when `policy.path` is null."""

    hidden_size: Count = Field(96, description="width of the language model")
    num_layers: Count = Field(3, description="layers of the language model")
    num_heads: Count = Field(3, description="attention heads; head_dim is 32")
    num_kv_heads: Count = Field(1, description="key-value heads")
    intermediate_size: Count = Field(256, description="width of the language model's MLP")
    vision_hidden_size: Count = Field(64, description="width of the vision tower")
    vision_depth: Count = Field(2, description="layers of the vision tower")
    vocab_size: Count = Field(384, description="entries of the byte-level BPE tokenizer that is trained on the demonstrations")
    words: tuple[str, ...] = Field((), description="texts that are one token each, besides the learnt ones")
    max_image_pixels: Count = Field(1024 * 1024, description="larger images are seen smaller; what tools crop is the image itself")

    @model_validator(mode="after")
    def _heads_share_evenly(self) -> "TinyPolicySettings":
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads={self.num_heads} is no multiple of num_kv_heads={self.num_kv_heads}, which they share")
        return self


class PolicySettings(Settings):
    path: str | None = Field(
        None, description="a local folder or hub name of a Qwen3, Qwen3-VL or Qwen2.5-VL checkpoint; null builds the tiny one"
    )
    tiny: TinyPolicySettings = TinyPolicySettings()
    dtype: Literal["auto", "float32", "bfloat16"] = Field("auto", description="auto: bfloat16 on a GPU that computes in it, else float32")


class OptimizerSettings(Settings):
    lr: Positive = Field(1e-4, description="peak learning rate of AdamW")
    warmup_steps: Annotated[int, Field(ge=0)] = Field(5, description="steps of linear warm-up")
    decay: Literal["constant", "linear", "cosine"] = Field("constant", description="schedule after the warm-up")
    final_lr_share: Share = Field(0.1, description="learning rate at the end, as a share of the peak (linear, cosine)")
    weight_decay: NonNegative = Field(0.0, description="AdamW's decoupled weight decay")
    betas: tuple[PartShare, PartShare] = Field((0.9, 0.95), description="AdamW's betas")
    max_grad_norm: Positive = Field(1.0, description="gradients are clipped to this norm")


class SupervisedSettings(Settings):
    """How demonstrations are trained on."""

    steps: Count = Field(400, description="optimizer steps, both phases together")
    batch_size: Count = Field(32, description="demonstrations in an optimizer step")
    loss_weighting: Literal["token", "sample", "sqrt"] = Field(
        "sqrt", description="weight of a sample: n, 1 or sqrt(n) for n supervised tokens"
    )
    short_context: Count = Field(256, description="token limit of the first phase: longer demonstrations wait for the second")
    long_context: Count = Field(1024, description="token limit of the second phase, which mixes long with short")
    long_share: Share = Field(0.5, description="share of the steps that belong to the second phase")
    validation_share: PartShare = Field(0.1, description="share of the demonstrations that is held back to choose the best checkpoint")
    validate_every: Count = Field(25, description="steps between validations; the checkpoint with the lowest validation loss is kept")
    patience: Count = Field(6, description="validations without a better one after which the cold start ends")
    micro_batch_tokens: Count = Field(8192, description="tokens of a forward-backward pass, at the most")
    balanced: bool = Field(
        True, description="half of a batch with images, half without, where there are both; false takes them in the shares they have"
    )
    freeze_vision: bool = Field(False, description="keep the vision tower and merger as they are")
    optimizer: OptimizerSettings = OptimizerSettings(lr=2e-3, warmup_steps=50, decay="cosine", weight_decay=0.01)


class DemonstrationSettings(SupervisedSettings):
    """Supervised training on a small fixed set of demonstrations."""

    demonstrations: Count = Field(512, description="number of demonstrations, equally many of each task that has some")
    data: str | None = Field(None, description="a .jsonl, .parquet or `hf:` table of messages instead of the families' own demonstrations")


class ColdStartSettings(DemonstrationSettings):
    enabled: bool = Field(True, description="false starts RL from the policy as it is")
