"""The page in a real browser. Needs Chromium (`apt-get install chromium`)."""

from collections.abc import Iterator

import pytest
from chromium_page import ChromiumPage, chromium, chromium_page
from made_run import HOSTILE, write_made_run

from rl.records.run_folder import RunFolder
from rl.report.page import write_report

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium found: `apt-get install chromium` to check the page in a browser")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = write_made_run(tmp_path_factory.mktemp("runs") / "made", steps=40)
    write_report(folder)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChromiumPage]:
    with chromium_page(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(browser: ChromiumPage, made: RunFolder) -> ChromiumPage:
    browser.complaints.clear()
    browser.open(made.report_path)
    return browser


def choose(page: ChromiumPage, **wanted: str) -> None:
    for name, value in wanted.items():
        page.value(
            f"(() => {{ const field = document.getElementById('filters').elements['{name}']; field.value = {value!r};"
            "field.dispatchEvent(new Event('input', {bubbles: true})); })()"
        )


def listed(page: ChromiumPage) -> int:
    count = page.value("document.querySelectorAll('#list button').length")
    assert isinstance(count, int)
    return count


def detail(page: ChromiumPage) -> str:
    return str(page.value("document.getElementById('detail').textContent"))


def test_the_page_loads_without_a_complaint_and_lists_every_rollout(page: ChromiumPage, made: RunFolder):
    assert listed(page) == sum(len(made.rollouts(step)) for step in made.rollout_steps())
    assert page.value("document.querySelectorAll('figure svg').length") == page.value("data.charts.length")
    assert page.complaints == []


def test_filters_show_exactly_what_they_say(page: ChromiumPage, made: RunFolder):
    records = made.rollouts(20)
    choose(page, task="algebra", step="20", verdict="right")
    assert listed(page) == sum(record.task == "algebra" and record.verdict is True for record in records)
    assert "✓ right" in detail(page)
    choose(page, verdict="", task="", status="truncated")
    assert listed(page) == sum(record.status == "truncated" for record in records)
    choose(page, status="", text="no rollout says this")
    assert listed(page) == 0
    assert detail(page) == "Nothing matches."


def test_a_rollout_shows_prompt_image_thinking_answer_masks_and_reward(page: ChromiumPage, made: RunFolder):
    choose(page, task="grounding", step="40", verdict="right")
    record = next(r for r in made.rollouts(40) if r.task == "grounding" and r.verdict)
    shown = detail(page)
    for text in ("Locate the rectangle.", record.thinking, record.answer_text, f"reward {record.reward:g}", "complete"):
        assert text in shown
    assert page.value("document.querySelector('#detail img').naturalWidth") == 96
    runs = [[kind, f"{count} {kind}"] for kind, count in record.mask]
    assert page.value("[...document.querySelectorAll('#detail .strip span')].map((run) => [run.className, run.title])") == runs
    assert page.value("[...document.querySelectorAll('#detail .tokens pre span')].map((run) => run.className)") == ["given", "sampled"]


def test_hostile_text_is_shown_as_it_was_written_and_never_run(page: ChromiumPage):
    choose(page, text="window.hacked")
    assert listed(page) == 1
    assert HOSTILE.split("</think>\n")[1] in detail(page)
    page.value("document.querySelector('#list button').click()")
    assert page.value("window.hacked === undefined")
    assert page.value("document.querySelectorAll('#detail script, #detail svg, #detail img, #detail b, #detail u, #list i').length") == 0
    assert page.complaints == []


def test_injected_markup_could_not_run_a_script_either(page: ChromiumPage):
    page.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.injected = 1\">')")
    page.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.injected = 2'}))")
    assert page.value("new Promise((done) => setTimeout(() => done(window.injected === undefined), 200))")
    assert any("Content Security Policy" in complaint for complaint in page.complaints)


def test_arrow_keys_walk_through_the_list(page: ChromiumPage):
    page.value("document.getElementById('list').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowDown', bubbles: true}))")
    assert page.value("document.querySelector('#list [aria-selected=true]') === document.querySelectorAll('#list button')[1]")


def test_the_pointer_over_a_curve_shows_its_values(page: ChromiumPage, made: RunFolder):
    page.value("scrollTo(0, 0); document.querySelector('figure').scrollIntoView()")
    box = page.value("(({x, y, width, height}) => [x, y, width, height])(document.querySelector('figure .plot').getBoundingClientRect())")
    assert isinstance(box, list)
    page.call("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": box[0] + box[2] - 12, "y": box[1] + box[3] / 2})
    after = made.evaluations()[-1].accuracy("algebra")
    assert after is not None
    assert f"{100 * after:.1f} %" in str(page.value("document.querySelector('figure .tip').textContent"))
