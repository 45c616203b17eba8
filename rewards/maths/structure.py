"""The structure of an answer: lists, tuples, sets, intervals, relations, matrices, down to expressions without structure."""

import re
from dataclasses import dataclass
from itertools import product
from typing import Literal, TypeAlias

from rewards.maths.expression import constant, equal_symbolic
from rewards.maths.labels import is_label
from rewards.maths.scan import is_enclosed, split_relation, split_top, unwrapped


@dataclass(frozen=True, slots=True)
class Leaf:
    """An expression, number with unit, or word: what is compared as a whole."""

    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """`list` and `set` are unordered, `tuple` is not. `brackets` are those of a tuple: `(a, b]` is also an interval."""

    kind: Literal["list", "set", "tuple"]
    items: tuple["Node", ...]
    brackets: str = ""


@dataclass(frozen=True, slots=True)
class Labelled:
    """`x = 3`, `f(x) = x + 1`, `x \\in [0, 1]`, `(x, y) = (1, 2)`: a value with the name of what it is the value of."""

    label: str
    value: "Node"


@dataclass(frozen=True, slots=True)
class Relation:
    """A chain `sides[0] ops[0] sides[1] ...` of =, <, >, \\leq, \\geq, \\neq; `joined` links several of them by "and" or "or"."""

    sides: tuple[str, ...]
    ops: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Combined:
    """Sets or relations joined by \\cup ("or"), \\cap ("and") or \\setminus."""

    operation: Literal["union", "intersection", "difference"]
    items: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    rows: tuple[tuple["Node", ...], ...]


Node: TypeAlias = Leaf | Items | Labelled | Relation | Combined | Matrix

ROUNDING = 0.01
"""How far apart the sides of `\\frac{5}{6} = 0.83` may be; without decimals they have to be equal."""

_TWO_STATEMENTS = re.compile(r"\\text|\\\\|[\d)}]\s*[\s.]\s*[a-zA-Z](?:_\{\w+\})?'*$")
_INTERVALISH = re.compile(r"^[(\[].*,.*[)\]]$|^⦃.*⦄$|^\\mathbb\{?R\}?|^\\emptyset$|^R$")


def parse_structure(text: str) -> Node:
    """`text` is in the form that `notation.normalised` gives."""
    text = unwrapped(text.strip().strip(",;").strip())
    for separator in (";",):
        if len(parts := split_top(text, separator)) > 1:
            return _listed(parts)
    return _alternatives(text)


def _alternatives(text: str) -> Node:
    parts = [part for part in re.split(r"\s(?:or|and)\s", text) if part.strip()] if re.search(r"\s(?:or|and)\s", text) else [text]
    if len(parts) > 1 and all(_is_balanced(part) for part in parts):
        nodes = [parse_structure(part) for part in parts]
        if any(_is_set(node) for node in nodes) or any(isinstance(node, Relation) for node in nodes):
            return Combined("intersection" if re.search(r"\sand\s", text) and not _has_or(text) else "union", tuple(nodes))
        return _listed(parts)
    if len(parts := split_top(text, ",")) > 1:
        return _listed(parts)
    return _single(text)


def _listed(parts: list[str]) -> Node:
    parts = [re.sub(r"^(?:and|or)\s+|\s+(?:and|or)$", "", part.strip()) for part in parts]
    nodes = [parse_structure(part) for part in parts if part]
    flat: list[Node] = []
    for node in nodes:
        flat.extend(node.items if isinstance(node, Items) and node.kind == "list" and not _is_group(node) else [node])
    if len(nodes) < 2:
        return nodes[0] if nodes else Leaf("")
    first = nodes[0]
    if isinstance(first, Labelled) and not any(isinstance(node, Labelled | Relation) for node in nodes[1:]):
        return Labelled(first.label, Items("list", (first.value, *nodes[1:])))
    return Items("list", tuple(flat))


def _is_group(node: Items) -> bool:
    """`p = 5, q = 2` in `p = 5, q = 2; p = 7, q = 2` is one solution, not two answers."""
    labels = [item.label for item in node.items if isinstance(item, Labelled)]
    return len(labels) == len(node.items) and len(set(labels)) == len(labels) > 1


