"""Subsets of the reals in one form: intervals, inequalities, set-builders, unions and differences of them."""

import re
from dataclasses import dataclass

import sympy
from sympy.core.function import AppliedUndef

from rewards.maths.expression import equal_symbolic, symbolic
from rewards.maths.structure import Combined, Items, Labelled, Leaf, Node, Relation

_FLIP = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq", r"\neq": r"\neq", "=": "="}
_MAX_PIECES = 16


@dataclass(frozen=True, slots=True)
class Piece:
    """From `low` to `high`, each end open or closed."""

    low: sympy.Expr
    high: sympy.Expr
    low_open: bool
    high_open: bool


Pieces = tuple[Piece, ...]
_LINE = (Piece(-sympy.oo, sympy.oo, True, True),)


def real_set(node: Node) -> Pieces | None:
    """The pieces in order; None for what is no set of reals. Intervals may have symbolic ends, but then are not merged."""
    found = _pieces(node)
    if found is None or len(found) > _MAX_PIECES:
        return None
    return _merged(found)


def is_set_like(node: Node) -> bool:
    """Whether the node can only be read as a set: unlike (1, 2), which may be a point."""
    if isinstance(node, Labelled):
        return is_set_like(node.value)
    if isinstance(node, Relation):
        return any(op != "=" for op in node.ops)
    if isinstance(node, Items):
        return node.kind == "tuple" and node.brackets in ("(]", "[)") and len(node.items) == 2
    return isinstance(node, Combined) or (isinstance(node, Leaf) and (_is_line(node.text) or node.text.strip() == r"\emptyset"))


def is_solved(node: Node) -> bool:
    """Whether each relation in one symbol has it alone, up to its sign, its modulus or `x - 4 = 0`: `2x > 4` only repeats the question."""
    if isinstance(node, Labelled):
        return is_solved(node.value)
    if isinstance(node, Items | Combined):
        return all(is_solved(item) for item in node.items)
    if not isinstance(node, Relation):
        return True
    sides = [symbolic(side) for side in node.sides]
    symbols = {symbol for side in sides if side is not None for symbol in side.free_symbols}
    if len(symbols) != 1 or any(side is None or side.atoms(AppliedUndef) for side in sides):
        return True
    (unknown,) = symbols
    alone = (unknown, -unknown, sympy.Abs(unknown))
    if node.ops == ("=",) and 0 in sides:
        return any(side is not None and not (side - form).free_symbols for side in sides if side != 0 for form in alone)
    return all(side in alone or (side is not None and not side.free_symbols) for side in sides)


def unknowns(node: Node) -> frozenset[str]:
    """The names of the symbols of a relation or of several, and `x` in `x \\in (0, 1)`.

    Those bound in a set-builder are aside, and those of functions.
    """
    if isinstance(node, Relation):
        values = [symbolic(side) for side in node.sides]
        known = [value for value in values if value is not None and not value.atoms(AppliedUndef)]
        return frozenset(symbol.name for value in known for symbol in value.free_symbols)
    if isinstance(node, Labelled) and isinstance(node.value, Combined | Leaf | Items) and re.fullmatch(r"[a-z]", node.label.strip()):
        return frozenset({node.label.strip()}) if real_set(node.value) is not None else frozenset()
    return frozenset().union(*map(unknowns, node.items)) if isinstance(node, Combined) else frozenset()


def equal_sets(mine: Pieces, other: Pieces) -> bool:
    if len(mine) != len(other):
        return False
    return all(
        a.low_open == b.low_open and a.high_open == b.high_open and equal_symbolic(a.low, b.low) and equal_symbolic(a.high, b.high)
        for a, b in zip(mine, other, strict=True)
    )


def _pieces(node: Node) -> Pieces | None:
    if isinstance(node, Labelled):
        return _pieces(node.value)
    if isinstance(node, Leaf):
        if _is_line(node.text):
            return _LINE
        return () if node.text.strip() == r"\emptyset" else None
    if isinstance(node, Items):
        return _of_items(node)
    if isinstance(node, Relation):
        return _of_relation(node)
    if isinstance(node, Combined):
        return _combined(node)
    return None


