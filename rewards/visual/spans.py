"""Spans of time in an answer about a video, in seconds.

`<3.0 seconds> to <7.5 seconds>`, `00:03 - 00:07.50`, `from 1:02:03 to 1:02:10`, `3-7.5 s`, `1 min 3 s to 1 min 10 s`, `第3秒到第7秒`,
`1分3秒至1分10秒`; JSON `[{"start": "00:03", "end": 7.5, "label": "..."}]` or `[[3.0, 7.5]]`.
"""

import re

from rewards.visual.embedded_json import embedded_json
from tasks.message import Json
from tasks.problem import Span

MAX_CHARS = 20_000
MAX_SPANS = 500
MAX_SECONDS = 1e6
_COLONS = r"(?:\d{1,3}:)?\d{1,3}:\d{2}(?:\.\d{1,6})?"
_HOURS, _MINUTES, _SECONDS = r"(?:hours?|hrs?|h|小时|时)", r"(?:minutes?|mins?|m|分钟?)", r"(?:seconds?|secs?|s|秒)"
_D = r"\d{1,7}(?:\.\d{1,6})?"
_WORDS = rf"(?:{_D}\s?{_HOURS}(?![a-z])\s?)?(?:{_D}\s?{_MINUTES}(?![a-z])\s?)?(?:{_D}\s?{_SECONDS}(?![a-z]))?"
_TIME = rf"(?:第\s?)?(?:<\s?{_D}\s?{_SECONDS}?\s?>|{_COLONS}(?:\s?{_SECONDS}(?![a-z]))?|(?=\d){_WORDS}(?<![\d\s])|{_D}(?![\d:]))"
_SPAN = re.compile(
    rf"(?<![A-Za-z0-9_.:-])(?:\[|\(|from\s|(?P<between>between\s)|从)?\s?(?P<start>{_TIME})\s?(?:-|–|—|~|～|,|to\b|until\b|till\b|through\b|(?P<also>and\b)|到|至)\s?"
    rf"(?P<end>{_TIME})(?![\d:]|\.\d)",
    re.IGNORECASE,
)
_TIMED = re.compile(rf"<\s?{_D}\s?{_SECONDS}?\s?>|{_COLONS}|{_D}\s?(?:{_HOURS}|{_MINUTES}|{_SECONDS})(?![a-z])", re.IGNORECASE)
_UNSURE = re.compile(r"\b(?:or|not|maybe|cannot|unknown)\b|或|不是|不知道|无法", re.IGNORECASE)
_START, _END = ("start", "start_time"), ("end", "end_time")


def spans_in(text: str) -> list[Span] | None:
    """Every span of the answer; None when there is none, a single moment is left over, or one is impossible (end <= start, no number)."""
    if len(text) > MAX_CHARS:
        return None
    answer = embedded_json(text)
    spans = _json_spans(answer.value) if answer else _worded_spans(text)
    if spans is None or len(spans) > MAX_SPANS:
        return None
    return None if any(span is None for span in spans) else [span for span in spans if span is not None]


def seconds_of(text: str) -> float | None:
    """The seconds of one time in any of the forms; a bare number is seconds."""
    text = text.strip().strip("<>").lstrip("第").strip().lower()
    colons = re.fullmatch(rf"({_COLONS})(?:\s?{_SECONDS})?", text)
    if colons:
        *higher, seconds = (float(part) for part in colons.group(1).split(":"))
        if seconds >= 60 or (len(higher) == 2 and higher[1] >= 60):
            return None
        return sum(part * 60.0 ** (len(higher) - place) for place, part in enumerate(higher)) + seconds
    if re.fullmatch(_D, text):
        return float(text)
    if not text or not re.fullmatch(_WORDS, text):
        return None
    units = ((_HOURS, 3600), (_MINUTES, 60), (_SECONDS, 1))
    return sum(float(match.group(1)) * scale for unit, scale in units if (match := re.search(rf"({_D})\s?{unit}(?![a-z])", text)))


def temporal_iou(a: Span, b: Span) -> float:
    common = min(a.end, b.end) - max(a.start, b.start)
    return max(0.0, common) / (max(a.end, b.end) - min(a.start, b.start)) if common > 0 else 0.0


def _worded_spans(text: str) -> list[Span | None] | None:
    left = _SPAN.sub(lambda match: match.group() if match["also"] and not match["between"] else " ", text)
    if re.search(r"[{}]|\[\s*\[|```", text) or _TIMED.search(left) or _UNSURE.search(left):
        return None
    found = list(_SPAN.finditer(text))
    if any(match["also"] and not match["between"] for match in found):
        return None  # two moments
    return [_span(_with_unit(match["start"], match["end"]), match["end"]) for match in found] or None


def _with_unit(start: str, end: str) -> str:
    """In "3 to 7 minutes" the unit is that of both."""
    unit = re.search(rf"(?:{_HOURS}|{_MINUTES})$", end.strip(), re.IGNORECASE)
    return start + unit.group() if unit and re.fullmatch(_D, start.strip()) else start


def _span(start: str | float, end: str | float, label: str = "") -> Span | None:
    first, last = (seconds_of(time) if isinstance(time, str) else time for time in (start, end))
    return Span(first, last, label) if first is not None and last is not None and 0 <= first < last <= MAX_SECONDS else None


def _json_spans(value: list[Json] | dict[str, Json]) -> list[Span | None] | None:
    if isinstance(value, dict):
        entries: list[Json] = [value]
    else:
        entries = [value] if len(value) == 2 and not any(isinstance(item, list | dict) for item in value) else value
    return [_json_span(entry) for entry in entries]


def _json_span(entry: Json) -> Span | None:
    label: Json = ""
    times = entry
    if isinstance(entry, dict):
        label = entry.get("label", "")
        starts, ends = ([entry[key] for key in keys if key in entry] for keys in (_START, _END))
        times = [*starts, *ends] if len(starts) == len(ends) == 1 else entry.get("time")
    if not isinstance(times, list) or len(times) != 2 or not isinstance(label, str):
        return None
    known = [time for time in times if isinstance(time, str | int | float) and not isinstance(time, bool)]
    if len(known) != 2 or any(not isinstance(time, str) and abs(time) > MAX_SECONDS for time in known):
        return None
    start, end = (time if isinstance(time, str) else float(time) for time in known)
    return _span(start, end, label)
