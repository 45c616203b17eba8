"""A line chart as inline SVG whose colours are the page's, so that it follows light and dark."""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NUM_COLOURS = 8
"""Colours of series that `report_page/page.css` names, `--series-0` and so on."""

SMOOTHED_FROM = 40
"""With this many points or more, a rolling mean is drawn over the pale points."""

_WIDTH_IN, _HEIGHT_IN = 5.6, 2.5
_INK, _GRID = "#c0ffe0", "#c0ffe1"
_PALETTE = {_INK: "var(--ink-muted)", _GRID: "var(--grid)"} | {f"#c0ff0{i}": f"var(--series-{i})" for i in range(NUM_COLOURS)}


@dataclass(frozen=True, slots=True)
class Series:
    """Points in the order of x. `band` holds a lower and an upper limit for each point. `colour` is 0 to 7; a control is dashed."""

    label: str
    xs: tuple[float, ...]
    ys: tuple[float, ...]
    colour: int
    dashed: bool = False
    band: tuple[tuple[float, float], ...] = ()

    @property
    def num_not_finite(self) -> int:
        return sum(not math.isfinite(y) for y in self.ys)


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """What is drawn. `stacked` series share their xs and lie on one another; `share` is a quantity from 0 to 1, shown in percent."""

    title: str
    series: tuple[Series, ...]
    x_label: str = "step"
    note: str = ""
    stacked: bool = False
    share: bool = False
    markers: bool = False


@dataclass(frozen=True, slots=True)
class PlotArea:
    """Where the data lie in the SVG's own units, and which x its left and right edges are."""

    left: float
    right: float
    top: float
    bottom: float
    x_min: float
    x_max: float


@dataclass(frozen=True, slots=True)
class Chart:
    spec: ChartSpec
    svg: str
    area: PlotArea


def draw(spec: ChartSpec) -> Chart:
    """Draws with matplotlib; no text of the data reaches it, so the SVG holds nothing but our own marks and numbers."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": spec.title, "font.size": 9}):
        figure = Figure(figsize=(_WIDTH_IN, _HEIGHT_IN))
        axes = figure.add_axes((0.085, 0.16, 0.9, 0.8))
        _style(axes, spec)
        if spec.stacked:
            _draw_stack(axes, spec.series)
        else:
            for series in spec.series:
                _draw_line(axes, series, spec.markers)
        _set_limits(axes, spec)
        area = _plot_area(figure, axes)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Chart(spec, _inline(buffer.getvalue()), area)


def _style(axes: "Axes", spec: ChartSpec) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_GRID)
    axes.tick_params(colors=_INK, length=0, labelsize=9)
    axes.grid(axis="y", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    if spec.share:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))


def _draw_line(axes: "Axes", series: Series, markers: bool) -> None:
    colour, dash = f"#c0ff0{series.colour}", (0, (4, 2)) if series.dashed else "solid"
    ys = [y if math.isfinite(y) else math.nan for y in series.ys]
    smooth = len(ys) >= SMOOTHED_FROM and not markers
    if smooth:
        axes.plot(series.xs, ys, color=colour, linewidth=0.8, alpha=0.35)
    marker = ("o" if not series.dashed else "s") if markers or len(ys) == 1 else ""
    axes.plot(series.xs, rolling_mean(ys) if smooth else ys, color=colour, linewidth=1.8, linestyle=dash, marker=marker, markersize=4)
    if series.band:
        lows, highs = zip(*series.band, strict=True)
        axes.fill_between(series.xs, lows, highs, color=colour, alpha=0.14, linewidth=0)


def _draw_stack(axes: "Axes", stack: Sequence[Series]) -> None:
    lower = [0.0] * len(stack[0].xs)
    for series in stack:
        upper = [low + (y if math.isfinite(y) else 0.0) for low, y in zip(lower, series.ys, strict=True)]
        axes.fill_between(series.xs, lower, upper, color=f"#c0ff0{series.colour}", alpha=0.75, linewidth=0.6)
        lower = upper


def _set_limits(axes: "Axes", spec: ChartSpec) -> None:
    """Room around a single step; shares and stacks start at 0; a share of 1 is never cut."""
    axes.margins(x=0.02)
    xs = [x for series in spec.series for x in series.xs]
    if xs and min(xs) == max(xs):
        axes.set_xlim(min(xs) - 1, max(xs) + 1)
    if spec.stacked:
        axes.set_ylim(bottom=0)
    if all(y == 0 for series in spec.series for y in series.ys):
        axes.set_ylim(0, 1)
    if spec.share:
        axes.set_ylim(0, min(1.02, axes.get_ylim()[1] * 1.05) or 1.02)


def _plot_area(figure: "Figure", axes: "Axes") -> PlotArea:
    box = axes.get_position()
    width, height = (inches * 72 for inches in figure.get_size_inches())
    left, right = axes.get_xlim()
    return PlotArea(
        float(box.x0 * width), float(box.x1 * width), float((1 - box.y1) * height), float((1 - box.y0) * height), float(left), float(right)
    )


def _inline(svg: str) -> str:
    """The `<svg>` element alone, sized by the page, in the page's colours."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", element, count=1), count=1)
    return re.sub(r"#c0ff(?:0\d|e\d)", lambda found: _PALETTE[found[0]], element)


def rolling_mean(values: Sequence[float]) -> list[float]:
    """The mean of the last twenty-fifth of the values up to each, at least 5; what is not finite counts for nothing."""
    window = max(5, len(values) // 25)
    known = [math.isfinite(value) for value in values]
    sums = list(accumulate((v if k else 0.0 for v, k in zip(values, known, strict=True)), initial=0.0))
    counts = list(accumulate(known, initial=0))
    means = []
    for end in range(1, len(values) + 1):
        start = max(0, end - window)
        number = counts[end] - counts[start]
        means.append((sums[end] - sums[start]) / number if number else math.nan)
    return means
