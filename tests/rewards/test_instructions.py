"""Instruction following.

The labels of `instructions.jsonl` are those of the public checkers (IFBench 0.2.0, which holds IFEval's too), but for its last lines:
Chinese, and where we depart.
"""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_calls import response

from rewards.grading import grade_here
from rewards.instructions.checking import CHECKERS, MAX_CHARS, follows, variants
from rewards.instructions.language import sentences_in, tokens_in
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade, Ungraded
from tasks.errors import RowError
from tasks.gold import read_target
from tasks.instructions import ARGUMENTS
from tasks.message import Json
from tasks.problem import Constraint, ConstraintsTarget, MissingTarget

ROWS = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "rewards" / "instructions.jsonl").read_text().splitlines()]
NO_COMMA = Constraint("punctuation:no_comma")
TITLE = Constraint("detectable_format:title")


def grade(constraints: tuple[Constraint, ...], text: str, **settings: Json) -> Grade:
    outcome = grade_here(RewardSpec((Component("instructions", settings=settings),)), ConstraintsTarget(constraints), response(text))
    assert isinstance(outcome, Grade)
    return outcome


def constraint(instruction: str, **arguments: Json) -> Constraint:
    return Constraint(instruction, json.dumps(arguments))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['id']}: {row['response'][:30]!r}")
def test_a_response_follows_an_instruction_as_labelled(row: dict) -> None:  # type: ignore[type-arg]
    assert follows(row["response"], Constraint(row["id"], json.dumps(row["arguments"]))) == row["follows"]


def test_every_instruction_has_a_checker_and_both_kinds_of_cases() -> None:
    assert CHECKERS.keys() == ARGUMENTS.keys()
    assert len(CHECKERS) == 25 + 58
    assert {(row["id"], row["follows"]) for row in ROWS} == {(name, follows) for name in CHECKERS for follows in (True, False)}


@pytest.mark.parametrize("name", sorted(CHECKERS))
def test_a_blank_answer_follows_nothing(name: str) -> None:
    arguments = next(row["arguments"] for row in ROWS if row["id"] == name)
    target = (Constraint(name, json.dumps(arguments)),)
    assert [grade(target, text).reward for text in ("", " \n ", "<think>Thinking alone</think>")] == [0.0, 0.0, 0.0]


def test_the_thinking_is_not_judged() -> None:
    assert grade((NO_COMMA,), "<think>well, well</think>No comma here.").reward == 1.0
    assert grade((TITLE,), "<think><<Title>></think>No title here.").reward == 0.0


def test_all_instructions_count_and_partial_pays_their_share() -> None:
    both = (NO_COMMA, TITLE)
    assert [grade(both, text).reward for text in ("<<Fox>> runs", "fox runs", "fox, runs")] == [1.0, 0.0, 0.0]
    half = grade(both, "fox runs", partial=True)
    assert (half.reward, half.verdict) == (0.5, False)
    assert half.parts["instructions/0/punctuation:no_comma"] == 1.0
    assert half.parts["instructions/1/detectable_format:title"] == 0.0


def test_loose_forgives_a_first_line_and_asterisks() -> None:
    quoted = (Constraint("startend:quotation"),)
    text = 'Sure, here it is:\n*"All of it."*'
    assert [grade(quoted, text, loose=loose).reward for loose in (False, True)] == [0.0, 1.0]
    assert grade(quoted, text).parts["instructions/loose"] == 1.0


def test_there_are_eight_variants() -> None:
    assert set(variants("*a*\nb\n*c*")) == {
        "*a*\nb\n*c*",
        "b\n*c*",
        "*a*\nb",
        "b",
        "a\nb\nc",
        "b\nc",
        "a\nb",
    }  # without its ends, `b` twice
    assert len(variants("*a*\n*b*\n*c*")) == 8


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.sampled_from(ROWS))
def test_what_follows_strictly_follows_loosely(text: str, row: dict) -> None:  # type: ignore[type-arg]
    checked = Constraint(row["id"], json.dumps(row["arguments"]))
    assert not follows(text, checked) or follows(text, checked, loose=True)


