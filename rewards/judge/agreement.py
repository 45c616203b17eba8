"""How far a judge can be trusted: its agreement with labels or with another judge, with itself, and what sways it.

Kappa and its interval: Fleiss, Cohen and Everitt 1969, as `statsmodels` computes them. Intervals of shares: Wilson. All at 95 %.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rewards.judge.judgement import Judgement
from rewards.outcome import Grade

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Share:
    """`number` of `whole`, with the interval of the share."""

    number: int
    whole: int

    @property
    def value(self) -> float:
        return self.number / self.whole if self.whole else math.nan

    @property
    def interval(self) -> Interval:
        if not self.whole:
            return math.nan, math.nan
        from statsmodels.stats.proportion import proportion_confint  # takes seconds to import

        low, high = proportion_confint(self.number, self.whole, method="wilson")
        return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Counts by verdict and label (or another judge's verdict)."""

    right_right: int
    right_wrong: int
    wrong_right: int
    wrong_wrong: int

    @property
    def total(self) -> int:
        return self.right_right + self.right_wrong + self.wrong_right + self.wrong_wrong

    @property
    def accuracy(self) -> Share:
        return Share(self.right_right + self.wrong_wrong, self.total)

    @property
    def false_positives(self) -> Share:
        """Of the items whose label is wrong."""
        return Share(self.right_wrong, self.right_wrong + self.wrong_wrong)

    @property
    def false_negatives(self) -> Share:
        """Of the items whose label is right."""
        return Share(self.wrong_right, self.wrong_right + self.right_right)

    @property
    def judged_right(self) -> Share:
        return Share(self.right_right + self.right_wrong, self.total)

    @property
    def labelled_right(self) -> Share:
        return Share(self.right_right + self.wrong_right, self.total)

    def kappa(self) -> tuple[float, Interval]:
        """Agreement beyond that of the base rates, (p_o - p_e) / (1 - p_e), with its interval; NaN where both always say the same."""
        rows = ((self.right_right, self.right_wrong), (self.wrong_right, self.wrong_wrong))
        if self.total in (self.right_right, self.wrong_wrong, 0):
            return math.nan, (math.nan, math.nan)
        from statsmodels.stats.inter_rater import cohens_kappa  # takes seconds to import

        with np.errstate(all="ignore"):  # its test of zero agreement divides by nothing where one side is constant
            found = cohens_kappa(rows)
        return float(found.kappa), (max(float(found.kappa_low), -1.0), min(float(found.kappa_upp), 1.0))


def confusion(pairs: Sequence[tuple[bool, bool]]) -> Confusion:
    """Of (verdict, label)."""
    return Confusion(*(pairs.count(cell) for cell in ((True, True), (True, False), (False, True), (False, False))))


def labelled(judgements: Sequence[Judgement]) -> list[tuple[bool, bool]]:
    """(verdict, label) where there are both."""
    return [(j.verdict, j.label) for j in judgements if j.verdict is not None and j.label is not None]


@dataclass(frozen=True, slots=True)
class PositionBias:
    """Of comparisons: how much the answer that is shown first wins (0.5 is fair), and how often the order changes the winner."""

    first_wins: float
    swayed: Share


def position_bias(judgements: Sequence[Judgement]) -> PositionBias | None:
    pairs = [(parts["shown_first"], parts["shown_second"]) for j in judgements if "shown_first" in (parts := _parts(j))]
    if not pairs:
        return None
    first = sum(shown_first + 1 - shown_second for shown_first, shown_second in pairs) / (2 * len(pairs))
    return PositionBias(first, Share(sum(a != b for a, b in pairs), len(pairs)))


def length_bias(judgements: Sequence[Judgement], label: bool | None = None) -> tuple[float, int]:
    """Spearman's correlation of reward and characters of the answer, and of how many items; `label` takes only those with that label.

    Among answers of one label quality is alike, so what is left is length itself.
    """
    taken = [(j.answer_chars, j.reward) for j in judgements if j.reward is not None and (label is None or j.label is label)]
    if len({chars for chars, _ in taken}) < 2 or len({reward for _, reward in taken}) < 2:
        return math.nan, len(taken)
    from scipy.stats import spearmanr

    return float(spearmanr([chars for chars, _ in taken], [reward for _, reward in taken]).statistic), len(taken)


def self_consistency(judgements: Sequence[Judgement]) -> float | None:
    """The mean share of votes that agree with the verdict; None where each item had one vote."""
    shares = [parts["agreement"] for j in judgements if "agreement" in (parts := _parts(j))]
    return sum(shares) / len(shares) if shares else None


def _parts(judgement: Judgement) -> dict[str, float]:
    return dict(judgement.outcome.parts) if isinstance(judgement.outcome, Grade) else {}
