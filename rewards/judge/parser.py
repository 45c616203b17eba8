"""Readers of replies by name: `tolerant`, `json`, or a function of the user's own, `path/to/file.py:name`."""

from collections.abc import Sequence

from rewards.errors import RewardError, unknown
from rewards.judge.verdict import Parser, Stated, json_object, tolerant
from rewards.plugins import load_function

NAMES = ("tolerant", "json")


def find_parser(name: str, fields: Sequence[str]) -> Parser:
    """`json` takes a reply that is one JSON object and nothing else; `tolerant` also finds one at the end, or lines `field: mark`.

    A function of one's own gets the text after the thinking, and gives a dict with a mark for each field, or None. Raises `RewardError`.
    """
    if name == "tolerant":
        return tolerant(fields)
    if name == "json":
        return json_object
    if ".py:" not in name:
        raise unknown("parser of reward 'judge':", name, NAMES)
    function = load_function(name)

    def parse(text: str) -> Stated | None:
        found = function(text)
        if found is not None and not isinstance(found, dict):
            raise RewardError(f"parser {name}: gives a {type(found).__name__}; it gives a dict with a mark for each field, or None")
        return found

    return parse
