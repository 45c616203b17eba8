"""Which languages a text is written in, as far as scripts tell: Chinese and English apart, French and English not.

A unit is one Chinese or Japanese character, or one word of any other script. What carries no language is left out first: code,
formulas, quotes, addresses, tags. Of the rest, units in another script than the expected one are foreign, but for names and terms: short
runs without a function word, such as `GPT-4`, `Isaac Newton`, `dropout` in Chinese, `李白` in English. A word that mixes Latin letters
with look-alikes of another alphabet is always foreign.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Literal, TypeAlias

from rewards.words import SIGNS

Script: TypeAlias = Literal["latin", "han", "kana", "hangul", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "thai", "other"]

MAX_CHARS = 200_000
"""Only the end of a longer text is read."""

_SCRIPTS: tuple[tuple[str, tuple[Script, ...]], ...] = (
    ("en fr de es it pt nl pl vi fi sw tr", ("latin",)),
    ("zh", ("han",)),
    ("ja", ("han", "kana")),
    ("ko", ("hangul",)),
    ("ru uk bg", ("cyrillic",)),
    ("el", ("greek",)),
    ("ar fa ur", ("arabic",)),
    ("he", ("hebrew",)),
    ("hi mr ne", ("devanagari",)),
    ("th", ("thai",)),
)
SCRIPTS_OF: Mapping[str, frozenset[Script]] = {code: frozenset(scripts) for codes, scripts in _SCRIPTS for code in codes.split()}
"""Script by ISO 639-1 code."""

_LANGUAGE_NAMES: Mapping[str, frozenset[Script]] = {
    name: SCRIPTS_OF[code]
    for code, names in (
        ("en", "english french german spanish italian portuguese vietnamese 英文 英语 法语 德语 西班牙语"),
        ("zh", "chinese mandarin 中文 汉语 英译中"),
        ("ja", "japanese 日语 日文"),
        ("ko", "korean 韩语 韩文"),
        ("ru", "russian ukrainian bulgarian 俄语 俄文"),
        ("el", "greek 希腊语"),
        ("ar", "arabic persian urdu 阿拉伯语"),
        ("he", "hebrew 希伯来语"),
        ("hi", "hindi marathi nepali 印地语"),
        ("th", "thai 泰语"),
    )
    for name in names.split()
}
_NAMES: tuple[tuple[str, Script], ...] = (
    ("LATIN", "latin"),
    ("FULLWIDTH LATIN", "latin"),
    ("CJK", "han"),
    ("HIRAGANA", "kana"),
    ("KATAKANA", "kana"),
    ("HANGUL", "hangul"),
    ("CYRILLIC", "cyrillic"),
    ("GREEK", "greek"),
    ("ARABIC", "arabic"),
    ("HEBREW", "hebrew"),
    ("DEVANAGARI", "devanagari"),
    ("THAI", "thai"),
)
"""How Unicode's names of letters begin."""

_CARRIES_NONE = re.compile(
    r"```.*?(?:```|\Z)|`[^`\n]*`|\$\$(?:(?!\$\$).)*\$\$|\$[^$\n]*\$|\\\[(?:(?!\\\[).)*?\\\]|\\\((?:(?!\\\().)*?\\\)"
    r"|\\[a-zA-Z]+(?:\{[^{}\n]*\})*|https?://\S+|[\w.+-]{1,64}@[\w-]{1,64}\.\w+|</?[A-Za-z_][^<>\n]{0,100}>",
    re.DOTALL,
)  # fmt: skip
_QUOTE = re.compile(
    r"\"[^\"\n]{1,300}\"|“[^“”\n]{1,300}”|‘[^‘’\n]{1,300}’|「[^「」\n]{1,300}」|『[^『』\n]{1,300}』|《[^《》\n]{1,100}》"
    r"|«[^«»\n]{1,300}»|^[ ]{0,3}>[^\n]*$",
    re.MULTILINE,
)
_RUN = re.compile(rf"(?:[^\W\d_]|[{SIGNS}])+")
_CLAUSE_END = re.compile(rf"[^\w\s'’{SIGNS}-]|\n")
_FUNCTION_WORD = re.compile(
    r"\b(?:the|an|of|to|and|or|but|so|is|are|was|were|be|it|this|that|these|those|we|you|he|she|they|let|us|our|in|on|at|for|from|by|as|if|then"
    r"|therefore|thus|because|since|hence|now|wait|first|next|finally|which|what|how|why|not|no|yes|can|will|must|should|would|have|has|do|does"
    r"|answer|step|means|get|need|there|here)\b",
    re.IGNORECASE,
)
_FUNCTION_HAN = re.compile(
    "[的是了这那我你他它们就都也很和与或把被吗呢吧啊]|所以|因为|因此|然后|但是|首先|其次|最后|于是|如果|那么|答案|等于|得到|不对|接下来|可以|需要|现在|等等"
)
_NUMERALS = re.compile("[零〇一二两三四五六七八九十百千万亿]+")


