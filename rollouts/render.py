"""Messages to token ids, and sampled token ids back to messages, by the checkpoint's own tokenizer and chat template."""

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import PIL.ExifTags
import PIL.Image
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer

from tasks.message import ImagePart, Json, Message, TextPart, text_message

# Placeholders of pixels: sampling one would break the alignment of images and tokens.
VISION_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>")
IMAGE_TOKEN = "<|image_pad|>"
THINK = "<think>"
# Special tokens in some vocabularies, and part of what an assistant says in all.
SAID_TOKENS = {THINK, "</think>", "<tool_call>", "</tool_call>"}
_OPENED = re.compile(rf"\s*{THINK}\n?")
# Stands for what the assistant said, where only the text after it is wanted.
_SAID = "\u2063said\u2063"


class Renderer:
    """`banned_ids` must never be sampled; any of `stop_ids` ends a turn. No assistant's text holds one of `control_tokens`."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._tokenizer = AutoTokenizer.from_pretrained(path)
        if self._tokenizer.chat_template is None:
            raise ValueError(
                f"{path}: the checkpoint has no chat template; use an Instruct or Thinking checkpoint, or add chat_template.jinja"
            )
        vocabulary = self._tokenizer.get_vocab()
        self.banned_ids = tuple(sorted(vocabulary[token] for token in VISION_TOKENS if token in vocabulary))
        special = {token.content for token in self._tokenizer.added_tokens_decoder.values() if token.special}
        self.control_tokens = tuple(sorted(special - SAID_TOKENS))
        ends = {self._tokenizer.eos_token, "<|im_end|>", "<|endoftext|>"}
        self.stop_ids = tuple(sorted(vocabulary[token] for token in ends if token in vocabulary))

    def prompt_ids(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]] = (), *, thinking: bool = True
    ) -> tuple[int, ...]:
        """Compact ids of the conversation up to where the assistant goes on: one placeholder an image. `tools` are schemas.

        Without `thinking`, as the template asks for an answer at once (Qwen3's `enable_thinking=False`).
        """
        return self.text_ids(self._chat(messages, tools, thinking=thinking))

    def conversation_text(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], *, goes_on: bool, thinking: bool = True
    ) -> str:
        """The conversation as the template writes it; with `goes_on`, up to where the assistant goes on."""
        return self._chat(messages, tools, goes_on=goes_on, thinking=thinking)

    @property
    def has_modes(self) -> bool:
        """Whether the template can ask for an answer without thinking."""
        asked = (text_message("user", "."),)
        return self._chat(asked, (), thinking=False) != self._chat(asked, ())

    @cached_property
    def opening(self) -> str:
        """What the template writes of the assistant's thinking, such as `<think>\\n`, before it goes on; empty where it opens none."""
        _, opened, rest = self._chat((text_message("user", "."),), ()).rpartition(THINK)
        return "" if rest.strip() else opened + rest

    def going_on(self, text: str) -> str:
        """The assistant's text without the opening of its thinking, where the template has written one."""
        opened = _OPENED.match(text)
        return text[opened.end() :] if self.opening and opened else text

    def observation_ids(self, responses: Sequence[Message]) -> tuple[int, ...]:
        """Compact ids of tool messages as they follow a sampled turn, whose end token is not among them, up to where the assistant goes on.

        They are what the chat template puts after the assistant's end token: for Qwen3-VL one user turn with a `<tool_response>` a message.
        """
        before = (text_message("user", "."), text_message("assistant", _SAID))
        rendered = self._chat((*before, *(_without_control_tokens(message) for message in responses)), ())
        after = rendered.rpartition(_SAID)[2]
        end = next((token for token in ("<|im_end|>", self._tokenizer.eos_token) if after.startswith(token)), "")
        return self.text_ids(after.removeprefix(end))

    def num_image_tokens(self, image: PIL.Image.Image) -> int:
        """Placeholders that an image takes in the learner's ids: its merged patches."""
        patches = self._image_processor.get_number_of_image_patches(image.height, image.width, {})
        return int(patches) // int(self._image_processor.merge_size) ** 2

    def expanded(self, compact_ids: Sequence[int], images: Sequence[PIL.Image.Image]) -> tuple[int, ...]:
        """The learner's ids: each image's placeholder repeated for its merged patches."""
        if not images:
            return tuple(compact_ids)
        placeholder = self._tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
        sizes = iter([self.num_image_tokens(image) for image in images])
        expanded = tuple(t for token in compact_ids for t in (token,) * (next(sizes) if token == placeholder else 1))
        assert next(sizes, None) is None, "fewer placeholders than images"
        return expanded

    def seen(self, images: Sequence[PIL.Image.Image]) -> tuple[PIL.Image.Image, ...]:
        """Images as small as they may be for the policy's processor to make the same patches of them: they travel with every request."""
        return tuple(_shrunk(image, self._image_processor) for image in images) if self._has_vision else tuple(images)

    @cached_property
    def _has_vision(self) -> bool:
        return hasattr(AutoConfig.from_pretrained(self._path), "vision_config")

    @cached_property
    def _image_processor(self) -> AutoImageProcessor:
        return AutoImageProcessor.from_pretrained(self._path)

    def _chat(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Json]], *, goes_on: bool = True, thinking: bool = True
    ) -> str:
        chat = [_as_chat(message) for message in messages]
        mode = {} if thinking else {"enable_thinking": False}
        return str(
            self._tokenizer.apply_chat_template(chat, tools=list(tools) or None, tokenize=False, add_generation_prompt=goes_on, **mode)
        )

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