def _of_items(node: Items) -> Pieces | None:
    """An interval, the points of a set or list, what satisfies all relations of a list, or what is in any interval of one."""
    if node.kind == "tuple":
        if len(node.items) != 2 or not all(isinstance(item, Leaf) for item in node.items):
            return None
        low, high = (_value(item) for item in node.items)
        return None if low is None or high is None else (Piece(low, high, node.brackets[0] == "(", node.brackets[1] == ")"),)
    ranges = [item for item in node.items if isinstance(item, Items) and item.kind == "tuple"] if node.kind == "list" else []
    if len(ranges) == len(node.items) and any(map(_is_interval, ranges)):
        intervals = [_of_items(item) for item in ranges]
        return None if None in intervals else tuple(piece for pieces in intervals if pieces for piece in pieces)
    values = [_value(item) for item in node.items]
    if any(value is None for value in values):
        return _intersection([p for item in node.items if (p := _pieces(item)) is not None]) if node.kind == "list" else None
    return tuple(Piece(value, value, False, False) for value in values if value is not None)


def _is_interval(node: Items) -> bool:
    """Whether a pair in a list is no point."""
    return node.brackets != "()" or any(isinstance(item, Leaf) and r"\infty" in item.text for item in node.items)


def _of_relation(node: Relation) -> Pieces | None:
    """`a < x <= b`, `x != c`, and any chain in one symbol that sympy can solve when the symbol does not stand alone."""
    sides = [symbolic(side) for side in node.sides]
    if any(side is None for side in sides) or r"\in" in node.ops:
        return None
    alone = [place for place, side in enumerate(sides) if side is not None and side.is_Symbol]
    if len(sides) == 2 and alone and not sides[1 - alone[0]].has(sides[alone[0]]):  # type: ignore[union-attr]
        op = node.ops[0] if alone[0] == 0 else _FLIP.get(node.ops[0], "")
        return _half_line(op, sides[1 - alone[0]])
    if len(sides) == 3 and 1 in alone:
        left = _half_line(_FLIP.get(node.ops[0], ""), sides[0])
        right = _half_line(node.ops[1], sides[2])
        return None if left is None or right is None else _intersection([left, right])
    if len(sides) == 3 and isinstance(sides[1], AppliedUndef):
        left, right = _half_line(_FLIP.get(node.ops[0], ""), sides[0]), _half_line(node.ops[1], sides[2])
        return None if left is None or right is None else _intersection([left, right])
    return _solved(sides, node.ops)


def _half_line(op: str, bound: sympy.Expr | None) -> Pieces | None:
    if bound is None:
        return None
    table: dict[str, Pieces] = {
        "<": (Piece(-sympy.oo, bound, True, True),),
        r"\leq": (Piece(-sympy.oo, bound, True, False),),
        ">": (Piece(bound, sympy.oo, True, True),),
        r"\geq": (Piece(bound, sympy.oo, False, True),),
        r"\neq": (Piece(-sympy.oo, bound, True, True), Piece(bound, sympy.oo, True, True)),
        "=": (Piece(bound, bound, False, False),),
    }
    return table.get(op)


def _solved(sides: list[sympy.Expr | None], ops: tuple[str, ...]) -> Pieces | None:
    symbols = {symbol for side in sides if side is not None for symbol in side.free_symbols}
    if len(symbols) != 1 or not all(op in _FLIP for op in ops):
        return None
    free = sympy.Symbol("x", real=True)
    exact = [side.xreplace({next(iter(symbols)): free}) for side in sides if side is not None]
    makers = {"<": sympy.Lt, ">": sympy.Gt, r"\leq": sympy.Le, r"\geq": sympy.Ge, r"\neq": sympy.Ne, "=": sympy.Eq}
    found: list[Pieces] = []
    for place, op in enumerate(ops):
        try:
            relation = makers[op](exact[place], exact[place + 1])
            solution = relation.as_set() if relation not in (sympy.true, sympy.false) else None
        except (NotImplementedError, TypeError, ValueError):
            return None
        pieces = _of_sympy(solution)
        if pieces is None:
            return None
        found.append(pieces)
    return _intersection(found)


