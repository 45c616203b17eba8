"""Values read off charts and documents."""

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.embedded_json import embedded_json
from rewards.visual.values import MAX_CHARS, MAX_VALUES, same_value, values_in
from tasks.problem import ValuesTarget


@reward("values", target=ValuesTarget, version="4")
def grade_values(
    target: ValuesTarget,
    transcript: Transcript,
    *,
    tolerance: float = 0.05,
    exact_years: bool = True,
    ordered: bool = False,
    partial: bool = False,
) -> Grade:
    """1 when the answer gives all values and no other; in their order if `ordered`.

    A number may be off by `tolerance` times the gold one (ChartQA's relaxed accuracy), but a year by nothing, unless `exact_years` is
    off. With `partial`, matched values / the larger number of values. The part is that share.
    """
    text = stated_answer(final_answer(transcript.final_text))
    if not text or len(text) > MAX_CHARS:
        return Grade(0.0, False, None, {"matched": 0.0})
    found = [text] if len(target.values) == 1 else _several(text)
    if len(found) > MAX_VALUES or not target.values:
        return Grade(0.0, False, text, {"matched": 0.0})

    def same(gold: str, answer: str) -> bool:
        return same_value(gold, answer, tolerance=tolerance, exact_years=exact_years)

    if ordered:
        matched = sum(same(gold, answer) for gold, answer in zip(target.values, found, strict=False))
    else:
        matched = _num_matched([[same(gold, answer) for answer in found] for gold in target.values])
    share = matched / max(len(found), len(target.values))
    right = share == 1
    return Grade(share if partial else float(right), right, text, {"matched": share})


def _several(text: str) -> list[str]:
    listed = embedded_json(text)
    if listed and isinstance(listed.value, list) and not listed.words:
        return [str(item) for item in listed.value if isinstance(item, str | int | float)] if listed.value else []
    return values_in(text)


def _num_matched(table: list[list[bool]]) -> int:
    if not table or not table[0]:
        return 0
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(table, maximize=True)
    return sum(table[row][column] for row, column in zip(rows, columns, strict=True))