def check_alignment(engine_ids: Sequence[int], learner_ids: Sequence[int], images: Sequence[PIL.Image.Image]) -> None:
    """Raises `ValueError` where the learner would train on other ids than the engine sampled after."""
    if tuple(engine_ids) != tuple(learner_ids):
        raise ValueError(
            f"the engine read a prompt of {len(engine_ids)} tokens, of which the learner would make {len(learner_ids)}: they expand the "
            f"placeholders of images of {', '.join(f'{image.width} x {image.height}' for image in images)} pixels otherwise"
        )


def _shrunk(image: PIL.Image.Image, processor: AutoImageProcessor) -> PIL.Image.Image:
    """Resized as the processor would, where that takes at least half of the pixels away and what comes out it would not resize again."""
    from torchvision.transforms.functional import pil_to_tensor
    from transformers.image_utils import SizeDict
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor, smart_resize

    if not isinstance(processor, Qwen2VLImageProcessor) or not processor.do_resize or image.mode != "RGB" or _is_turned(image):
        return image
    limits = (processor.patch_size * processor.merge_size, processor.size.shortest_edge, processor.size.longest_edge)
    height, width = smart_resize(image.height, image.width, *limits)
    # A narrow strip is made as wide as a patch, which may take it over the limit again.
    if 2 * height * width > image.height * image.width or smart_resize(height, width, *limits) != (height, width):
        return image
    resized = processor.resize(pil_to_tensor(image), SizeDict(height=height, width=width), processor.resample)
    return PIL.Image.fromarray(resized.permute(1, 2, 0).numpy())


def _is_turned(image: PIL.Image.Image) -> bool:
    return bool(image.getexif().get(PIL.ExifTags.Base.Orientation, 1) != 1)


def _as_chat(message: Message) -> dict[str, object]:
    parts = [{"type": "image"} if isinstance(part, ImagePart) else {"type": "text", "text": part.text} for part in message.parts]
    chat: dict[str, object] = {"role": message.role, "content": message.text if not message.images else parts}
    if message.tool_calls:
        chat["tool_calls"] = [{"type": "function", "function": {"name": c.name, "arguments": c.arguments}} for c in message.tool_calls]
    return chat


def _without_control_tokens(message: Message) -> Message:
    """What a tool says is text: were it read as control tokens, a tool could end its turn, or stand for an image that is not there."""
    parts = tuple(TextPart(_CONTROL.sub(r"<\1 ", part.text)) if isinstance(part, TextPart) else part for part in message.parts)
    return Message(message.role, parts)


_CONTROL = re.compile(r"<(\||/?(?=(?:tool_call|tool_response|think)>))")