def test_no_instructions_are_no_reward() -> None:
    assert read_target("instructions", [], ()) == MissingTarget()
    outcome = grade_here("instructions", ConstraintsTarget(()), response("ok"))
    assert isinstance(outcome, Ungraded)
    assert "every answer would be right" in outcome.detail


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Dr. Smith came. He saw Mr. Bond.", ["Dr. Smith came.", "He saw Mr. Bond."]),
        ('He said "Go." Then he went.', ['He said "Go."', "Then he went."]),
        ("It costs 3.50 in the U.S. today. Really?!", ["It costs 3.50 in the U.S. today.", "Really?!"]),
        ("Wait... what? I see... The end.", ["Wait... what?", "I see...", "The end."]),
        ("J. R. Smith wrote it. See www.a.com now.", ["J. R. Smith wrote it.", "See www.a.com now."]),
        ("你好！你说“好的。”了吗？好", ["你好！", "你说“好的。”", "了吗？", "好"]),
        ("no end", ["no end"]),
        ("...", ["..."]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert list(sentences_in(text)) == sentences


def test_tokens() -> None:
    assert tokens_in("I don't (really) know U.S. well-being, it's 3,000!") == (
        "I", "do", "n't", "(", "really", ")", "know", "U.S.", "well-being", ",", "it", "'s", "3,000", "!",
    )  # fmt: skip


IFEVAL_ROW = {
    "instruction_id_list": ["punctuation:no_comma", "length_constraints:number_words"],
    "kwargs": [{"num_words": None, "relation": None}, {"num_words": 3.0, "relation": "at least"}],
}


@pytest.mark.parametrize("form", [IFEVAL_ROW, json.dumps(IFEVAL_ROW)], ids=["columns", "JSON text"])
def test_a_row_of_ifevals_own_files_is_a_target(form: object) -> None:
    wanted = ConstraintsTarget((NO_COMMA, constraint("length_constraints:number_words", num_words=3, relation="at least")))
    assert read_target("instructions", form, ()) == wanted


def test_a_constraint_may_be_an_id_alone() -> None:
    assert read_target("instructions", "punctuation:no_comma", ()) == ConstraintsTarget((NO_COMMA,))
    entries = [{"instruction_id": "punctuation:no_comma", "kwargs": {}}, {"id": "detectable_format:title", "arguments": None}]
    assert read_target("instructions", entries, ()) == ConstraintsTarget((NO_COMMA, TITLE))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"id": "punctuation:no_coma"}, "unknown instruction 'punctuation:no_coma'; did you mean 'punctuation:no_comma'"),
        (
            {"id": "length_constraints:number_words", "arguments": {"num_words": 3}},
            "lacks its argument 'relation': one of 'less than', 'at least'",
        ),
        (
            {"id": "length_constraints:number_words", "arguments": {"num_words": "3", "relation": "at least"}},
            "its argument 'num_words' is a whole number from 0, not '3'",
        ),
        ({"id": "punctuation:no_comma", "arguments": {"n": 1}}, "takes no argument 'n'"),
        ({"id": "keywords:existence", "arguments": {"keywords": []}}, "its argument 'keywords' is a list of texts, not \\[\\]"),
        ({"id": "sentence:keyword", "arguments": {"word": "a", "N": 0}}, "its argument 'N' is a whole number from 1, not 0"),
        ({"name": "title"}, "a constraint is an instruction's id or {id, arguments}"),
        ({"instruction_id_list": ["a"], "kwargs": []}, "lists of the same length"),
        ("[", "is no JSON"),
    ],
)
def test_a_wrong_constraint_says_what_is_wrong(entry: object, message: str) -> None:
    with pytest.raises(RowError, match=message):
        read_target("instructions", entry, ())


def test_an_unknown_instruction_is_ungraded_with_the_nearest_one() -> None:
    outcome = grade_here("instructions", ConstraintsTarget((Constraint("keywords:existance"),)), response("text"))
    assert isinstance(outcome, Ungraded)
    assert "did you mean 'keywords:existence'" in outcome.detail


HOSTILE = ["[" * 20_000, "." * 20_000 + "x", "<<" * 10_000, "*" * 20_000, '"' * 20_000, "\n" * 20_000 + "x", "中" * 20_000, "\ud800\x00nan"]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:3]))
def test_hostile_texts_are_judged_by_every_checker(text: str) -> None:
    arguments = {row["id"]: row["arguments"] for row in ROWS}
    results = {name: follows(text, Constraint(name, json.dumps(arguments[name]))) for name in CHECKERS}
    assert not results["custom:csv_city"]
    assert results["format:no_whitespace"] == (not any(map(str.isspace, text)))


def test_an_endless_answer_follows_nothing() -> None:
    assert not follows("x" * (MAX_CHARS + 1), NO_COMMA)
