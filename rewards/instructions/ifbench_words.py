"""IFBench's families `count`, `ratio`, `words` and `sentence` (Pyatkin et al., arXiv 2507.02833), from their public definitions.

Where we depart: conjunctions differ by the word alone, not by case or marks. As in the public checkers, what is asked of every word or
sentence is met where there is none.
"""

import re
from collections import Counter
from itertools import pairwise

from rewards.instructions.language import PUNCTUATION, STOP_WORDS, WITHOUT_PUNCTUATION, bare_words, sentences_in, tokens_in
from rewards.words import CJK, count_words, words_in

_VOWELS = frozenset("aeiou")
_CONSONANT_CLUSTER = re.compile("[bcdfghjklmnpqrstvwxyz]{2}")
_CONJUNCTIONS = frozenset(("and", "but", "for", "nor", "or", "so", "yet"))
_PRIMES = frozenset(n for n in range(2, 98) if all(n % d for d in range(2, n)))
_PRONOUNS = """
i me we us you he him she her it they them my mine our ours your yours his hers its their theirs myself ourselves yourself yourselves
himself herself itself themselves this that these those who whom whose which what whoever whomever whatever whichever anybody anyone
anything everybody everyone everything nobody nothing somebody someone something each either neither both all some any none
"""
_NAMES = """
Emma Liam Sophia Jackson Olivia Noah Ava Lucas Isabella Mason Mia Ethan Charlotte Alexander Amelia Benjamin Harper Leo Zoe Daniel Chloe
Samuel Lily Matthew Grace Owen Abigail Gabriel Ella Jacob Scarlett Nathan Victoria Elijah Layla Nicholas Audrey David Hannah Christopher
Penelope Thomas Nora Andrew Aria Joseph Claire Ryan Stella Jonathan
"""


def word_count_range(text: str, *, min_words: int, max_words: int) -> bool:
    return min_words <= count_words(text) <= max_words


def unique_word_count(text: str, *, N: int) -> bool:
    """What blanks separate, marks at its ends aside; each Chinese or Japanese character by itself."""
    spaced = re.sub(f"([{CJK}])", r" \1 ", text.lower())
    return len({word.strip(PUNCTUATION) for word in spaced.split()}) >= N


def stop_words(text: str, *, percentage: int) -> bool:
    words = words_in(text)
    return bool(words) and 100 * sum(word.lower() in STOP_WORDS for word in words) <= percentage * len(words)


def conjunctions(text: str, *, small_n: int) -> bool:
    return len({word.strip(PUNCTUATION) for word in text.lower().split()} & _CONJUNCTIONS) >= small_n


def person_names(text: str, *, N: int) -> bool:
    return len(set(words_in(text)) & set(_NAMES.split())) >= N


def numbers(text: str, *, N: int) -> bool:
    """Without marks, so that 1,234.5 is one number."""
    return len(re.findall(r"\d+", text.translate(WITHOUT_PUNCTUATION))) == N


def pronouns(text: str, *, N: int) -> bool:
    known = frozenset(_PRONOUNS.split())
    return sum(token in known for token in tokens_in(text.replace("/", " ").lower())) >= N


def punctuation(text: str) -> bool:
    """Each of `. , ! ? ; :`, and an interrobang besides."""
    if not any(mark in text for mark in ("?!", "!?", "‽")):
        return False
    rest = text.replace("?!", "", 1) if "?!" in text else text.replace("!?", "", 1)
    return set(".,!?;:") <= set(rest)


