"""Sentences, tokens and the language of a text, for English and Chinese.

Both follow the tools of the public checkers closely enough to agree with them (NLTK's Punkt sentences and Treebank tokens), without their
seconds of import. A sentence ends at `. ? !` before a blank, but for abbreviations, initials and ellipses, and at `。！？` anywhere.
Words, where a number of words is asked for, are runs of letters, digits and underscores, and every Chinese or Japanese character
(`rewards.words`).
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise

DETECTED_CHARS = 20_000
"""A language shows in so many characters."""

PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
WITHOUT_PUNCTUATION = str.maketrans("", "", PUNCTUATION)

# Titles, months, company forms, states, units and initials that a full stop does not end a sentence after.
_ABBREVIATIONS = """
mr mrs ms dr prof rev gen col sgt lt adm sen rep gov messrs st jr sr esq bros inc ltd co corp cos cie dept ave ct mt vs etc chg
jan feb aug sep sept oct nov dec mon tues wed thurs fri u.s u.k u.n u.s.a u.s.s.r d.c l.a n.y p.m a.m ph.d e.g i.e
ala ariz calif colo conn fla ga ill kan ky mich minn okla ore pa tenn va vt wash wis w.va n.c n.j n.m n.h s.c n.d s.d
c d e f g h k l m n p r s t v w
"""
ABBREVIATIONS = frozenset(_ABBREVIATIONS.split())
_STOP_WORDS = """
a about above after again against all am an and any are as at be because been before being below between both but by can did do
does doing don down during each few for from further had has have having he her here hers herself him himself his how i if in into
is it its itself just me more most my myself no nor not now of off on once only or other our ours ourselves out over own s same
she should so some such t than that the their theirs them themselves then there these they this those through to too under until
up very was we were what when where which while who whom why will with you your yours yourself yourselves ain aren couldn d didn
doesn hadn hasn haven isn ll m ma mightn mustn needn o re shan shouldn ve wasn weren won wouldn y
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""The English stop words of NLTK's corpus, as far as they are single words."""

_END = re.compile(r"""(?<![.?!])(?P<end>[.?!]++)(?:[")'\]}*”’]++(?=\s|\Z)|(?=[\s)";}\]:@'({\[]|\Z))|(?<![。！？])[。！？]++[”’」』）]*+""")
_WORD_BEFORE = re.compile(r"""[^\s?!)";}\]*:@({\[,]*\Z""")
_CLOSING = re.compile(r"""[")'\]}*”’\s]*\Z""")
_WORD_AFTER = re.compile(r"\s*+([^\W_]+|\S?)")
_TOKEN_EDGES = re.compile(
    r"""\.{2,}|--|[;@#$%&*?!\[\](){}<>"“”‘«»`–—…]|[,:](?!\d)|(?<=\w)[,:](?=\d)(?!\d)|(?<!\w)'(?=\w)|(?<=\w)'(?!\w)|’"""
)
_FINAL_STOP = re.compile(r"""(?<![.\s])\.(?=[\])}>"'»”’ *]*\Z)""")
_CLITIC = re.compile(r"(?i)(?<=.)(n't|'(?:s|m|d|ll|re|ve))\Z")
_TWO_WORDS = re.compile(r"(?i)\A(can|gon|got|wan|lem|gim)(not|na|ta|me)\Z")


@lru_cache(maxsize=4)
def sentences_in(text: str) -> tuple[str, ...]:
    """Stripped, none of them empty."""
    cuts = [0, *(match.end() for match in _END.finditer(text) if match["end"] is None or _ends_sentence(text, match)), len(text)]
    return tuple(text[start:end].strip() for start, end in pairwise(cuts) if not _CLOSING.match(text, start, end))


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Punkt's rules (Kiss and Strunk 2006), with stop words for the words that Punkt has seen in lower case."""
    end = match["end"]
    if "?" in end or "!" in end:
        return True
    following = _WORD_AFTER.match(text, match.end())
    after = following[1] if following else ""
    is_common = after.lower() in STOP_WORDS
    begins_sentence = is_common and after[:1].isupper()
    if len(end) > 1:
        return begins_sentence
    before = _WORD_BEFORE.search(text[max(0, match.start() - 40) : match.start()])
    word = before[0].lower().rpartition("-")[2] if before else ""
    if word in ABBREVIATIONS:
        return begins_sentence and len(word) > 1
    if len(word) == 1 and word.isalpha():
        # A., B. and I. are the items of a list.
        begins_line = word in "abi" and not text[text.rfind("\n", 0, match.start()) + 1 : match.start() - 1].strip(" *-#\t")
        return not after[:1].islower() and (is_common or begins_line or not after[:1].isalpha())
    if word.replace(",", "").replace(".", "").isdigit():
        return not after[:1].islower()
    return True


@lru_cache(maxsize=4)
def tokens_in(text: str) -> tuple[str, ...]:
    """Words and marks, in order: `don't` is `do`, `n't`; `U.S.` and `well-known` are one each."""
    return tuple(token for sentence in sentences_in(text) for token in _tokens(sentence))


def _tokens(sentence: str) -> Iterator[str]:
    marked = _TOKEN_EDGES.sub(r" \g<0> ", _FINAL_STOP.sub(" . ", sentence))
    for token in marked.split():
        if two := _TWO_WORDS.match(token):
            yield from two.groups()
        elif (clitic := _CLITIC.search(token)) and clitic.start():
            yield from (token[: clitic.start()], clitic[1])
        else:
            yield token


def bare_words(text: str) -> list[str]:
    """What blanks separate, without ASCII punctuation; none of them empty."""
    return text.translate(WITHOUT_PUNCTUATION).split()


def is_in_language(text: str, code: str) -> bool:
    """Whether langdetect, with a fixed seed, finds the language with this ISO 639-1 code; `zh` is both Chinese scripts."""
    found = detected_language(text[:DETECTED_CHARS])
    return found is not None and (found == code or found.split("-")[0] == code)


@lru_cache(maxsize=64)
def detected_language(text: str) -> str | None:
    """langdetect's code; None for a text without letters."""
    from langdetect import DetectorFactory, LangDetectException, detect

    DetectorFactory.seed = 0
    try:
        return str(detect(text))
    except LangDetectException:
        return None
