"""A report in a browser: it opens from a file, shows what the records hold, and can be handled."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.figures.catalogue import figures
from analysis.report.evidence import read_evidence
from analysis.report.page import write_report
from core.directory.members import Members
from core.directory.run import open_run
from core.member import Member
from core.workers.worker import work
from tests.analysis.conftest import SIZES, Open, hover, scroll
from tests.analysis.synthetic import warn, write_run

pytestmark = pytest.mark.browser
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """PBT and random search on a small task, a run with failures, and one that was stopped."""
    root = tmp_path_factory.mktemp("runs")
    for name in ("walk", "walk_random_search", "raises"):
        assert work(open_run(root / name, f"tests.trainers:{name}", {}), durable=False)
    work(open_run(root / "stopped", "tests.trainers:walk", {"seed": 5}), durable=False, turns=20)
    return [root / name for name in ("walk", "walk_random_search", "raises", "stopped")]


@pytest.fixture(scope="module")
def report(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of these runs, with its first figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.report.page.figures", lambda runs, lower: islice(figures(runs), 3))
        return write_report(runs, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def members(runs: list[Path]) -> dict[tuple[int, int], Member]:
    """The records of the first run, by member and number."""
    population = Members(runs[0])
    return {(id, r.member.n): r.member for id in range(5) for r in population.history(id)}


def _rows(members: dict[tuple[int, int], Member]) -> dict[tuple[int, int], int]:
    """Return the row of each record: by member, then by number."""
    return {name: row for row, name in enumerate(sorted(members))}


def _ancestry(members: dict[tuple[int, int], Member], name: tuple[int, int]) -> list[int]:
    """Return the rows of what a record descends from, itself included."""
    rows, found = _rows(members), []
    while name in members:
        found.append(rows[name])
        me = members[name]
        name = me.parent or (me.id, me.n - 1)
    return sorted(found)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_opens_without_an_error_and_as_wide_as_the_window(
    size: str, scheme: str, report: Path, opened: Open
) -> None:
    """Each section has content."""
    shown = opened(report, size, color_scheme=scheme, offline=True)

    assert shown.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    shown.evaluate("report.select(report.run.last[0])")
    assert shown.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert shown.locator("section").count() == 6
    for section in shown.locator("section").all():
        assert len(section.inner_text()) > 40
    assert shown.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 100)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_printed(scheme: str, report: Path, opened: Open) -> None:
    """On A4 nothing is cut off, no controls are shown, and the paper is white."""
    shown = opened(report, color_scheme=scheme)
    shown.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
    shown.emulate_media(media="print")
    shown.set_viewport_size({"width": 718, "height": 1000})  # 210 mm less two margins of 10

    assert shown.evaluate("document.documentElement.scrollWidth") == 718
    assert not shown.locator("nav").is_visible()
    assert not shown.locator(".controls").is_visible()
    paper = "getComputedStyle(document.body).backgroundColor"
    assert shown.evaluate(paper) == "rgb(255, 255, 255)"


def test_what_is_hovered_is_what_the_record_holds(
    report: Path, members: dict[tuple[int, int], Member], opened: Open
) -> None:
    """Every member at every third step has its id, step, score, hypers and donor."""
    shown = opened(report)
    scroll(shown)
    rows, seen = _rows(members), 0
    leaving = {(me.id, me.step): me for _, me in sorted(members.items())}  # the last at a step
    for me in leaving.values():
        if me.step % 2:
            continue
        row = rows[me.id, me.n]

        hover(shown, row)

        assert shown.evaluate("report.hovered") == row
        tip = shown.locator(".tip").inner_text()
        assert f"Member {me.id}, step {me.step}" in tip
        assert f"{me.hypers['rate']:.4g}" in tip
        assert (f"{me.score:.5g}" if me.step else "not evaluated yet") in tip
        if me.parent and me.dropped:
            donor = members[me.parent]
            assert f"member {donor.id} at step {donor.step}" in tip
            changed = me.dropped.hypers != me.hypers
            assert (f"dropped {me.dropped.hypers['rate']:.4g}" in tip) == changed
            assert f"{me.dropped.score:.5g}" in tip
            seen += 1
        held = shown.evaluate("row => report.describe(row)", row)
        assert held["hypers"] == dict(me.hypers)
    assert seen > 5


def test_a_click_shows_exactly_the_ancestry(
    report: Path, members: dict[tuple[int, int], Member], opened: Open
) -> None:
    """It does for every member's last record, with descendants on request."""
    shown = opened(report)
    scroll(shown)
    rows = _rows(members)
    for id in range(5):
        last = max(name for name in members if name[0] == id)

        hover(shown, rows[last])
        shown.mouse.down()
        shown.mouse.up()

        assert shown.evaluate("report.selected") == rows[last]
        assert shown.evaluate("report.highlighted") == _ancestry(members, last)
        assert f"Member {id}, step 12" in shown.locator(".panel").inner_text()
        assert shown.locator(".panel svg").count() == 2  # the score and the rate
    start = (members[last].parent or last)[0], 0
    shown.get_by_label("descendants of the choice").check()
    shown.evaluate("row => report.select(row)", rows[start])
    below = [rows[name] for name in members if rows[start] in _ancestry(members, name)]
    assert shown.evaluate("report.highlighted") == sorted(below)