@dataclass(frozen=True, slots=True)
class Mixing:
    """`units` carry a language; `foreign` of them stand in another script than the expected one; `examples` shows the first few."""

    units: int
    foreign: int
    examples: tuple[str, ...]

    @property
    def share(self) -> float:
        return self.foreign / self.units if self.units else 0.0


def measure_mixing(text: str, expected: frozenset[Script], quoted: str = "") -> Mixing:
    """Units of `text` in another script than the `expected` ones. Runs that stand in `quoted`, as the prompt, are no mixing.

    Quotes are left out while they are the smaller part of the text.
    """
    whole = _CARRIES_NONE.sub(" \n ", text[-MAX_CHARS:])
    rest = _QUOTE.sub(" \n ", whole)
    counts, all_counts = _counts(rest), _counts(whole)
    if 2 * sum(counts.values()) < sum(all_counts.values()):
        rest, counts = whole, all_counts
    foreign, examples = 0, []
    for script, run in _joined(rest):
        if script not in expected and run not in quoted and not _is_name(script, run):
            foreign += _num_units(script, run)
            examples.append(run[:40])
    return Mixing(sum(counts.values()), foreign, tuple(examples[:5]))


def expected_scripts(prompt: str, response: str) -> frozenset[Script]:
    """The scripts that a response to `prompt` may be written in; empty when neither tells.

    Those of the prompt's language. Where the prompt has two languages or asks for another one by name (`翻译成英文`, `in French`), that
    which the response is mainly written in, if it is among them.
    """
    whole = _CARRIES_NONE.sub(" \n ", prompt[-MAX_CHARS:])
    counts = _counts(_QUOTE.sub(" \n ", whole)) or _counts(whole)
    total = sum(counts.values())
    languages = {_language(script, counts) for script, count in counts.items() if 5 * count >= total}
    languages |= {scripts for name, scripts in _LANGUAGE_NAMES.items() if total and re.search(rf"(?i)(?<![a-z]){name}(?![a-z])", prompt)}
    own = main_scripts(response)
    if own in languages or not counts:
        return own
    return _language(max(counts, key=lambda script: counts[script]), counts)


def main_scripts(text: str) -> frozenset[Script]:
    """The script or scripts of the language with the most units; empty when nothing tells."""
    counts = _counts(_CARRIES_NONE.sub(" \n ", text[-MAX_CHARS:]))
    return _language(max(counts, key=lambda script: counts[script]), counts) if counts else frozenset()


def _language(script: Script, counts: Mapping[Script, int]) -> frozenset[Script]:
    """Han with some kana is Japanese."""
    japanese = script in ("han", "kana") and 10 * counts.get("kana", 0) > counts.get("han", 0)
    return SCRIPTS_OF["ja"] if japanese else frozenset({script})


def _counts(text: str) -> dict[Script, int]:
    counts: dict[Script, int] = {}
    for script, run in _runs(text):
        counts[script] = counts.get(script, 0) + _num_units(script, run)
    return counts


def _runs(text: str) -> list[tuple[Script, str]]:
    """Words, in order; letters of several alphabets in one word are script `other`."""
    found: list[tuple[Script, str]] = []
    for word in _RUN.findall(text):
        if word.isascii():
            found.append(("latin", word))
            continue
        pieces = [(script, "".join(run)) for script, run in groupby(filter(str.isalpha, word), key=script_of)]
        alphabets = {script for script, _ in pieces} & {"latin", "cyrillic", "greek"}
        found += [("other", word)] if len(alphabets) > 1 else pieces
    return found


def _joined(text: str) -> list[tuple[Script, str]]:
    """Words of one script in a row as one run, up to the next mark."""
    runs: list[tuple[Script, str]] = []
    for clause in _CLAUSE_END.split(text):
        for script, words in groupby(_runs(clause), key=itemgetter(0)):
            if script == "other":
                runs += words
            else:
                runs.append((script, " ".join(word for _, word in words)))
    return runs


@lru_cache(maxsize=4096)
def script_of(character: str) -> Script:
    name = unicodedata.name(character, "")
    return next((script for prefix, script in _NAMES if name.startswith(prefix)), "other")


def _num_units(script: Script, run: str) -> int:
    return sum(map(str.isalpha, run)) if script in ("han", "kana") else run.count(" ") + 1


def _is_name(script: Script, run: str) -> bool:
    """Short, and without a function word of its language."""
    words = run.casefold().split()
    if script == "latin":
        capitals = all(word[0].isupper() for word in run.split())
        return len(words) <= (8 if capitals else 3) and (capitals or not _FUNCTION_WORD.search(run))
    if script == "han":
        plain = run.replace(" ", "")
        return len(plain) <= 4 and not _FUNCTION_HAN.search(plain) and not _NUMERALS.fullmatch(plain)
    return script == "greek" and all(len(word) <= 2 for word in words)