def _of_sympy(solution: sympy.Set | None) -> Pieces | None:
    if solution is None:
        return None
    parts = solution.args if isinstance(solution, sympy.Union) else (solution,)
    pieces: list[Piece] = []
    for part in parts:
        if isinstance(part, sympy.Interval):
            pieces.append(Piece(part.start, part.end, bool(part.left_open), bool(part.right_open)))
        elif isinstance(part, sympy.FiniteSet):
            pieces.extend(Piece(value, value, False, False) for value in part.args)
        elif part is not sympy.S.EmptySet:
            return None
    return tuple(pieces)


def _combined(node: Combined) -> Pieces | None:
    sets = [_pieces(item) or _point(item) for item in node.items]
    known = [pieces for pieces in sets if pieces is not None]
    if len(known) != len(sets):
        return None
    if node.operation == "union":
        return tuple(piece for pieces in known for piece in pieces)
    if node.operation == "intersection":
        return _intersection(known)
    removed = tuple(piece for pieces in known[1:] for piece in pieces)
    return _intersection([known[0], *(_complement(piece) for piece in removed)])


def _point(node: Node) -> Pieces | None:
    """`a = 1` next to an inequality is the point 1."""
    value = _value(node.value) if isinstance(node, Labelled) else None
    return None if value is None else (Piece(value, value, False, False),)


def _complement(piece: Piece) -> Pieces:
    below = Piece(-sympy.oo, piece.low, True, not piece.low_open)
    above = Piece(piece.high, sympy.oo, not piece.high_open, True)
    return tuple(p for p in (below, above) if p.low != p.high)


def _intersection(sets: list[Pieces]) -> Pieces | None:
    if not sets:
        return None
    result = sets[0]
    for pieces in sets[1:]:
        crossed = [_meet(a, b) for a in result for b in pieces]
        if any(meeting is None for meeting in crossed):
            return None
        result = tuple(piece for meeting in crossed if meeting for piece in meeting)
    return result


def _meet(a: Piece, b: Piece) -> Pieces | None:
    low = _later(a.low, a.low_open, b.low, b.low_open)
    high = _later(-a.high, a.high_open, -b.high, b.high_open)
    if low is None or high is None:
        return None
    (start, start_open), (end, end_open) = low, (-high[0], high[1])
    if start in (-sympy.oo,) or end in (sympy.oo,):
        return (Piece(start, end, start_open, end_open),)
    order = _order(start, end)
    if order is None:
        return (Piece(start, end, start_open, end_open),)
    return () if order > 0 or (order == 0 and (start_open or end_open)) else (Piece(start, end, start_open, end_open),)


def _later(a: sympy.Expr, a_open: bool, b: sympy.Expr, b_open: bool) -> tuple[sympy.Expr, bool] | None:
    """The larger of two lower ends; the open one if they are the same."""
    if a == -sympy.oo:
        return b, b_open
    if b == -sympy.oo:
        return a, a_open
    order = _order(a, b)
    if order is None:
        return None
    return (a, a_open or b_open) if order == 0 else (a, a_open) if order > 0 else (b, b_open)


def _order(a: sympy.Expr, b: sympy.Expr) -> int | None:
    if a == b:
        return 0
    difference = (a - b).evalf(30)
    if not (difference.is_number and difference.is_real):
        return None
    return 1 if difference > 0 else -1 if difference < 0 else 0


def _merged(pieces: Pieces) -> Pieces:
    if not all(end.is_extended_real and end.is_number for piece in pieces for end in (piece.low, piece.high)):
        return pieces
    merged: list[Piece] = []
    for piece in sorted(pieces, key=lambda p: (float(p.low), p.low_open, float(p.high))):
        last = merged[-1] if merged else None
        touching = last is not None and (piece.low < last.high or (piece.low == last.high and not (piece.low_open and last.high_open)))
        if last is None or not touching:
            merged.append(piece)
        elif piece.high > last.high or (piece.high == last.high and last.high_open):
            merged[-1] = Piece(last.low, piece.high, last.low_open, piece.high_open)
    return tuple(merged)


def _is_line(text: str) -> bool:
    return text.replace(" ", "") in (r"\mathbb{R}", r"\mathbb{R}", r"\R", r"\RealNumbers") or text.strip() == "R"


def _value(node: Node) -> sympy.Expr | None:
    return symbolic(node.text.strip()) if isinstance(node, Leaf) else None
