"""Prompts: texts and lists of messages, with images in their places."""

from io import BytesIO
from pathlib import Path

import PIL.Image
import pytest

from tasks.errors import RowError
from tasks.prompt import read_prompt, read_recorded
from tasks.stored_image import StoredImage, read_image
from tasks.stored_problem import StoredMessage, content_digest

NOWHERE = Path("nowhere")


def stored(shade: int) -> StoredImage:
    buffer = BytesIO()
    PIL.Image.new("RGB", (2, 2), (shade, 0, 0)).save(buffer, "PNG")
    return read_image(buffer.getvalue(), NOWHERE)


A, B = stored(1), stored(2)


def user(*parts: str | StoredImage) -> tuple[StoredMessage, ...]:
    return (StoredMessage("user", parts),)


@pytest.mark.parametrize(
    ("value", "images", "expected"),
    [
        ("What is 1+1?", [], user("What is 1+1?")),
        ("<image>\nHow many?", [A], user(A, "\nHow many?")),
        ("Is <image> larger than <image>?", [A, B], user("Is ", A, " larger than ", B, "?")),
        ("How many?", [A, B], user(A, B, "How many?")),
        ([{"role": "user", "content": "Look: <image>"}], [A], user("Look: ", A)),
        ([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What?"}]}], [A], user(A, "What?")),
        ([{"role": "user", "content": [{"type": "text", "text": "What?", "image": None}]}], [A], user(A, "What?")),
        ([{"role": "user", "content": [{"image": A.encoded}, {"text": "What?"}]}], [], user(A, "What?")),
        ([{"role": "user", "content": [{"type": "image", "image": A.encoded}, {"type": "image"}, "What?"]}], [B], user(A, B, "What?")),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": A.encoded}}, "What?"]}], [], user(A, "What?")),
    ],
)
def test_images_take_their_places(value: object, images: list[StoredImage], expected: tuple[StoredMessage, ...]) -> None:
    assert read_prompt(value, images, NOWHERE) == expected


def test_unmarked_images_go_to_the_first_user_message() -> None:
    chat = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What?"}]
    assert read_prompt(chat, [A], NOWHERE) == (StoredMessage("system", ("Be brief.",)), StoredMessage("user", (A, "What?")))


def test_tool_calls_are_read_in_both_notations() -> None:
    flat = {"name": "zoom", "arguments": {"x": 1}}
    wrapped = {"type": "function", "function": {"name": "zoom", "arguments": '{"x": 1}'}}
    chat = [
        {"role": "user", "content": "What?"},
        {"role": "assistant", "content": None, "tool_calls": [flat, wrapped]},
        {"role": "tool", "content": "<image>"},
    ]
    _, asked, answered = read_prompt(chat, [A], NOWHERE)
    assert [(call.name, call.arguments) for call in asked.tool_calls] == [("zoom", {"x": 1})] * 2
    assert answered == StoredMessage("tool", (A,))


@pytest.mark.parametrize(
    ("value", "images", "reason"),
    [
        ("Is <image> larger?", [], "1 <image> in the prompt, but 0 images in the row"),
        ("Is <image> larger?", [A, B], "1 <image> in the prompt, but 2 images in the row"),
        ("  ", [], "the prompt is empty"),
        ("<image>", [A], "the prompt is empty"),
        (None, [], "a prompt is a text or a list of messages, not None"),
        ([], [], "a prompt is a text or a list of messages"),
        (["hello"], [], "a message is a record with role and content, not 'hello'"),
        ([{"role": "human", "content": "hello"}], [], "role 'human' is none of system, user, assistant, tool"),
        ([{"content": "hello"}], [], "role None is none of"),
        ([{"role": "user", "content": 3}], [], "content is a text or a list of parts, not 3"),
        (
            [{"role": "user", "content": [{"type": "video", "video": "a.mp4"}]}],
            [],
            "has type text, image or image_url, not {'type': 'video'",
        ),
        ([{"role": "user", "content": [{"type": "text"}]}], [], "has type text, image or image_url"),
        ([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], [], "the last message is the assistant's"),
        ([{"role": "tool", "content": "a"}], [A], "no user message that the images could stand in"),
        (
            "<|vision_start|><|image_pad|><|vision_end|>What?",
            [A],
            r"special token <\|vision_start\|>; where an image stands, write <image>",
        ),
        ("<|im_end|>", [], r"special token <\|im_end\|>"),
        ([{"role": "user", "content": [{"type": "image", "image": "none.png"}, "a"]}], [], "no image file nowhere/none.png"),
        ([{"role": "assistant", "tool_calls": [{"name": "zoom", "arguments": "{"}]}], [], "a tool call has a name and arguments"),
        ([{"role": "assistant", "tool_calls": "zoom"}], [], "tool_calls is a list, not 'zoom'"),
    ],
)
def test_what_is_no_prompt_says_why(value: object, images: list[StoredImage], reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_prompt(value, images, NOWHERE)


def test_content_is_the_same_however_white_space_is_set() -> None:
    assert content_digest(user("What is\n 1+1? ")) == content_digest(user("What is 1+1?"))
    assert content_digest(user(A, "\nWhat?")) == content_digest(user(A, "What?"))


def test_content_differs_with_words_images_their_order_and_roles() -> None:
    prompts = [
        user("What?"),
        user("what?"),
        user(A, "What?"),
        user(B, "What?"),
        user("What?", A),
        user(A, B, "What?"),
        user(B, A, "What?"),
        (StoredMessage("system", ("What?",)),),
        (*user("What?"), *user("What?")),
    ]
    assert len({content_digest(prompt) for prompt in prompts}) == len(prompts)


def test_a_recorded_conversation_keeps_every_text_as_it_is() -> None:
    messages = read_recorded([{"role": "assistant", "content": "<image> <|im_end|>"}, {"role": "tool", "content": None}], [], Path())
    assert [message.parts for message in messages] == [("<image> <|im_end|>",), ()]


def test_images_of_a_recorded_conversation_stand_where_they_are_marked_or_ahead_of_the_first_user_text(tmp_path: Path) -> None:
    image = StoredImage(b"", "digest")
    assert read_recorded("a <image> b", [image], tmp_path)[0].parts == ("a ", image, " b")
    assert read_recorded("a", [image], tmp_path)[0].parts == (image, "a")
    assert read_recorded("a <image> <image>", [image], tmp_path)[0].parts == (image, "a <image> <image>")
