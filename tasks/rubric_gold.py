"""Rubrics: what a data file says that a judge shall look for."""

from collections.abc import Mapping

from tasks.errors import RowError, short
from tasks.gold_scalars import finite, text_of
from tasks.problem import Criterion, RubricTarget, Target


def read_rubric(value: object, choices: tuple[str, ...]) -> Target:
    """Criteria, or `{criteria, answers}` with reference answers; a criterion is a text or `{text, weight}`."""
    whole = value if isinstance(value, Mapping) else {"criteria": value}
    criteria, answers = whole.get("criteria"), whole.get("answers")
    if not isinstance(criteria, list | tuple) or not criteria or not isinstance(answers, list | tuple | None):
        raise RowError(f"a rubric is a list of criteria, or {{criteria, answers}} with two lists, not {short(value)}")
    read = tuple(_criterion(item) for item in criteria)
    if not any(criterion.weight > 0 for criterion in read):
        raise RowError("a rubric needs a criterion of positive weight")
    return RubricTarget(read, tuple(text_of(answer, "a reference answer") for answer in answers or ()))


def _criterion(value: object) -> Criterion:
    fields = value if isinstance(value, Mapping) else {"text": value}
    text = text_of(fields.get("text"), "a criterion's text")
    if not text:
        raise RowError(f"criterion {short(value)} says nothing")
    weight = fields.get("weight")
    return Criterion(text, 1.0 if weight is None else finite(weight))
