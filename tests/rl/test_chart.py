import math
import re
from xml.etree import ElementTree

import pytest

from rl.report.chart import NUM_COLOURS, ChartSpec, Series, draw, rolling_mean


def line(ys: tuple[float, ...], colour: int = 0) -> Series:
    return Series("<b>$x_1$</b>", tuple(map(float, range(len(ys)))), ys, colour)


def test_a_chart_is_well_formed_and_takes_its_colours_from_the_page():
    svg = draw(ChartSpec("a", tuple(line((0.1, 0.4, 0.2), colour) for colour in range(NUM_COLOURS)))).svg
    ElementTree.fromstring(svg)
    assert {f"var(--series-{i})" for i in range(NUM_COLOURS)} <= set(re.findall(r"var\(--[a-z-]+\d?\)", svg))
    assert not re.search(r"#(?!000000|ffffff)[0-9a-f]{6}", svg.replace("xlink:href", "")), "a colour that does not follow the page"


def test_no_text_of_the_data_reaches_the_svg():
    assert "x_1" not in draw(ChartSpec("<i>title</i>", (line((0.0, 1.0)),))).svg


def test_the_same_values_give_the_same_bytes():
    spec = ChartSpec("a", (line((0.1, 0.4)),))
    assert draw(spec) == draw(spec)


@pytest.mark.parametrize("ys", [(1.0,), (0.0, 0.0), (math.nan, math.nan), (1.0, math.inf, 2.0), (), tuple(math.sin(i) for i in range(500))])
def test_any_values_can_be_drawn(ys: tuple[float, ...]):
    area = draw(ChartSpec("a", (line(ys),))).area
    assert area.x_min < area.x_max
    assert math.isfinite(area.x_min)


def test_a_stack_ends_at_the_sum_of_its_parts():
    parts = (line((1.0, 2.0), 0), line((3.0, 1.0), 1))
    assert "NaN" not in draw(ChartSpec("seconds", parts, stacked=True)).svg


def test_values_that_are_not_finite_are_counted():
    assert line((1.0, math.nan, math.inf)).num_not_finite == 2


def test_the_rolling_mean_is_of_the_values_up_to_each():
    assert rolling_mean([1.0, 3.0, math.nan, 5.0, 7.0, 9.0]) == pytest.approx([1.0, 2.0, 2.0, 3.0, 4.0, 6.0])
