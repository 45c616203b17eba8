"""Whether an answer says what the gold says: structure first, then leaf by leaf."""

import re
import string
from dataclasses import replace
from fractions import Fraction
from functools import lru_cache

from rewards.maths import labels
from rewards.maths.congruences import same_residues
from rewards.maths.expression import equal_expressions, quantity
from rewards.maths.guards import is_unevaluated
from rewards.maths.letters import renamed, told_apart
from rewards.maths.notation import compact, normalised
from rewards.maths.numbers import ungrouped
from rewards.maths.quantities import equal_quantities, same_product
from rewards.maths.ratios import as_fraction, same_ratio
from rewards.maths.realsets import equal_sets, is_set_like, is_solved, real_set, unknowns
from rewards.maths.relations import equal_relations
from rewards.maths.structure import Items, Labelled, Leaf, Matrix, Node, Relation, parse_structure
from rewards.maths.units import amount, amounts
from rewards.maths.words import in_digits
from rewards.visual.clock import same_time

MAX_ITEMS = 64
_COUNTER = re.compile(r"(?<![a-zA-Z\\])[kmn](?![a-zA-Z])")
_OPTION = re.compile(
    r"(?:\\text\{\s*|\{\s*)?\(\s*(?P<letter>[A-H])\s*\)(?:\s*\}|[.:]|\s)\s*(?P<value>(?!\\cdot|\\cup|\\cap|[+*/^=,<>]|-\s)\S.*)"
)
_ROUNDED = re.compile(r"(?P<exact>[^.]*[^.\s])\s*=\s*-?\d*\.\d+(?P<unit>.*)")


@lru_cache(maxsize=8192)
def equal_answers(gold: str, answer: str, tolerance: float = 0.0) -> bool:
    """Texts in LaTeX or plain notation. Unsure is False: a wrong answer that is paid is worse than a right one that is not."""
    mine, other = in_digits(normalised(gold)), in_digits(normalised(answer))
    if not mine or not other:
        return False
    if compact(mine) == compact(other):
        return True
    if is_unevaluated(other) or is_unevaluated(mine):
        return False
    if len(other) > max(1000, 3 * len(mine)):
        return False
    if (same := same_time(mine, other)) is not None:
        return same
    if (same := same_residues(mine, other)) is not None:
        return same
    if option := _OPTION.fullmatch(mine):
        return _same_option(option, other, tolerance)
    if (same := _same_amount(mine, other, tolerance)) is not None:
        return same
    if (same := _same_number(mine, other, tolerance)) is not None:
        return same
    if _same_periodic(mine, other):
        return True
    mine, other = told_apart(mine, other)
    readings = {(mine, other), (ungrouped(mine), ungrouped(other))}
    return any(_answers(parse_structure(a), parse_structure(b), tolerance) for a, b in readings) or _same_before_rounding(mine, other)


def _same_option(option: re.Match[str], answer: str, tolerance: float) -> bool:
    """Of a gold `(C) 12` the letter, the value, or both."""
    said = _OPTION.fullmatch(answer)
    letter = re.sub(r"\\text|[(){}\s.]", "", answer)
    if said:
        return said["letter"] == option["letter"] and equal_answers(option["value"], said["value"], tolerance)
    return letter == option["letter"] or equal_answers(option["value"], answer, tolerance)


def _answers(gold: Node, answer: Node, tolerance: float) -> bool:
    mine, other = unknowns(gold), unknowns(answer)
    if (mine and other and not mine & other) or (is_solved(gold) and not is_solved(answer)):
        return False
    return _equal(gold, answer, tolerance)


def _same_before_rounding(gold: str, answer: str) -> bool:
    """`\\frac{2}{3} = 0.67` is \\frac{2}{3}; the sides are near each other, or the whole were no value."""
    match = _ROUNDED.fullmatch(answer)
    if match is None or isinstance(parse_structure(answer), Relation):
        return False
    return equal_expressions(gold, match["exact"] + match["unit"])


