"""How much of a text repeats: loops of any period, and the share of repeated four-token sequences.

Tokens are words, single Chinese or Japanese characters, and marks; a word of more than 20 letters counts letter by letter, so that text
without blanks is seen too. Shapes: T tokens.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rewards.words import CJK, SIGNS

MAX_TOKENS = 1 << 18
"""Only the last tokens of a longer text are read."""

_LETTER = rf"(?:[^\W_{CJK}]|[{SIGNS}])"
_TOKEN = re.compile(rf"[{CJK}]|{_LETTER}{{1,20}}(?!{_LETTER})|{_LETTER}|([^\w\s]|_)\1{{0,99}}|\s(?=\s{{40}})")
_SHORTEST_GRAM = 4
_COPIES = 3
_FIGURES = 10


@dataclass(frozen=True, slots=True)
class Repetition:
    """`loop` is the length in tokens of the longest loop: a unit that stands at least three times in a row, whatever its length.

    Loops of figures and marks alone (matrices, grids, rules) count a tenth. `share` is the part of the four-token sequences, of those with
    at least two words, that occurred before; it is meaningful from some 30 tokens on.
    """

    num_tokens: int
    loop: int
    share: float


def measure_repetition(text: str) -> Repetition:
    """In O(T log T) per doubling of the period, T at most `MAX_TOKENS`."""
    tokens = [match.group() for match in _TOKEN.finditer(text[-20 * MAX_TOKENS :].casefold())][-MAX_TOKENS:]
    ids: dict[str, int] = {}
    ranks_T = np.array([ids.setdefault(token, len(ids)) for token in tokens], dtype=np.int64)
    is_word = np.array([token[0].isalpha() for token in ids], dtype=bool)
    words_before_T = np.concatenate([[0], np.cumsum(is_word[ranks_T])]) if tokens else np.zeros(1, dtype=np.int64)
    longest, share, width = 0.0, 0.0, 1
    while len(ranks_T) > 1:
        order, first = _by_rank(ranks_T)
        if width == _SHORTEST_GRAM:
            share = _repeated_share(order, first, words_before_T)
        longest = max(longest, _longest_loop(order, first, width, words_before_T))
        if first.all():
            break
        ranks_T = _doubled(_ranks(order, first), width)
        width *= 2
    return Repetition(len(tokens), int(longest), share)


def _by_rank(ranks_T: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Positions by the sequence that starts there, earlier ones first, and which of them are the first of their kind."""
    order = np.argsort(ranks_T, kind="stable")
    first = np.ones(len(order), dtype=bool)
    first[1:] = ranks_T[order[1:]] != ranks_T[order[:-1]]
    return order, first


def _ranks(order: NDArray[np.int64], first: NDArray[np.bool_]) -> NDArray[np.int64]:
    ranks = np.empty(len(order), dtype=np.int64)
    ranks[order] = np.cumsum(first)
    return ranks


def _doubled(ranks_T: NDArray[np.int64], width: int) -> NDArray[np.int64]:
    """Ranks of the sequences of twice the width, from those of two neighbours (Karp, Miller and Rosenberg 1972)."""
    return ranks_T[:-width] * (len(ranks_T) + 1) + ranks_T[width:]


def _repeated_share(order: NDArray[np.int64], first: NDArray[np.bool_], words_before_T: NDArray[np.int64]) -> float:
    counted = words_before_T[order + _SHORTEST_GRAM] - words_before_T[order] >= 2
    return float((counted & ~first).sum() / counted.sum()) if counted.any() else 0.0


def _longest_loop(order: NDArray[np.int64], first: NDArray[np.bool_], width: int, words_before_T: NDArray[np.int64]) -> float:
    """The longest stretch with a period of at most `width`.

    In such a stretch every sequence of `width` tokens stood exactly one period earlier (Fine and Wilf: no nearer), so neighbours with one
    and the same distance to their last occurrence are one stretch.
    """
    distance = np.zeros(len(order), dtype=np.int64)
    distance[order[1:]] = np.where(first[1:], 0, order[1:] - order[:-1])
    starts = np.flatnonzero(np.diff(distance, prepend=-1))
    period = distance[starts]
    lengths = np.diff(starts, append=len(distance)) - 1 + width + period
    loops = (period > 0) & (period <= width) & (lengths >= _COPIES * period)
    begins, lengths = starts[loops] - period[loops], lengths[loops]
    has_words = words_before_T[begins + lengths] > words_before_T[begins]
    return float(np.where(has_words, lengths, lengths / _FIGURES).max(initial=0.0))
