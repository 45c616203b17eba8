"""Demonstrations of a family: examples to imitate, none of which is held-out content."""

from collections.abc import Iterator

from tasks.errors import TaskError
from tasks.family import Example, Family
from tasks.source import draw, patience


def demonstrations(family: Family, count: int, seed: int) -> Iterator[Example]:
    """`count` different examples from the train split, one at a time; a smaller count gives the first of a larger one."""
    seen: set[str] = set()
    for position in range(patience(count)):
        if len(seen) == count:
            return
        example = draw(family, "train", f"{seed}/demonstrations/{position}")
        if not example.demonstration:
            raise TaskError(f"family {family.name!r} has no demonstrations: turn the cold start off, or give it data of its own")
        if example.key not in seen:
            seen.add(example.key)
            yield example
    if len(seen) < count:
        raise TaskError(f"family {family.name!r} has only about {len(seen)} different demonstrations, not {count}: ask for fewer")
