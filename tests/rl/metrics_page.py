"""The names of `docs/metrics.md`, as patterns."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def documented() -> dict[str, re.Pattern[str]]:
    """Name -> pattern; each `<word>` stands for any text without a slash."""
    names = re.findall(r"^\| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: re.compile(re.sub(r"<[a-z]+>", "[^/]+", name)) for name in names}


def undocumented(emitted: set[str]) -> set[str]:
    """Names that no row describes."""
    patterns = documented().values()
    return {name for name in emitted if not any(pattern.fullmatch(name) for pattern in patterns)}
