"""Targets from gold answers, kind by kind."""

import pytest

from tasks.errors import RowError
from tasks.gold import TARGET_KINDS, read_target
from tasks.problem import (
    Box,
    Box3d,
    Boxes3dTarget,
    BoxesTarget,
    CallTest,
    ChoiceTarget,
    ClockTarget,
    CodeTarget,
    CountTarget,
    Criterion,
    Mask,
    MathTarget,
    MissingTarget,
    NumberTarget,
    Outline,
    PointsTarget,
    RubricTarget,
    Span,
    SpansTarget,
    StdinTest,
    TableTarget,
    Target,
    TextTarget,
    ValuesTarget,
)

CHOICES = ("red", "green", "A")


@pytest.mark.parametrize(
    ("kind", "value", "target"),
    [
        ("math", r" \frac{1}{2} ", MathTarget(r"\frac{1}{2}")),
        ("math", 7, MathTarget("7")),
        ("math", 0.5, MathTarget("0.5")),
        ("math", 10**400, MathTarget("1" + "0" * 400)),
        ("number", "-3.5", NumberTarget(-3.5)),
        ("number", {"value": 2, "absolute": 0.1, "relative": None}, NumberTarget(2.0, absolute=0.1)),
        ("text", "Paris", TextTarget(("Paris",))),
        ("text", ["Paris", "", "paris, France"], TextTarget(("Paris", "paris, France"))),
        ("text", 1984, TextTarget(("1984",))),
        ("choice", "b", ChoiceTarget("B")),
        ("choice", " (C). ", ChoiceTarget("C")),
        ("count", 3, CountTarget(3)),
        ("count", 0, CountTarget(0)),
        ("count", "12", CountTarget(12)),
        ("count", 4.0, CountTarget(4)),
        ("boxes", [1, 2, 3, 4.5], BoxesTarget((Box(1, 2, 3, 4.5),))),
        ("boxes", [[1, 2, 3, 4], [0, 0, 1000, 1000]], BoxesTarget((Box(1, 2, 3, 4), Box(0, 0, 1000, 1000)))),
        ("boxes", {"bbox_2d": [1, 2, 3, 4], "label": "cat"}, BoxesTarget((Box(1, 2, 3, 4, "cat"),))),
        ("boxes", '[{"bbox_2d": [1, 2, 3, 4], "label": null}]', BoxesTarget((Box(1, 2, 3, 4),))),
        ("boxes", {"boxes": [[1, 2, 3, 4]], "size": [64, 48]}, BoxesTarget((Box(1, 2, 3, 4),), (64.0, 48.0))),
        (
            "boxes",
            {"boxes": [[32, 12, 64, 48]], "size": [64, 48], "coordinates": "pixels"},
            BoxesTarget((Box(500, 250, 1000, 1000),), (64.0, 48.0)),
        ),
        ("points", [[1, 2, 3, 4]], PointsTarget((Box(1, 2, 3, 4),))),
        ("points", {"mask": {"size": [2, 3], "counts": [1, 5]}, "label": "cat"}, PointsTarget((Mask(3, 2, (1, 5), "cat"),))),
        (
            "points",
            {"regions": [{"mask": [[0, 0, 32, 0, 32, 48]]}], "size": [64, 48], "coordinates": "pixels"},
            PointsTarget((Outline(((0.0, 0.0, 500.0, 0.0, 500.0, 1000.0),)),), (64.0, 48.0)),
        ),
        ("points", {"mask": [0, 0, 1, 0, 1, 1]}, PointsTarget((Outline(((0.0, 0.0, 1.0, 0.0, 1.0, 1.0),)),))),
        ("clock", "3:45", ClockTarget(3, 45)),
        ("clock", "15:45:30", ClockTarget(15, 45, 30, twelve_hour=False)),
        ("clock", " 12:10 a.m. ", ClockTarget(0, 10, None, twelve_hour=False)),
        ("values", 45, ValuesTarget(("45",))),
        ("values", ["45%", 2010], ValuesTarget(("45%", "2010"))),
        ("table", [["a", "b"], ["x", 1]], TableTarget((("a", "b"), ("x", "1")))),
        ("table", [{"a": "x", "b": 1}, {"a": "y", "b": None}], TableTarget((("a", "b"), ("x", "1"), ("y", "")))),
        ("spans", [3, 7.5], SpansTarget((Span(3.0, 7.5),))),
        ("spans", [["0:03", "1:02:03.5"], [4, 5]], SpansTarget((Span(3, 3723.5), Span(4, 5)))),
        ("spans", {"start": 0, "end": "0:10", "label": "jump"}, SpansTarget((Span(0, 10, "jump"),))),
        (
            "boxes_3d",
            [{"bbox_3d": [1, 2, 3, 4, 5, 6, 0, 0.5, -1], "label": "car"}],
            Boxes3dTarget((Box3d((1, 2, 3), (4, 5, 6), (0, 0.5, -1), "car"),)),
        ),
    ],
)
def test_gold_answers_of_each_kind(kind: str, value: object, target: Target) -> None:
    assert read_target(kind, value, ()) == target