def words_japanese(text: str, *, N: int) -> bool:
    every_nth = [word.strip(PUNCTUATION) for word in text.split()][N - 1 :: N]
    return all(re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", word) for word in every_nth if word and not word.isdigit())


def keywords_multiple(text: str, *, keyword1: str, keyword2: str, keyword3: str, keyword4: str, keyword5: str) -> bool:
    folded = text.lower()
    wanted = zip((keyword1, keyword2, keyword3, keyword4, keyword5), (1, 2, 3, 5, 7), strict=True)
    return all(folded.count(keyword.strip().lower()) == number for keyword, number in wanted)


def overlap(text: str, *, reference_text: str, percentage: int) -> bool:
    """Of the different sequences of three characters, `percentage` in the reference too, within 2."""
    mine, others = _trigrams(text), _trigrams(reference_text)
    return bool(mine) and abs(100 * len(mine & others) / len(mine) - percentage) <= 2


def _trigrams(text: str) -> set[str]:
    return {text[place : place + 3] for place in range(len(text) - 2)}


def sentence_type(text: str) -> bool:
    ends = Counter(sentence[-1] for sentence in _with_ascii_ends(text))
    return ends["."] == 2 * ends["?"]


def sentence_balance(text: str) -> bool:
    ends = Counter(sentence[-1] for sentence in _with_ascii_ends(text))
    return ends["."] == ends["?"] == ends["!"]


def _with_ascii_ends(text: str) -> list[str]:
    return [sentence.translate(str.maketrans("。！？", ".!?")) for sentence in sentences_in(text)]


def same_length_sentences(text: str) -> bool:
    sentences = sentences_in(text)
    return len(sentences) == 3 and len(set(map(len, sentences))) == 1


def alphabet(text: str) -> bool:
    """Each word begins with the letter after that of the word before, Z before A."""
    places = [ord(word[0]) - ord("a") for word in bare_words(text.lower())]
    return bool(places) and 0 <= places[0] < 26 and all(after == (before + 1) % 26 for before, after in pairwise(places))


def vowels(text: str) -> bool:
    """One paragraph with at most three different vowels."""
    return "\n" not in text.strip() and len(_VOWELS & set(text.lower())) <= 3


def consonants(text: str) -> bool:
    return all(_CONSONANT_CLUSTER.search(word) for word in text.lower().split())


def alliteration_increment(text: str) -> bool:
    lengths = [_alliteration(sentence) for sentence in sentences_in(text)]
    return all(before < after for before, after in pairwise(lengths))


def _alliteration(sentence: str) -> int:
    """How many words stand in sequences of two or more with the same first letter."""
    initials = [bare[0] for word in sentence.lower().split() if (bare := word.lstrip(PUNCTUATION))]
    same = [before == after for before, after in pairwise(initials)]
    return sum(same) + sum(now and not before for before, now in pairwise([False, *same]))


def palindromes(text: str) -> bool:
    return sum(len(word) >= 5 and word == word[::-1] for word in bare_words(text.lower())) >= 10


def prime_lengths(text: str) -> bool:
    return all(len(word) in _PRIMES for word in bare_words(text))


def start_verb(text: str) -> bool:
    """The first word may be a verb, in any form; the public checker asks a tagger, which sees the context."""
    from lemminflect import getAllLemmas

    return any(getAllLemmas(word.lower(), upos="VERB") for word in tokens_in(text[:1000])[:1])


def repeats(text: str, *, small_n: int) -> bool:
    return max(Counter(bare_words(text.lower())).values(), default=0) <= small_n


def odd_even_syllables(text: str) -> bool:
    import syllapy

    parities = [syllapy.count(word) % 2 for word in bare_words(text.lower())]
    return all(before != after for before, after in pairwise(parities))


def last_first(text: str) -> bool:
    sentences = [sentence.lower().strip(PUNCTUATION + " ").split() for sentence in sentences_in(text)]
    return all(before and after and before[-1] == after[0] for before, after in pairwise(sentences))


def paragraph_last_first(text: str) -> bool:
    paragraphs = [line.strip().lower().strip(PUNCTUATION + " ").split() for line in text.split("\n")]
    return all(words[0] == words[-1] for words in paragraphs if words)


def no_consecutive(text: str) -> bool:
    return all(before[0] != after[0] for before, after in pairwise(bare_words(text.lower())))


def keyword_as_nth_word(text: str, *, keyword: str, n: int, m: int) -> bool:
    """The m-th word of the n-th sentence."""
    words = [token for token in tokens_in(_nth_sentence(text, n)) if any(map(str.isalnum, token))]
    return len(words) >= m and words[m - 1].lower() == keyword.strip().lower()


def _nth_sentence(text: str, n: int) -> str:
    sentences = sentences_in(text)
    return sentences[n - 1] if 0 < n <= len(sentences) else ""


def words_position(text: str, *, keyword: str) -> bool:
    """The second word and the last but one, a mark at the end aside."""
    tokens = [token.lower() for token in tokens_in(text)]
    if tokens and tokens[-1] in PUNCTUATION:
        tokens.pop()
    return len(tokens) >= 2 and tokens[1] == tokens[-2] == keyword.strip().lower()


def sentence_increment(text: str, *, small_n: int) -> bool:
    lengths = [len(bare_words(sentence)) for sentence in sentences_in(text)]
    return bool(lengths) and all(after == before + small_n for before, after in pairwise(lengths))


def sentence_keyword(text: str, *, word: str, N: int) -> bool:
    literal = re.escape(word)
    return re.search(rf"(?<!\w){literal}(?!\w)", _nth_sentence(text, N), re.IGNORECASE) is not None