def same_text(gold: str, answer: str) -> bool:
    """Whether the whole answer is the gold, up to notation; for answers in prose."""
    mine = compact(normalised(gold))
    return bool(mine) and len(answer) <= 4 * len(gold) + 100 and mine == compact(normalised(answer))


def _same_number(mine: str, other: str, tolerance: float) -> bool | None:
    """`1,234` is a number before it is a list, and is none where both sides have units; None where other readings have to decide."""
    a, b = quantity(mine), quantity(other)
    same = a.number is not None and b.number is not None and equal_quantities(mine, other, tolerance)
    return same if same or (a.number and b.number and a.unit and b.unit) else None


def _same_amount(mine: str, other: str, tolerance: float) -> bool | None:
    """Where a side is in several units (`1 h 30 min`), whether the other is as much; None where neither is, or one may be a list."""
    first, second = amounts(mine), amounts(other)
    if not first and not second:
        return None
    first, second = first or _amount(mine), second or _amount(other)
    shared = first.keys() & second.keys()
    if any(abs(first[key] - second[key]) <= Fraction(tolerance) * abs(first[key]) for key in shared):
        return True
    return None if re.search(r"\band\b|,", mine + other) else False


def _amount(text: str) -> dict[str, Fraction]:
    found = quantity(text)
    return amount(found.number.value, found.unit) if found.number and found.unit else {}


def _same_periodic(mine: str, other: str) -> bool:
    """`\\frac{\\pi}{2} + k\\pi` and `\\frac{\\pi}{2} + n\\pi`: the integer that counts periods may have any of its usual names."""
    names = [set(_COUNTER.findall(re.sub(r"\\[a-zA-Z]+", "", text))) for text in (mine, other)]
    if r"\pi" not in mine or not all(len(name) == 1 for name in names) or names[0] == names[1]:
        return False
    new, old = names[0].pop(), names[1].pop()
    renamed = re.sub(rf"(?<![a-zA-Z\\]){old}(?![a-zA-Z])", lambda _: new, other)
    free = set(re.findall(r"[a-zA-Z]", re.sub(r"\\[a-zA-Z]+", "", mine + renamed)))
    return free == {new} and _equal(parse_structure(mine), parse_structure(renamed), 0.0)


def _equal(gold: Node, answer: Node, tolerance: float) -> bool:
    if isinstance(gold, Labelled) or isinstance(answer, Labelled):
        return _equal_labelled(gold, answer, tolerance)
    if is_set_like(gold) or is_set_like(answer):
        mine, other = real_set(gold), real_set(answer)
        if mine is not None and other is not None:
            return equal_sets(mine, other)
    if isinstance(gold, Relation) and isinstance(answer, Leaf) and gold.ops == ("=",) and labels.is_measure(gold.sides[0]):
        return _equal(parse_structure(gold.sides[1]), answer, tolerance)
    if isinstance(gold, Relation) or isinstance(answer, Relation):
        return isinstance(gold, Relation) and isinstance(answer, Relation) and equal_relations(gold, answer)
    if isinstance(gold, Items) or isinstance(answer, Items):
        return _equal_items(gold, answer, tolerance)
    if isinstance(gold, Matrix) or isinstance(answer, Matrix):
        return isinstance(gold, Matrix) and isinstance(answer, Matrix) and _equal_matrices(gold, answer, tolerance)
    if isinstance(gold, Leaf) and isinstance(answer, Leaf):
        return _equal_leaves(gold.text, answer.text, tolerance)
    return False