@pytest.mark.parametrize(("value", "letter"), [("b", "B"), ("green", "B"), (" red ", "A"), ("C", "C")])
def test_a_choice_is_its_letter_or_its_text(value: str, letter: str) -> None:
    assert read_target("choice", value, CHOICES) == ChoiceTarget(letter, CHOICES)


@pytest.mark.parametrize("kind", [kind for kind in TARGET_KINDS if kind != "none"])
@pytest.mark.parametrize("value", [None, "", "  ", [], [None], [""]])
def test_null_or_empty_gold_is_a_missing_target(kind: str, value: object) -> None:
    assert read_target(kind, value, ()) == MissingTarget()


def test_no_boxes_as_text_are_a_missing_target() -> None:
    assert read_target("boxes", "[]", ()) == MissingTarget()


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("math", True, "a math answer is a text or a number, not True"),
        ("math", ["1", "2"], "a math answer is a text or a number"),
        ("math", float("nan"), "not nan"),
        ("number", "1,000", "'1,000' is not a number"),
        ("number", "inf", "'inf' is not a number"),
        ("number", 10**400, "is not a number"),
        ("number", {"absolute": 1}, "None is not a number"),
        ("text", [["a"]], "a text answer is a text or a number"),
        ("choice", 2, "a choice is a letter, not 2: a number does not say whether it counts from 0 or 1"),
        ("choice", "blue", "choice 'blue' is not a letter from A to Z"),
        ("count", -1, "a count is a whole number from 0, not -1"),
        ("count", 2.5, "not 2.5"),
        ("count", "three", "'three' is not a number"),
        ("boxes", "[1, 2", "boxes '.1, 2' are no JSON"),
        ("boxes", 5, "boxes are a list of"),
        ("boxes", [1, 2, 3], r"a box is .*, not \[1, 2, 3\]"),
        ("boxes", [[1, 2, 3]], r"a box is \[x1, y1, x2, y2\] or {bbox_2d, label}"),
        ("boxes", [[30, 20, 10, 40]], "with x1 < x2 and y1 < y2"),
        ("boxes", [[10, 20, 1280, 40]], r"box \[10, 20, 1280, 40\]: corners are relative, from 0 to 1000"),
        ("boxes", [{"bbox": [1, 2, 3, 4]}], "a box is"),
        ("boxes", {"boxes": [[1, 2, 3, 4]], "coordinates": "pixels"}, "pixels need size"),
        ("boxes", {"boxes": [[1, 2, 3, 4]], "coordinates": "pixel"}, "'relative' .0-1000. or 'pixels', not 'pixel'"),
        ("boxes", {"boxes": [[1, 2, 3, 4]], "size": [64]}, r"size is \[width, height\]"),
        ("boxes", {"boxes": [[1, 2, 65, 4]], "size": [64, 48], "coordinates": "pixels"}, "pixels of an image of 64 x 48"),
        ("points", {"mask": {"size": [2, 3], "counts": [1, 4]}}, "add up to 6"),
        ("points", {"mask": {"size": [2], "counts": [2]}}, r"size: \[height, width\]"),
        ("points", {"mask": [[0, 0, 1, 1]]}, "at least three corners"),
        ("points", {"mask": [[0, 0, 1, 1, 1, 1001]]}, "from 0 to 1000 across"),
        ("points", {"mask": "abc"}, "run-length mask"),
        ("boxes_3d", [[1, 2, 3]], "a 3D box is"),
        ("clock", "half past three", "a time is h:mm"),
        ("clock", "13:45 pm", "there is no time '13:45 pm'"),
        ("clock", "3:60", "there is no time"),
        ("values", [["a"]], "a value is a text or a number"),
        ("table", "a|b", "a table is a list of rows"),
        ("table", [["a", "b"], ["x"]], r"as long as the header, not \['x'\]"),
        ("spans", [7, 3], "it starts at 0 or later, and ends after that"),
        ("spans", [[1, 2, 3]], "a span is"),
        ("spans", ["soon", "later"], "'soon' is not a number"),
        ("boxes_3d", [[0, 0, 0, 1, 0, 1, 0, 0, 0]], "the sizes"),
    ],
)
def test_impossible_gold_says_why(kind: str, value: object, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_target(kind, value, ())


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("D", "choice 'D' is not a letter from A to C or the text of one of the choices"),
        ("A", "choice 'A' is not one choice: it fits A and C"),
    ],
)
def test_a_letter_that_fits_no_choice_or_two_says_so(value: str, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_target("choice", value, CHOICES)


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        ("function_call", "[{", "is no JSON"),
        ("function_call", 5, "function calls are a list"),
        ("function_call", [5], "a call is {name, arguments}, not 5"),
        ("function_call", [{"f": {"x": 1}}], "a call is {name, arguments}"),
        ("function_call", [{"name": "f", "arguments": [1]}], r"arguments of f are an object, not \[1\]"),
        ("function_call", {"calls": [], "order": True}, "not order"),
        ("json_schema", 5, "a JSON schema is an object, not 5"),
        ("json_schema", {"type": "nothing"}, "no JSON schema: 'nothing' is not"),
    ],
)
def test_impossible_structured_gold_says_why(kind: str, value: object, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_target(kind, value, ())


def test_a_rubric_is_criteria_with_weights_and_perhaps_references() -> None:
    whole = {"criteria": ["It is right.", {"text": "It rambles.", "weight": -0.5}], "answers": ["42"]}
    assert read_target("rubric", whole, ()) == RubricTarget((Criterion("It is right."), Criterion("It rambles.", -0.5)), ("42",))
    assert read_target("rubric", ["It is right."], ()) == RubricTarget((Criterion("It is right."),))


@pytest.mark.parametrize(
    "value",
    [
        "It is right.",
        {"criteria": []},
        [{"text": "It rambles.", "weight": -1}],
        [{"weight": 1}],
        ["a", " "],
        [{"text": "a", "weight": "b"}],
    ],
)
def test_what_is_no_rubric_is_refused(value: object) -> None:
    with pytest.raises(RowError):
        read_target("rubric", value, ())


@pytest.mark.parametrize(
    ("value", "target"),
    [
        (["assert f(1) == 2"], CodeTarget(asserts=("assert f(1) == 2",))),
        (
            {"test": "def check(candidate):\n    pass", "entry_point": "f"},
            CodeTarget(asserts=("def check(candidate):\n    pass\n\ncheck(f)\n",), function="f"),
        ),
        ('[{"input": "1", "output": "2"}]', CodeTarget(stdin_tests=(StdinTest("1", "2"),))),
        ({"inputs": [["a", "b"]], "outputs": ["c"]}, CodeTarget(stdin_tests=(StdinTest("a\nb", "c"),))),
        (
            {"fn_name": "f", "inputs": [[1], [2]], "outputs": [[3], [4]]},
            CodeTarget(calls=(CallTest("[1]", ("3", "[3]")), CallTest("[2]", ("4", "[4]"))), function="f"),
        ),
        ({"fn_name": "f", "inputs": [[1]], "outputs": [[3, 4]]}, CodeTarget(calls=(CallTest("[1]", ("[3, 4]",)),), function="f")),
        ({"tests": ["assert x"], "setup": "x = 1"}, CodeTarget(asserts=("assert x",), setup="x = 1")),
    ],
)
def test_code_tests_in_the_forms_of_public_data(value: object, target: Target) -> None:
    assert read_target("code", value, ()) == target


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("assert f(", "is no Python"),
        (5, "code tests are test code or a list"),
        ({"inputs": [1, 2], "outputs": [1]}, "as many inputs as outputs"),
        ({"fn_name": "f", "inputs": [1], "outputs": [1]}, "the list of its arguments, not 1"),
        ({"inputs": [{}], "outputs": ["1"]}, "a text or a list of lines"),
        ({"checks": []}, "not checks"),
    ],
)
def test_impossible_code_tests_say_why(value: object, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_target("code", value, ())
