"""Tables, cell by cell."""

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.tables import cells, table_in
from rewards.visual.values import same_value
from tasks.problem import TableTarget


@reward("table", target=TableTarget, version="5")
def grade_table(target: TableTarget, transcript: Transcript, *, tolerance: float = 0.0, exact_years: bool = True) -> Grade:
    """F1 of the cells, 2 * right / (cells + gold cells). A cell is right when it has the gold value under the same row and column name.

    Rows and columns may come in any order. Numbers may be off by `tolerance` times the gold one, years by nothing. Right when all are.
    """
    text = final_answer(transcript.final_text)
    rows = table_in(text)
    if rows is None or not target.rows:
        return Grade(0.0, False, None, dict.fromkeys(_PARTS, 0.0))
    gold, found = cells(target.rows), cells(rows)
    right = sum(
        key in found and (value == found[key] or same_value(value, found[key], tolerance=tolerance, exact_years=exact_years))
        for key, value in gold.items()
    )
    worth = 2 * right / (len(gold) + len(found)) if gold or found else 0.0
    parts = dict(zip(_PARTS, (right / len(found) if found else 0.0, right / len(gold) if gold else 0.0), strict=True))
    return Grade(worth, bool(gold) and right == len(gold) == len(found), text, parts)


_PARTS = ("precision", "recall")
