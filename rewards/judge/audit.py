"""What an audit of a judge shows, as a table and as JSON."""

import math
from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from rewards.judge.agreement import Confusion, Share, confusion, labelled, length_bias, position_bias, self_consistency
from rewards.judge.judgement import Judgement
from rewards.judge.sitting import Prices, Sitting
from rewards.outcome import Ungraded
from tasks.message import Json


def audit_of(sitting: Sitting, prices: Prices, other: Sitting | None = None) -> dict[str, Json]:
    """Everything that is known about a judge; `other` is another judge over the same items."""
    judgements = sitting.judgements
    reasons = Counter(j.outcome.reason for j in judgements if isinstance(j.outcome, Ungraded))
    found: dict[str, Json] = {
        "items": len(judgements),
        "bad_rows": len(sitting.bad_rows),
        "ungraded": dict(reasons.most_common()),
    }
    pairs = labelled(judgements)
    if pairs:
        found["labels"] = _agreement(confusion(pairs))
    if other is not None:
        found["other_judge"] = _agreement(confusion(_shared(judgements, other.judgements)))
    consistency = self_consistency(judgements)
    if consistency is not None:
        found["self_consistency"] = consistency
    position = position_bias(judgements)
    if position is not None:
        found["position"] = {"first_wins": position.first_wins, "swayed": _share(position.swayed)}
    rho, number = length_bias(judgements)
    among_wrong, number_wrong = length_bias(judgements, label=False)
    found["length"] = {"spearman": _finite(rho), "items": number, "spearman_wrong": _finite(among_wrong), "items_wrong": number_wrong}
    spent = sitting.spent
    found["cost"] = {
        "calls": spent.calls,
        "tokens": spent.tokens,
        "recorded": spent.recorded,
        "recorded_tokens": spent.recorded_prompt_tokens + spent.recorded_completion_tokens,
        "paid": prices.of(spent),
        "recorded_paid": prices.of_recorded(spent),
    }
    return found


def table_of(audit: dict[str, Json]) -> Table:
    """The same for people: a figure a line, `group.name`, and its 95 % interval where it has one."""
    table = Table("figure", "value", "95 % interval", box=None, pad_edge=False, header_style="dim")
    for group, value in audit.items():
        if isinstance(value, dict):
            for name, inner in value.items():
                table.add_row(f"{group}.{name}", *_shown(inner))
        else:
            table.add_row(group, *_shown(value))
    return table


def _agreement(table: Confusion) -> dict[str, Json]:
    """The label, or the other judge, is what the verdict is held against."""
    kappa, interval = table.kappa()
    return {
        "items": table.total,
        "accuracy": _share(table.accuracy),
        "kappa": {"value": _finite(kappa), "interval": [_finite(end) for end in interval]},
        "judged_right": _share(table.judged_right),
        "labelled_right": _share(table.labelled_right),
        "false_positives": _share(table.false_positives),
        "false_negatives": _share(table.false_negatives),
        "right_right": table.right_right,
        "right_wrong": table.right_wrong,
        "wrong_right": table.wrong_right,
        "wrong_wrong": table.wrong_wrong,
    }


def _shared(one: Sequence[Judgement], other: Sequence[Judgement]) -> list[tuple[bool, bool]]:
    verdicts = {judgement.id: judgement.verdict for judgement in other}
    pairs = ((judgement.verdict, verdicts.get(judgement.id)) for judgement in one)
    return [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]


def _share(share: Share) -> Json:
    return {"value": _finite(share.value), "number": share.number, "of": share.whole, "interval": [_finite(end) for end in share.interval]}


def _finite(value: float) -> Json:
    return value if math.isfinite(value) else None


def _shown(value: Json) -> tuple[str, str]:
    if isinstance(value, dict) and "interval" in value:
        ends = value["interval"]
        counted = f" ({value['number']} of {value['of']})" if "number" in value else ""
        assert isinstance(ends, list)
        shown = [_number(end) for end in ends]
        return f"{_number(value['value'])}{counted}", f"{shown[0]} to {shown[1]}" if None not in ends else ""
    return _number(value), ""


def _number(value: Json) -> str:
    if value is None:
        return "undefined"
    return f"{value:.3f}" if isinstance(value, float) else str(value)
