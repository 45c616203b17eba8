"""What a response states as its final answer, for answers that are not mathematics."""

import re

from rewards.answer import split_response
from rewards.maths.extraction import boxed

_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL)


def stated_answer(text: str) -> str | None:
    """The one box or `<answer>` after the thinking, else all of what stands there; None when there is none, or several that differ."""
    answer = split_response(text).answer
    if not answer:
        return None
    marked = boxed(answer)[0] or list(dict.fromkeys(found.strip() for found in _TAGGED.findall(answer)))
    if not marked:
        return answer
    return marked[0] if len(marked) == 1 and marked[0] else None
