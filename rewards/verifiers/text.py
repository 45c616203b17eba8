"""Short texts, compared after normalisation: never by containment, so that a list of guesses earns nothing."""

import re

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import normal_text, stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.clock import same_time
from tasks.problem import TextTarget


@reward("text", target=TextTarget, version="4")
def grade_text(target: TextTarget, transcript: Transcript, *, ignore_case: bool = True, ignore_articles: bool = True) -> Grade:
    """1 if the answer is one of the texts.

    Full-width and half-width forms, blanks, marks around the whole and (settings) case and leading articles do not count.
    `2:30 PM` is `14:30`.
    """
    answer = stated_answer(final_answer(transcript.final_text))
    if not answer:
        return Grade(0.0, False, answer)
    golds = {_form(text, ignore_case, ignore_articles) for text in target.answers}
    right = _form(answer, ignore_case, ignore_articles) in golds - {""} or any(same_time(text, answer) for text in target.answers)
    return Grade(float(right), right, answer)


def _form(text: str, ignore_case: bool, ignore_articles: bool) -> str:
    form = normal_text(text, ignore_case=ignore_case)
    return re.sub(r"^(?:the|a|an)\s+", "", form, flags=re.IGNORECASE) if ignore_articles else form