def _single(text: str) -> Node:
    text = re.split(r"\\approx", text)[0].strip() or text
    sides, ops = split_relation(text)
    if ops:
        return _related(sides, ops)
    for mark, operation in ((r"\cup", "union"), (r"\cap", "intersection"), (r"\setminus", "difference")):
        if len(parts := split_top(text, mark)) > 1:
            return Combined(operation, tuple(parse_structure(part) for part in parts))  # type: ignore[arg-type]
    minus = split_top(text, "-")
    if len(minus) == 2 and all(_INTERVALISH.match(part.strip()) for part in minus):
        return Combined("difference", tuple(parse_structure(part) for part in minus))
    if is_enclosed(text, "⦃", "⦄"):
        return _braces(text[1:-1])
    if is_enclosed(text, "⟬", "⟭"):
        rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", text[1:-1]) if row.strip()]
        return Matrix(tuple(tuple(parse_structure(cell) for cell in row.split("&")) for row in rows))
    if text[:1] in "([" and text[-1:] in ")]" and is_enclosed(text, text[0], text[-1]):
        return _brackets(text)
    if r"\pm" in text or r"\mp" in text:
        return Items("list", tuple(parse_structure(sign) for sign in _both_signs(text)))
    return Leaf(text)


def _related(sides: list[str], ops: list[str]) -> Node:
    """Of a chain of equations the first side and the last; `15 = 12` is no value, nor is `x = 1 x = 2`."""
    if ops[0] == r"\in" and len(ops) == 1:
        return Labelled(sides[0], parse_structure(sides[1]))
    if set(ops) == {"="}:
        is_named = is_label(sides[0])
        values = sides[1:] if is_named else sides
        constants = [value for side in values if (value := constant(side)) is not None]
        slack = ROUNDING if any("." in side for side in values) else 0.0
        agree = is_named or all(equal_symbolic(constants[-1], value, slack) for value in constants)
        if not agree or any(_TWO_STATEMENTS.search(side) for side in values[:-1]):
            return Relation(tuple(sides), tuple(ops))
        if is_named:
            return Labelled(sides[0], parse_structure(sides[-1]))
        if len(constants) == len(values):
            return parse_structure(sides[-1])
        return Relation((sides[0], sides[-1]), ("=",))
    return Relation(tuple(sides), tuple(ops))


def _braces(inner: str) -> Node:
    for mark in ("|", ":"):
        if len(parts := split_top(inner, mark, pairs=False)) >= 2 and re.search(r"[<>=]|\\(?:leq|geq|neq|in)", parts[-1]):
            condition = parse_structure(mark.join(parts[1:]))
            return Labelled(parts[0], condition)
    if not inner.strip():
        return Items("set", ())
    node = parse_structure(inner)
    return Items("set", node.items) if isinstance(node, Items) and node.kind == "list" else Items("set", (node,))


def _brackets(text: str) -> Node:
    inner = text[1:-1]
    parts = split_top(inner, ",")
    if len(parts) == 1:
        parts = split_top(inner, ";")
    if len(parts) == 1:
        node = parse_structure(inner)
        return node if isinstance(node, Items | Matrix | Relation | Labelled) else Leaf(text if text[0] == "(" else inner)
    options = [[parse_structure(sign) for sign in _both_signs(part)] for part in parts]
    tuples = [Items("tuple", choice, text[0] + text[-1]) for choice in product(*options)]
    return tuples[0] if len(tuples) == 1 else Items("list", tuple(tuples[:64]))


def _both_signs(text: str) -> list[str]:
    if r"\pm" not in text and r"\mp" not in text:
        return [text]
    return [text.replace(r"\pm", "+").replace(r"\mp", "-"), text.replace(r"\pm", "-").replace(r"\mp", "+")]


def _is_balanced(text: str) -> bool:
    return all(text.count(left) == text.count(right) for left, right in ("{}", "⦃⦄", "⟬⟭")) and text.count("(") + text.count(
        "["
    ) == text.count(")") + text.count("]")


def _has_or(text: str) -> bool:
    return re.search(r"\sor\s", text) is not None


def _is_set(node: Node) -> bool:
    if isinstance(node, Labelled):
        return _is_set(node.value)
    return isinstance(node, Combined)
