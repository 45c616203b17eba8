"""Language mixing: thinking or answer in another language than the prompt's, or in two, by counts of scripts."""

from rewards.answer import split_response
from rewards.errors import unknown
from rewards.languages import SCRIPTS_OF, expected_scripts, measure_mixing
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import Target


@reward("language_mixing", target="any")
def grade_language_mixing(target: Target, transcript: Transcript, *, language: str = "prompt", max_share: float = 0.02) -> Grade:
    """1 if at most `max_share` of the units of the thinking, and of the answer, stand in another script than the language's, else 0.

    `language` is an ISO 639-1 code, or "prompt": that of the user's last message. A text without letters is right. The parts are both
    shares. Chinese and English are told apart, French and English are not.
    """
    if language != "prompt" and language not in SCRIPTS_OF:
        raise unknown("language", language, {"prompt", *SCRIPTS_OF})
    prompt = next((message.text for message in reversed(transcript.prompt) if message.role == "user"), "")
    text = "\n".join(message.text for message in transcript.response if message.role == "assistant")
    response = split_response(text)
    expected = SCRIPTS_OF[language] if language != "prompt" else expected_scripts(prompt, response.answer or response.thinking)
    thinking, answer = (measure_mixing(part, expected, prompt) for part in (response.thinking, response.answer or ""))
    right = max(thinking.share, answer.share) <= max_share
    return Grade(float(right), right, None, {"thinking": thinking.share, "answer": answer.share})
