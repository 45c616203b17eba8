"""A scored file as one page that opens offline: `python -m rewards.report scored.jsonl`.

Distributions of every component, correlations, signs of reward hacking, examples at the extremes with their images. The page runs no
script and loads nothing; what a model wrote reaches it as escaped text.
"""

import base64
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import jinja2
from markupsafe import Markup
from pydantic import Field

from rewards.command_line import Arguments, run
from rewards.errors import RewardError
from rewards.offline.output import replace_text
from rewards.offline.samples import FoundTexts, read_texts
from rewards.offline.scored import ScoredRow, read_scored
from tasks.message import ImagePart, Message

if TYPE_CHECKING:
    from PIL.Image import Image

    from rewards.offline.columns import ScoredColumns

GRAMMAR = """\
  python -m rewards.report scored.jsonl
  python -m rewards.report scored.jsonl out=page.html
"""
BINS = 24
SHOWN_CHARS = 20_000
IMAGE_SIDE = 420


class ReportArguments(Arguments):
    scored: Path = Field(description="a scored file")
    out: Path | None = Field(None, description="the page [beside the scored file, *.html]")


@dataclass(frozen=True, slots=True)
class Bar:
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class Histogram:
    name: str
    bars: tuple[Bar, ...]
    low: str
    mean: str
    high: str


@dataclass(frozen=True, slots=True)
class ShownPart:
    """Text, or an image as a data URL; the other one is empty."""

    text: str = ""
    image: str = ""


@dataclass(frozen=True, slots=True)
class ShownMessage:
    role: str
    parts: tuple[ShownPart, ...]


@dataclass(frozen=True, slots=True)
class Example:
    reward: str
    verdict: str
    where: str
    parts: str
    answer: str
    messages: tuple[ShownMessage, ...]


@dataclass(frozen=True, slots=True)
class ExampleGroup:
    title: str
    examples: tuple[Example, ...]
    first: bool


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0 written, 2 the request was wrong."""
    return run(ReportArguments, GRAMMAR, _report, arguments, ("scored",))


def _report(settings: ReportArguments) -> int:
    out = settings.out or settings.scored.with_suffix(".html")
    replace_text(out, report_html(settings.scored))
    print(out)
    return 0


def report_html(scored: Path) -> str:
    """The page. Raises `RewardError` for a file that holds no scores."""
    from rewards.offline.columns import LOOKED_FOR, REWARD, RIGHT, ScoredColumns, correlations, signals, spans

    columns = ScoredColumns.of(read_scored(scored))
    if not columns.rows:
        raise RewardError(f"{scored} holds no rows")
    groups = _chosen(columns)
    texts = read_texts(scored, {row.row for _, rows in groups for row in rows})
    names, table = correlations(columns)
    step_names, by_span = spans(columns)
    reward, right = columns.column(REWARD), columns.column(RIGHT)
    graded, judged = reward[reward == reward], right[right == right]
    numbers = [
        ("rows", f"{columns.rows:,}"),
        ("mean reward", f"{graded.mean():.4f}" if graded.size else "–"),
        ("right", f"{100 * judged.mean():.1f} %" if judged.size else "–"),
        ("ungraded", f"{100 * columns.ungraded.total() / columns.rows:.1f} %"),
    ]
    page = files("rewards") / "report_page"
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string((page / "page.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        name=scored.name,
        style=Markup((page / "page.css").read_text(encoding="utf-8")),
        numbers=numbers,
        signals=signals(columns),
        looked_for=LOOKED_FOR,
        histograms=list(_histograms(columns)),
        correlations={"names": names, "table": table},
        steps={
            "names": step_names,
            "rows": [[label, count, *(_short(means[name]) for name in step_names)] for label, (count, means) in by_span.items()],
        }
        if by_span
        else None,
        ungraded=[(reason, f"{count:,}", f"{100 * count / columns.rows:.2f} %") for reason, count in columns.ungraded.most_common()],
        note=texts.note,
        examples=[
            ExampleGroup(title, tuple(_example(row, texts) for row in rows), place == 0) for place, (title, rows) in enumerate(groups)
        ],
    )


def _histograms(columns: "ScoredColumns") -> Iterator[Histogram]:
    import numpy as np

    from rewards.offline.columns import LENGTH, REWARD

    for name in (REWARD, *columns.components, LENGTH):
        values = columns.column(name)
        values = values[np.isfinite(values)]
        if not values.size:
            continue
        counts, edges = np.histogram(values, BINS)
        bars = tuple(
            Bar(100 * count / counts.max(), f"{low:.4g} to {high:.4g}: {count:,}")
            for count, low, high in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True)
        )
        shown = "length, characters" if name == LENGTH else name
        yield Histogram(shown, bars, f"{values.min():.4g}", f"{values.mean():.4g}", f"{values.max():.4g}")


def _chosen(columns: "ScoredColumns") -> list[tuple[str, list[ScoredRow]]]:
    from rewards.offline.columns import ordered

    groups = [
        ("Highest rewards", ordered(columns.highest)),
        ("Lowest rewards", ordered(columns.lowest)),
        ("Wrong, and paid most", ordered(columns.paid_wrong)),
        ("Longest", ordered(columns.longest)),
        *((f"Ungraded: {reason}", rows) for reason, rows in columns.not_graded.items()),
    ]
    return [(title, rows) for title, rows in groups if rows]


def _example(row: ScoredRow, texts: FoundTexts) -> Example:
    graded = row.reward is not None
    verdict = "ungraded" if not graded else {True: "right", False: "wrong", None: ""}[row.verdict]
    parts = ", ".join(f"{name} {_short(score.reward)}" for name, score in row.components.items())
    messages = tuple(_shown(message) for message in texts.conversations.get(row.row, ()))
    answer = row.answer if graded else f"{row.ungraded}: {row.detail}"
    return Example(_short(row.reward) if graded else "", verdict, row.where, parts, answer or "–", messages)


def _shown(message: Message) -> ShownMessage:
    parts = [ShownPart(image=_data_url(p.image)) if isinstance(p, ImagePart) else ShownPart(text=_cut(p.text)) for p in message.parts]
    return ShownMessage(message.role, tuple(parts))


def _data_url(image: "Image") -> str:
    small = image.copy()
    small.thumbnail((IMAGE_SIDE, IMAGE_SIDE))
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}\n… {len(text) - SHOWN_CHARS:,} characters more"


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