def _equal_labelled(gold: Node, answer: Node, tolerance: float) -> bool:
    if isinstance(gold, Labelled) and isinstance(answer, Labelled):
        return _same_label(gold, answer, tolerance)
    named, bare = (gold, answer) if isinstance(gold, Labelled) else (answer, gold)
    assert isinstance(named, Labelled)
    if isinstance(bare, Relation) and all(op == "=" for op in bare.ops):
        sides = Relation((named.label, named.value.text), ("=",)) if isinstance(named.value, Leaf) else None
        return sides is not None and equal_relations(bare, sides)
    names = labels.parts(named.label)
    value = named.value
    if len(names) > 1 and isinstance(value, Items) and value.kind == "tuple" and isinstance(bare, Items) and bare.kind == "list":
        return _in_order(value, _by_name(bare, names), tolerance, swapped=named is answer)
    return _equal(gold.value, answer, tolerance) if named is gold else _equal(gold, value, tolerance)


def _same_label(gold: Labelled, answer: Labelled, tolerance: float) -> bool:
    mine, other = labels.parts(gold.label), labels.parts(answer.label)
    if len(mine) != len(other):
        return False
    if mine != other and sorted(mine) == sorted(other) and isinstance(answer.value, Items) and len(answer.value.items) == len(other):
        items = tuple(answer.value.items[other.index(name)] for name in mine)
        return _equal(gold.value, replace(answer.value, items=items), tolerance)
    if [labels.base(name) for name in mine] != [labels.base(name) for name in other] and not labels.is_graph(gold.label, answer.label):
        if is_set_like(gold.value) and is_set_like(answer.value):
            first, second = real_set(gold.value), real_set(answer.value)
            return first == second if first is None or second is None else equal_sets(first, second)
        if labels.argument(gold.label) is None and isinstance(gold.value, Leaf) and isinstance(answer.value, Leaf):
            return equal_relations(Relation((gold.label, gold.value.text), ("=",)), Relation((answer.label, answer.value.text), ("=",)))
        return False
    new, old = (labels.argument(side.label) or labels.index(side.label) for side in (gold, answer))
    value = _renamed(answer.value, old, new) if new and old and new != old else answer.value
    return value is not None and _equal(gold.value, value, tolerance)


def _renamed(node: Node, old: str, new: str) -> Node | None:
    """The value of a function of `old` as one of `new`; None where `new` stands in it for something else."""
    if isinstance(node, Leaf):
        text = renamed(node.text, old, new)
        return None if text is None else Leaf(text)
    if isinstance(node, Items):
        items = tuple(item for each in node.items if (item := _renamed(each, old, new)) is not None)
        return replace(node, items=items) if len(items) == len(node.items) else None
    return node


def _equal_items(gold: Node, answer: Node, tolerance: float) -> bool:
    if isinstance(gold, Items) and isinstance(answer, Items):
        if max(len(gold.items), len(answer.items)) > MAX_ITEMS:
            return False
        if gold.kind == answer.kind == "tuple":
            names = tuple(item.label.strip() for item in gold.items if isinstance(item, Labelled))
            return gold.brackets == answer.brackets and _in_order(gold, _by_name(answer, names), tolerance)
        if "tuple" in (gold.kind, answer.kind):
            listed = answer if gold.kind == "tuple" else gold
            if not all(isinstance(item, Labelled) for item in listed.items):
                return False
            ordered = _by_name(listed)
            return _in_order(ordered, answer, tolerance) if listed is gold else _in_order(gold, ordered, tolerance)
        named = [_all_named(side) for side in (gold, answer)]
        if named[0] != named[1]:
            return _in_order(gold, answer, tolerance)
        return _matched(gold.items, answer.items, tolerance)
    single, other = (gold, answer) if isinstance(gold, Items) else (answer, gold)
    assert isinstance(single, Items)
    if isinstance(other, Matrix) and single.kind == "tuple" and (rows := _rows(single)):
        return _equal_matrices(rows, other, tolerance) if single is gold else _equal_matrices(other, rows, tolerance)
    if isinstance(other, Matrix) and single.kind == "tuple":
        cells = [cell for row in other.rows for cell in row]
        vector = 1 in (len(other.rows), len(other.rows[0])) and len(cells) == len(single.items)
        return vector and all(_equal(a, b, tolerance) for a, b in zip(single.items, cells, strict=True))
    member = single.items[0] if single.kind == "set" and len(single.items) == 1 else None
    return member is not None and not is_set_like(member) and _equal(member, other, tolerance)


