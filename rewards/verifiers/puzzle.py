"""Puzzles of reasoning-gym, by its scorers where these can be trusted and by ours where they run the answer as code or accept anything."""

import json
import re

from rewards.answer import final_answer
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.plain import stated_answer
from rewards.puzzles import REFUSED, REPLACED, Entry, library_score
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import PuzzleTarget

MAX_CHARS = 20_000
_NOT_A_NUMBER = re.compile(r"\b(?:nan|inf|infinity)\b", re.IGNORECASE)
_EITHER = re.compile(r"\bor\b|或", re.IGNORECASE)


@reward("puzzle", target=PuzzleTarget, imports=("reasoning_gym",))
def grade_puzzle(target: PuzzleTarget, transcript: Transcript, *, partial: bool = False) -> Outcome:
    """1 for a solution, else 0; with `partial`, reasoning-gym's own partial credit, from 0 to 1. Right is full credit alone."""
    if target.family in REFUSED:
        return Ungraded("bad-target", f"reasoning-gym's {target.family} cannot be graded: {REFUSED[target.family]}")
    entry: Entry = json.loads(target.entry)
    gold = entry.get("answer")
    answer = stated_answer(final_answer(transcript.final_text))
    if not answer or len(answer) > MAX_CHARS:
        return Grade(0.0, False, answer and answer[:200])
    if gold is not None and _tidy(answer) == _tidy(str(gold)):
        return Grade(1.0, True, answer)
    if _is_evasive(answer, str(gold or "")):
        return Grade(0.0, False, answer)
    score = REPLACED[target.family](answer, entry) if target.family in REPLACED else library_score(target.family, answer, entry)
    if score is None:
        return Ungraded("bad-target", f"reasoning-gym's {target.family} does not give its own answer full credit for this entry")
    right = score >= 1.0
    return Grade(min(max(score, 0.0), 1.0) if partial else float(right), right, answer)


def _is_evasive(answer: str, gold: str) -> bool:
    """Several answers at once, the gold among other words, or not a number where scorers compare with `<`."""
    if _NOT_A_NUMBER.search(answer) and not _NOT_A_NUMBER.search(gold):
        return True
    if _EITHER.search(answer) and not _EITHER.search(gold):
        return True
    words, known = _tokens(answer), _tokens(gold)
    return bool(known) and len(words) > len(known) and all(words.count(word) >= known.count(word) for word in set(known))


def _tokens(text: str) -> list[str]:
    return re.findall(r"[\w.]+", text.casefold())


def _tidy(text: str) -> str:
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
