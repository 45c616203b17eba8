"""How tests of rewards write a call."""

from rewards.transcript import Transcript
from tasks.message import text_message


def response(text: str, *, complete: bool = True) -> Transcript:
    return Transcript((text_message("user", "question"),), (text_message("assistant", text),), complete=complete)
