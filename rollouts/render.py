"""Messages to token ids, and sampled token ids back to messages, by the checkpoint's own tokenizer and chat template."""

from collections.abc import Sequence
from pathlib import Path

from transformers import AutoTokenizer

from tasks.message import ImagePart, Message, text_message

# Placeholders of pixels: sampling one would break the alignment of images and tokens.
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")


class Renderer:
    """`banned_ids` must never be sampled; any of `stop_ids` ends a turn."""

    def __init__(self, path: Path | str) -> None:
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        if self._tokenizer.chat_template is None:
            raise ValueError(
                f"{path}: the checkpoint has no chat template; use an Instruct or Thinking checkpoint, or add chat_template.jinja"
            )
        vocabulary = self._tokenizer.get_vocab()
        self.banned_ids = tuple(sorted(vocabulary[token] for token in VISION_TOKENS if token in vocabulary))
        ends = {self._tokenizer.eos_token, "<|im_end|>", "<|endoftext|>"}
        self.stop_ids = tuple(sorted(vocabulary[token] for token in ends if token in vocabulary))

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Compact ids of the conversation up to where the assistant goes on: one placeholder an image."""
        text = self._tokenizer.apply_chat_template([_as_chat(m) for m in messages], tokenize=False, add_generation_prompt=True)
        return self.text_ids(text)

    def text_ids(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer(text, add_special_tokens=False).input_ids)

    def turn_ids(self, text: str) -> tuple[int, ...]:
        """An assistant turn with its end token, as the policy should sample it."""
        return self.text_ids(f"{text}<|im_end|>")

    def sampled_message(self, token_ids: Sequence[int]) -> Message:
        """The assistant's message; the end token is left out of its text, other special tokens are kept."""
        body = token_ids[:-1] if token_ids and token_ids[-1] in self.stop_ids else token_ids
        return text_message("assistant", self.text(body))

    def text(self, token_ids: Sequence[int]) -> str:
        return str(self._tokenizer.decode(list(token_ids), skip_special_tokens=False))


def _as_chat(message: Message) -> dict[str, object]:
    parts = [{"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": part.text} for part in message.parts]
    plain = message.text if not message.images else parts
    return {"role": message.role, "content": plain}
