import pickle

import PIL.Image
import pytest

from rewards.grading import WithheldImage, without_images
from rewards.offline.gold import GOLD, GoldAnswer
from rewards.outcome import Grade, Ungraded
from rewards.pickling import dumps
from rewards.transcript import Transcript
from tasks.message import ExecutedCall, ImagePart, Message, TextPart, ToolCall, text_message
from tasks.problem import MissingTarget

CALL = ToolCall("zoom", {"box": [1, 2.5, None], "deep": {"yes": True}})
TRANSCRIPT = Transcript(
    (text_message("user", "?"),),
    (Message("assistant", (), (CALL,)), text_message("tool", "…"), text_message("assistant", "42")),
    (ExecutedCall(CALL, True, 0.5),),
    complete=False,
    expected_calls=2,
)


def there_and_back(value: object) -> object:
    return pickle.loads(dumps(value))


@pytest.mark.parametrize("gold", GOLD.values(), ids=lambda gold: gold.target.kind)
def test_every_kind_of_target_comes_back_as_it_was(gold: GoldAnswer) -> None:
    assert there_and_back(gold.target) == gold.target


@pytest.mark.parametrize(
    "value", [TRANSCRIPT, MissingTarget(), Grade(0.5, True, "42", {"a/b": 1.0}), Grade(1.0), Ungraded("timeout", "over 1 s")]
)
def test_transcripts_and_outcomes_come_back_as_they_were(value: object) -> None:
    assert there_and_back(value) == value


def test_what_is_shared_stays_shared() -> None:
    first, second = there_and_back([(TRANSCRIPT.prompt, 1), (TRANSCRIPT.prompt, 2)])  # type: ignore[misc]
    assert first[0] is second[0]


def test_an_image_travels_and_a_withheld_one_stays_withheld() -> None:
    image = PIL.Image.new("RGB", (3, 2), "red")
    seen = Transcript((Message("user", (ImagePart(image), TextPart("?"))),), ())
    back, withheld = there_and_back((seen, without_images(seen)))  # type: ignore[misc]
    assert back.prompt[0].images[0].tobytes() == image.tobytes()
    assert isinstance(withheld.prompt[0].parts[0], WithheldImage)
    with pytest.raises(AttributeError, match="images=True"):
        _ = withheld.prompt[0].parts[0].image