def test_the_keyboard_does_what_the_mouse_does(report: Path, opened: Open) -> None:
    """It moves along and across members and to both ends, zooms, and leaves."""
    shown = opened(report)
    shown.focus("#lineage-plot")

    def chosen() -> tuple[int, int] | None:
        row = shown.evaluate("report.selected")
        if row < 0:
            return None
        me = shown.evaluate("row => report.describe(row)", row)
        return me["member"], me["step"]

    best, second = shown.evaluate("[...report.order]")[:2]
    for key, expected in (
        ("ArrowRight", (best, 12)),  # the first key chooses the best
        ("ArrowDown", (second, 12)),
        ("ArrowUp", (best, 12)),
        ("Home", (best, 0)),
        ("ArrowRight", (best, 1)),
        ("ArrowLeft", (best, 0)),
        ("End", (best, 12)),
        ("Escape", None),
    ):
        shown.keyboard.press(key)
        assert chosen() == expected, key
    shown.keyboard.press("+")
    assert shown.evaluate("report.view.x1 - report.view.x0") < 13
    shown.keyboard.press("0")
    assert shown.evaluate("report.view.x1 - report.view.x0") == 13
    shown.keyboard.press("End")
    assert f"Member {best}, step 12" in shown.locator("[role=status]").inner_text()


def test_the_wheel_zooms_only_where_it_was_asked_to(report: Path, opened: Open) -> None:
    """Otherwise it scrolls the page; a drag moves what was zoomed."""
    shown = opened(report)
    scroll(shown)
    before = shown.evaluate("report.view")
    hover(shown, 5)
    shown.mouse.wheel(0, -200)
    shown.wait_for_timeout(100)
    assert shown.evaluate("report.view") == before
    scroll(shown)
    shown.focus("#lineage-plot")
    hover(shown, 8)
    shown.mouse.wheel(0, -200)
    shown.wait_for_function("report.view.x1 - report.view.x0 < 12")
    zoomed = shown.evaluate("report.view")

    shown.mouse.down()
    place = shown.evaluate("report.placeOf(8)")
    shown.mouse.move(place["x"] - 60, place["y"], steps=4)
    shown.mouse.up()

    assert shown.evaluate("report.view")["x0"] > zoomed["x0"]
    assert shown.evaluate("report.selected") == -1  # it was no click


