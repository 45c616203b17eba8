"""The program of an answer: its fenced block of Python."""

import re
import textwrap

PYTHON = frozenset({"python", "python3", "py", "py3"})
_FENCE = re.compile(
    r"^[ \t]*(?P<mark>`{3,}|~{3,})[ \t]*(?P<tag>[\w+.#-]*)[^\n`]*\n(?P<code>.*?)(?:^[ \t]*(?P=mark)[`~]*[ \t]*\r?$|\Z)", re.S | re.M
)


def program_in(answer: str, function: str = "") -> str | None:
    """The last block marked as Python, or else the last unmarked one; None without any. A block left open runs to the end.

    With several, the last that defines `function` (examples of use often follow the program).
    """
    blocks = [(match["tag"].lower(), textwrap.dedent(match["code"])) for match in _FENCE.finditer(answer)]
    chosen = [code for tag, code in blocks if tag in PYTHON] or [code for tag, code in blocks if not tag]
    if not chosen:
        return None
    defining = [code for code in chosen if function and re.search(rf"^(?:async\s+)?(?:def|class)\s+{re.escape(function)}\b", code, re.M)]
    return (defining or chosen)[-1]
