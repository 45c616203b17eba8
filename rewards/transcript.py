"""What a reward sees of a rollout: the messages, and the tool calls that really ran."""

from dataclasses import dataclass

from tasks.message import ExecutedCall, Message


@dataclass(frozen=True, slots=True)
class Transcript:
    """`prompt` is the problem's messages, `response` everything after them (assistant and tool turns, in order).

    `complete` is False when the response ran into a limit before its end token.
    """

    prompt: tuple[Message, ...]
    response: tuple[Message, ...]
    executed_calls: tuple[ExecutedCall, ...] = ()
    complete: bool = True

    @property
    def final_text(self) -> str:
        """The text of the last assistant message, thinking included; empty if there is none."""
        for message in reversed(self.response):
            if message.role == "assistant":
                return message.text
        return ""