def test_fingers_choose_and_pinch(report: Path, opened: Open) -> None:
    """A tap is a click; two fingers zoom, and the page stays as it is."""
    shown = opened(report, "phone")
    scroll(shown)
    row = shown.evaluate("report.row(3, 6)")
    place = shown.evaluate("row => report.placeOf(row)", row)

    shown.touchscreen.tap(place["x"], place["y"])

    assert shown.evaluate("report.selected") == row
    touch = shown.context.new_cdp_session(shown)

    def fingers(kind: str, *xs: float) -> None:
        points = [{"x": x, "y": place["y"], "id": i} for i, x in enumerate(xs)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    fingers("touchStart", 180, 220)
    for reach in range(20, 100, 10):
        fingers("touchMove", 200 - reach, 200 + reach)
    fingers("touchEnd")
    assert shown.evaluate("report.view.x1 - report.view.x0") < 9
    assert shown.evaluate("visualViewport.scale") == 1


def test_a_table_is_sorted_by_a_click_and_leads_to_the_lineage(report: Path, opened: Open) -> None:
    """A click in another run's table shows that run."""
    shown = opened(report)
    table = shown.locator("#members table").first

    def column(index: int) -> list[float]:
        cells = table.locator(f"tbody tr > :nth-child({index + 1})").all_inner_texts()
        return [float(text) for text in cells]

    assert column(2) == sorted(column(2), reverse=True)
    table.get_by_role("button", name="rate", exact=True).click()
    assert column(3) == sorted(column(3))
    table.get_by_role("button", name="rate", exact=True).click()
    assert column(3) == sorted(column(3), reverse=True)
    assert table.locator("th[aria-sort=descending]").inner_text() == "rate"
    other = shown.locator("#members details").nth(1)
    other.locator("summary").click()
    other.locator("button[data-row]").first.click()
    assert shown.evaluate("report.run.name") == "walk_random_search"
    assert shown.evaluate("report.selected") == shown.evaluate("report.run.last[report.order[0]]")


def test_members_are_ordered_by_number_rank_or_founder(report: Path, opened: Open) -> None:
    """The selected record stays selected."""
    shown = opened(report)
    shown.evaluate("report.select(20)")
    for name in ("id", "founder", "rank"):
        shown.get_by_label("members by").select_option(name)
        order = shown.evaluate("[...report.order]")
        assert sorted(order) == list(range(5))
        assert name != "id" or order == list(range(5))
        assert shown.evaluate("report.selected") == 20


def test_a_hostile_run_does_nothing(tmp_path: Path, opened: Open) -> None:
    """An injected script could do nothing either."""

    def draw(rng: np.random.Generator) -> dict[str, float | str]:
        return {EVIL: f"{EVIL}{rng.integers(2)}", "rate": float(rng.uniform())}

    task = {"space": {"priors": {EVIL: {"is": EVIL, "domain": [EVIL, 1]}}}, "score": EVIL}
    root = write_run(tmp_path / "run", draw=draw, preset=f"m:{EVIL}", settings={"task": task})
    warn(root, EVIL)
    shown = opened(write_report([root], tmp_path / "a.html"))

    shown.evaluate("report.select(report.run.last[0])")
    scroll(shown)
    hover(shown, 10)

    assert EVIL in shown.locator(".tip").inner_text()
    assert EVIL in shown.locator(".panel").inner_text()
    assert shown.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_scripts_that_are_not_ours_are_refused(report: Path, browser: Any) -> None:
    """The page's own policy refuses them, and every fetch."""
    shown = browser.new_page()
    shown.goto(report.as_uri())

    shown.evaluate("""() => {
        const script = document.createElement("script");
        script.textContent = "window.hurt = true";
        document.body.append(script);
    }""")

    assert shown.evaluate("window.hurt") is None
    fetched = "fetch('http://127.0.0.1:9/').then(() => 'went out', e => e.message)"
    assert "Failed" in shown.evaluate(fetched)
    shown.close()


def test_a_copy_of_a_lost_record_is_where_the_ancestry_ends(tmp_path: Path, opened: Open) -> None:
    """The origin of these weights is unknown."""
    root = write_run(tmp_path / "run")
    records = {id: Members(root).history(id) for id in range(6)}
    copies = [r.member for history in records.values() for r in history if r.member.parent]
    lost = copies[0].parent
    assert lost is not None
    path = root / "members" / f"{lost[0]:03d}" / "history" / "00000000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: lost[1]] + lines[lost[1] + 1 :]))
    shown = opened(write_report([root], tmp_path / "a.html"))
    row = shown.evaluate("([id, step]) => report.row(id, step)", [copies[0].id, copies[0].step])

    shown.evaluate("row => report.select(row)", row)

    assert shown.evaluate("report.highlighted") == [row]
    assert "a member whose record is lost" in shown.locator(".panel").inner_text()


def test_a_page_of_nothing_but_a_start_can_be_opened(tmp_path: Path, opened: Open) -> None:
    """It has one step, no scores and no copies."""
    shown = opened(
        write_report(
            [write_run(tmp_path / "run", until=dict.fromkeys(range(8), 0))], tmp_path / "a.html"
        )
    )

    shown.evaluate("report.zoom(4); report.select(report.run.last[1])")

    assert "not evaluated yet" in shown.locator(".panel").inner_text()
    assert read_evidence(tmp_path / "run").turns == 0


def test_a_wide_table_shows_that_it_scrolls(opened: Open, tmp_path: Path) -> None:
    """A phone shows a sentence and a shadow until its end is seen; a wide screen neither."""

    def draw(rng: np.random.Generator) -> dict[str, float | str]:
        return {f"a hyperparameter {i}": float(rng.uniform()) for i in range(9)}

    page = write_report(
        [write_run(tmp_path / "run", steps=12, preset="m:odd", draw=draw)], tmp_path / "a.html"
    )

    phone, desktop = opened(page, "phone"), opened(page)

    table, hint = phone.locator("#members .scroll").first, phone.locator("#members .hint").first
    hint.wait_for()
    assert "more-right" in table.get_attribute("class")
    assert phone.evaluate("document.documentElement.scrollWidth") == 390
    table.evaluate("it => it.scrollTo(it.scrollWidth, 0)")
    phone.wait_for_function("document.querySelector('#members .hint').classList.contains('seen')")
    assert table.get_attribute("class").split() == ["scroll", "more-left"]
    assert desktop.locator("#runs .hint:visible").count() == 0
