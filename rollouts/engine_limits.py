"""What an engine can take, checked before it sees a request."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rollouts.generator import Request

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@dataclass(frozen=True, slots=True)
class EngineLimits:
    """`image_id` is the image placeholder of the checkpoint, None where it takes no images."""

    model_path: Path
    max_model_len: int
    max_images: int
    image_id: int | None
    vocab_size: int

    @classmethod
    def of(cls, model_path: Path, config: "PreTrainedConfig", max_model_len: int, max_images: int) -> "EngineLimits":
        image_id = config.image_token_id if hasattr(config, "vision_config") else None
        return cls(model_path, max_model_len, max_images, image_id, config.get_text_config().vocab_size)

    def check(self, request: Request) -> None:
        """Raises ValueError for a request that the engine cannot serve."""
        sampling = request.sampling
        if not request.prompt_ids:
            raise ValueError(f"{self.model_path}: the prompt is empty; give at least one token")
        if request.count < 1 or sampling.max_tokens < 1:
            raise ValueError(f"count is {request.count} and max_tokens {sampling.max_tokens}; both must be at least 1")
        if sampling.temperature < 0:
            raise ValueError(f"temperature is {sampling.temperature}; it must be 0 (greedy) or more")
        for name, ids in (("prompt", request.prompt_ids), ("banned", sampling.banned_ids), ("stop", sampling.stop_ids)):
            if ids and not 0 <= min(ids) <= max(ids) < self.vocab_size:
                raise ValueError(f"a {name} id is outside of the vocabulary of {self.model_path}: 0 to {self.vocab_size - 1}")
        self._check_images(request)
        self.check_length(len(request.prompt_ids))

    def check_length(self, prompt_tokens: int) -> None:
        """Raises ValueError if no token can follow a prompt of this length, image tokens included."""
        if prompt_tokens >= self.max_model_len:
            raise ValueError(
                f"a prompt of {prompt_tokens} tokens (image tokens included) leaves no room in max_model_len = {self.max_model_len}; "
                "raise rollout.max_model_len, or shorten the prompt or shrink its images"
            )

    def _check_images(self, request: Request) -> None:
        num_images = len(request.images)
        if self.image_id is None and num_images:
            raise ValueError(
                f"{self.model_path} is a text-only checkpoint, but the prompt has {num_images} image(s); give it a Qwen-VL one"
            )
        placeholders = request.prompt_ids.count(self.image_id) if self.image_id is not None else 0
        if placeholders != num_images:
            raise ValueError(
                f"the prompt has {placeholders} image placeholder(s) (id {self.image_id}) for {num_images} image(s); "
                "give one placeholder an image, not expanded"
            )
        if num_images > self.max_images:
            raise ValueError(f"the prompt has {num_images} images, but max_images = {self.max_images}; raise max_images")
