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

MAX_SIGNS = 4
ROUNDING = 0.01
"""How far apart the sides of `\\frac{5}{6} = 0.83` may be; without decimals they have to be equal."""
ROUGHLY = 0.1
"""How far apart the sides of `\\frac{5}{6} \\approx 0.8` may be."""

_TRANSPOSED = re.compile(r"(?P<body>.*[)\]⟭])\s*\^[{\s]*(?:\\top|\\intercal|T)[}\s]*")
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
    if (close := _approximated(text)) is not None:
        return close
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
    if (matrix := _matrix(text)) is not None:
        return matrix
    if text[:1] in "([" and text[-1:] in ")]" and is_enclosed(text, text[0], text[-1]):
        return _brackets(text)
    if r"\pm" in text or r"\mp" in text:
        return Items("list", tuple(parse_structure(sign) for sign in _both_signs(text)))
    return Leaf(text)


def _approximated(text: str) -> Node | None:
    """Of `2/3 \\approx 0.67` the side without decimals, or the first; `7 \\approx 15` is no value. None without the sign."""
    sides = [part.strip() for part in re.split(r"\\approx", text) if part.strip()]
    if len(sides) < 2:
        return None
    if is_label(sides[0]) and constant(sides[0]) is None:
        return Labelled(sides[0], parse_structure(r"\approx".join(sides[1:])))
    values = [constant(re.split("=", side)[-1]) for side in sides]
    known = [value for value in values if value is not None]
    if any(not equal_symbolic(known[0], value, ROUGHLY) for value in known[1:]):
        return Relation(tuple(sides), (r"\approx",) * (len(sides) - 1))
    return parse_structure(next((side for side in sides if "." not in side), sides[0]))


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
        if not is_named and len(sides) == 2 and is_label(sides[1]) and constants and len(constants) == 1 and sides[1].strip():
            return Labelled(sides[1], parse_structure(sides[0]))
        if is_named:
            return Labelled(sides[0], parse_structure(sides[-1]))
        if len(constants) == len(values):
            return parse_structure(sides[-1])
        return Relation((sides[0], sides[-1]), ("=",))
    return Relation(tuple(sides), tuple(ops))


def _matrix(text: str) -> Matrix | None:
    """A matrix, a number times it, or the transpose of a matrix or vector."""
    if transposed := _TRANSPOSED.fullmatch(text):
        node = parse_structure(transposed["body"])
        if isinstance(node, Items) and node.kind == "tuple":
            return Matrix(tuple((item,) for item in node.items))
        square = isinstance(node, Matrix) and len({len(row) for row in node.rows}) == 1
        return Matrix(tuple(zip(*node.rows, strict=True))) if isinstance(node, Matrix) and square else None
    factor, is_matrix, cells = text.partition("⟬")
    factor = re.sub(r"(?:\\cdot)?\s*$", "", factor)
    if not is_matrix or not is_enclosed(f"⟬{cells}", "⟬", "⟭") or "⟬" in cells:
        return None
    if factor and len(re.findall(r"[-+,]", re.sub(r"\{[^{}]*\}|\([^()]*\)|^\s*-", "", factor))):
        return None
    rows = [row for row in re.split(r"\\\\(?:\[[^\]]*\])?", cells[:-1]) if row.strip()]
    times = "-1" if factor.strip() == "-" else factor
    scaled = (lambda cell: f"({times})\\cdot({cell})") if factor else (lambda cell: cell)
    return Matrix(tuple(tuple(parse_structure(scaled(cell)) for cell in row.split("&")) for row in rows))


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
    if r"\mp" in inner:
        return Items("list", tuple(parse_structure(text[0] + signs + text[-1]) for signs in _both_signs(inner)))
    options = [[parse_structure(sign) for sign in _both_signs(part)] for part in parts]
    tuples = [Items("tuple", choice, text[0] + text[-1]) for choice in product(*options)]
    return tuples[0] if len(tuples) == 1 else Items("list", tuple(tuples[:64]))


def _both_signs(text: str) -> list[str]:
    """With `\\mp` the upper signs and the lower ones; without it each sign is free."""
    if r"\pm" not in text and r"\mp" not in text:
        return [text]
    first, *rest = text.split(r"\pm")
    if 1 < len(rest) <= MAX_SIGNS and r"\mp" not in text:
        choices = product("+-", repeat=len(rest))
        return [first + "".join(sign + part for sign, part in zip(signs, rest, strict=True)) for signs in choices]
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
