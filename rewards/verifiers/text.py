"""Text answers: any one of the gold texts, after normalisation."""

import re
import unicodedata

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.statement import stated_answer
from rewards.transcript import Transcript
from tasks.problem import TextTarget

_EDGES = " \t\n.,;:!?\"'`*$，。；：！？“”‘’"
_LATEX_TEXT = re.compile(r"\\(?:text|mathrm|textbf)\{([^{}]*)\}")


@reward("text", target=TextTarget)
def grade_text(target: TextTarget, transcript: Transcript) -> Grade:
    """1 if the stated answer is one of the golds; case, width, spacing and punctuation at the edges do not count. The whole must match."""
    answer = stated_answer(transcript.final_text)
    right = answer is not None and normalised(answer) in {normalised(gold) for gold in target.answers}
    return Grade(float(right), right, answer)


def normalised(text: str) -> str:
    plain = _LATEX_TEXT.sub(r"\1", unicodedata.normalize("NFKC", text))
    return " ".join(plain.casefold().strip(_EDGES).split())
