"""What the user has to put right: an unknown family or option, or data that cannot be read."""

import difflib
from collections.abc import Iterable


class TaskError(ValueError):
    """A mistake in a task's settings or data; the message says what, where and the way out."""


class RowError(ValueError):
    """Why one row of a data file is no problem; whoever reads the file adds where the row stands."""


def nearest(wrong: str, known: Iterable[str]) -> str:
    """`did you mean 'algebra'?`, or all that there is when nothing is near."""
    names = sorted(known)
    near = difflib.get_close_matches(wrong, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(names) or 'none'}"


def short(value: object) -> str:
    """The value as an error shows it, cut to 60 characters."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
