"""Demonstrations of a family: examples to imitate, none of which is held-out content."""

from tasks.errors import TaskError
from tasks.family import Example, Family
from tasks.source import draw, patience


def demonstrations(family: Family, count: int, seed: int) -> tuple[Example, ...]:
    """`count` different examples from the train split; a smaller count gives the first of a larger one."""
    found: dict[str, Example] = {}
    for position in range(patience(count)):
        if len(found) == count:
            break
        example = draw(family, "train", f"{seed}/demonstrations/{position}")
        if not example.demonstration:
            raise TaskError(f"family {family.name!r} has no demonstrations: turn the cold start off, or give it data of its own")
        found.setdefault(example.key, example)
    if len(found) < count:
        raise TaskError(f"family {family.name!r} has only about {len(found)} different demonstrations, not {count}: ask for fewer")
    return tuple(found.values())