def _by_name(listed: Items, names: tuple[str, ...] = ()) -> Items:
    """`y = 2, x = 1` in the order of the names, or of the alphabet where the letters follow each other in it; else as it is."""
    found = {item.label.strip(): item for item in listed.items if isinstance(item, Labelled)}
    letters = "".join(sorted(found))
    order = names or tuple(letters if letters in string.ascii_letters else "")
    if len(found) != len(listed.items) or len(order) != len(found) or set(order) != found.keys():
        return listed
    return replace(listed, items=tuple(found[name] for name in order))


def _all_named(node: Items) -> bool:
    """Labels that differ, so that the order is given by them: `a = 2, h = -1`, but not `x = 2, x = -1`."""
    names = [labels.base(item.label) for item in node.items if isinstance(item, Labelled)]
    return len(names) == len(node.items) and len(set(names)) == len(names)


def _in_order(gold: Items, answer: Items, tolerance: float, *, swapped: bool = False) -> bool:
    if len(gold.items) != len(answer.items):
        return False
    pairs = zip(gold.items, answer.items, strict=True)
    return all(_equal(b, a, tolerance) if swapped else _equal(a, b, tolerance) for a, b in pairs)


def _matched(gold: tuple[Node, ...], answer: tuple[Node, ...], tolerance: float) -> bool:
    """One to one, in any order; what is said twice counts once."""
    left = _distinct(answer, tolerance)
    for item in _distinct(gold, tolerance):
        place = next((i for i, candidate in enumerate(left) if _equal(item, candidate, tolerance)), None)
        if place is None:
            return False
        left.pop(place)
    return not left


def _distinct(items: tuple[Node, ...], tolerance: float) -> list[Node]:
    kept: list[Node] = []
    for item in items:
        if not any(_equal(other, item, tolerance) for other in kept):
            kept.append(item)
    return kept


def _rows(node: Items) -> Matrix | None:
    """`[[1, 2], [3, 4]]` as a matrix."""
    rows = [
        item.items for item in node.items if isinstance(item, Items) and item.kind == "tuple" and item.brackets == node.brackets == "[]"
    ]
    return Matrix(tuple(rows)) if rows and len(rows) == len(node.items) else None


def _equal_matrices(gold: Matrix, answer: Matrix, tolerance: float) -> bool:
    if [len(row) for row in gold.rows] != [len(row) for row in answer.rows]:
        return False
    pairs = [(a, b) for mine, other in zip(gold.rows, answer.rows, strict=True) for a, b in zip(mine, other, strict=True)]
    return all(_equal(a, b, tolerance) for a, b in pairs)


def _equal_leaves(gold: str, answer: str, tolerance: float) -> bool:
    if compact(gold) == compact(answer):
        return True
    if _words(gold) or _words(answer):
        return _words(gold) == _words(answer)
    if (same := same_ratio(gold, answer)) is not None:
        return same
    return equal_quantities(as_fraction(gold), as_fraction(answer), tolerance) or same_product(gold, answer)


def _words(text: str) -> str:
    """The words of an answer in prose, lower-case; empty if it is a formula."""
    plain = re.sub(r"\\text\{([^{}]*)\}", r"\1", text)
    if re.search(r"\d|[+*/^=<>_\\|]", plain):
        return ""
    words = re.sub(r"[^\w\s]", " ", plain).lower().split()
    words = words[1:] if len(words) > 1 and words[0] in ("a", "an", "the") else words
    return " ".join(words) if any(len(word) > 2 or not word.isascii() for word in words) else ""
