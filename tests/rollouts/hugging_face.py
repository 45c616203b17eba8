"""Plain transformers as the reference of the engines' tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import PIL.Image
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, AutoProcessor, AutoTokenizer


class HuggingFace:
    def __init__(self, folder: Path) -> None:
        config = AutoConfig.from_pretrained(folder)
        has_vision = hasattr(config, "vision_config")
        loader = AutoModelForImageTextToText if has_vision else AutoModelForCausalLM
        self.model = loader.from_pretrained(folder, dtype=torch.float32).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.processor = AutoProcessor.from_pretrained(folder) if has_vision else None
        self.placeholders = (config.image_token_id, config.video_token_id) if has_vision else ()
        self._first = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def weights(self, version: int) -> dict[str, torch.Tensor]:
        """Weights that differ from version to version, and leave some tokens much likelier than others; the model takes them on."""
        noise = torch.Generator().manual_seed(version)
        weights = {
            name: tensor + 0.06 * torch.randn(tensor.shape, generator=noise) if tensor.ndim > 1 else tensor
            for name, tensor in self._first.items()
        }
        if self.model.get_output_embeddings().weight is self.model.get_input_embeddings().weight:
            del weights["lm_head.weight"]  # As in checkpoints: a tied head has no weights of its own.
        self.take(weights)
        return weights

    def take(self, weights: Mapping[str, torch.Tensor]) -> None:
        self.model.load_state_dict(weights, strict=False)

    def prompt(self, text: str, images: Sequence[PIL.Image.Image]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Compact and expanded ids of `text`, which has a placeholder for each image."""
        compact = self.tokenizer(text)["input_ids"]
        if self.processor is None:
            return tuple(compact), tuple(compact)
        expanded = self.processor(text=[text], images=list(images) or None)["input_ids"][0]
        return tuple(compact), tuple(expanded)

    @torch.inference_mode()
    def logprobs(
        self, ids: Sequence[int], images: Sequence[PIL.Image.Image], temperature: float = 1.0, banned: Sequence[int] | None = None
    ) -> torch.Tensor:
        """Column t is the log-prob of each token of the vocabulary after ids[: t + 1]; vision placeholders are banned by default."""
        logits = self.model(**self._inputs(ids, images)).logits[0].float()
        logits[:, list(self.placeholders if banned is None else banned)] = -torch.inf
        return torch.log_softmax(logits / temperature, dim=-1)

    def sampled_logprobs(
        self, prompt: Sequence[int], sampled: Sequence[int], images: Sequence[PIL.Image.Image], temperature: float = 1.0
    ) -> torch.Tensor:
        rows = self.logprobs((*prompt, *sampled), images, temperature)[len(prompt) - 1 : -1]
        return rows.gather(1, torch.tensor(sampled)[:, None])[:, 0]

    @torch.inference_mode()
    def greedy(self, ids: Sequence[int], images: Sequence[PIL.Image.Image], max_tokens: int) -> list[int]:
        inputs = self._inputs(ids, images)
        output = self.model.generate(
            **inputs, max_new_tokens=max_tokens, do_sample=False, eos_token_id=-1, pad_token_id=0, suppress_tokens=list(self.placeholders)
        )
        return [int(token) for token in output[0, len(ids) :]]

    def _inputs(self, ids: Sequence[int], images: Sequence[PIL.Image.Image]) -> Mapping[str, torch.Tensor]:
        token_ids = torch.tensor([list(ids)])
        inputs = {"input_ids": token_ids, "attention_mask": torch.ones_like(token_ids)}
        if images:
            assert self.processor is not None
            inputs |= self.processor.image_processor(images=list(images), return_tensors="pt")
            inputs["mm_token_type_ids"] = (token_ids == self.model.config.image_token_id).int()
        return inputs
