"""Which of a teacher's answers are not imitated, and why: the filters of Qwen3's cold start (arXiv 2505.09388, section 4.1) and of
Qwen3-VL's (arXiv 2511.21631, section 4.2.2) that need no judge.
"""

import re
from collections.abc import Callable, Sequence

from rewards.answer import CLOSE, OPEN, split_response
from rewards.outcome import Grade, Outcome
from rewards.transcript import Transcript
from rewards.verifiers.language_mixing import grade_language_mixing
from rewards.verifiers.repetition import grade_repetition
from rl.config.teaching_settings import ResponseFilter
from tasks.problem import MissingTarget


def dropped_by(filters: Sequence[ResponseFilter], transcript: Transcript, outcome: Outcome, min_reasoning_chars: int) -> str | None:
    """The first of `filters` that drops the answer; None where it may be imitated."""
    return next((name for name in filters if _DROPS[name](transcript, outcome, min_reasoning_chars)), None)


def _ungraded(transcript: Transcript, outcome: Outcome, _: int) -> bool:
    """No reward could say whether it is right."""
    return not isinstance(outcome, Grade)


def _incomplete(transcript: Transcript, outcome: Outcome, _: int) -> bool:
    """Cut off, thinking that never ends, or nothing after it."""
    return not transcript.complete or not split_response(transcript.final_text).answer


def _wrong_final(transcript: Transcript, outcome: Outcome, _: int) -> bool:
    """The task's reward says so: its verdict, or no reward at all where it gives none."""
    if not isinstance(outcome, Grade):
        return False
    return not outcome.verdict if outcome.verdict is not None else outcome.reward <= 0


def _repetition(transcript: Transcript, outcome: Outcome, _: int) -> bool:
    return not grade_repetition(MissingTarget(), transcript).verdict


def _language_mixing(transcript: Transcript, outcome: Outcome, _: int) -> bool:
    return not grade_language_mixing(MissingTarget(), transcript).verdict


def _guess(transcript: Transcript, outcome: Outcome, min_reasoning_chars: int) -> bool:
    """Next to nothing leads to the final answer that was graded."""
    final = outcome.answer if isinstance(outcome, Grade) and outcome.answer else ""
    said = [_reasoning(message.text, final) for message in transcript.response if message.role == "assistant"]
    return len("".join("".join(said).split())) < min_reasoning_chars


def _reasoning(text: str, final: str) -> str:
    """The thinking where the text has its tags, else what stands before the answer's box, tag or JSON, or besides an answer without any."""
    if OPEN in text or CLOSE in text:
        return split_response(text).thinking
    construct = _CONSTRUCT.search(text)
    return text[: construct.start()] if construct else text.replace(final, "", 1)


_CONSTRUCT = re.compile(r'\\(?:boxed|fbox)\b|<(?:answer|tool_call)>|```|^\s*[\[{]|\{\s*"|\[\s*[{"\[]', re.IGNORECASE | re.MULTILINE)


_DROPS: dict[ResponseFilter, Callable[[Transcript, Outcome, int], bool]] = {
    "ungraded": _ungraded,
    "incomplete": _incomplete,
    "wrong_final": _wrong_final,
    "repetition": _repetition,
    "language_mixing": _language_mixing,
    "guess": _guess,
}
