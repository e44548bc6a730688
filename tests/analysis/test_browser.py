"""A report in a browser: it opens from a file, shows what the records hold, and can be handled."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.columns import Columns
from analysis.evidence import Evidence, read_evidence
from analysis.report import page, write_report
from analysis.runs import RunData
from core.member import Member
from core.population import Population
from core.run import open_run
from core.worker import work
from tests.analysis.written import warn, write_run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason=f"there is no {NAMES[0]}, nor is CHROMIUM set"),
]
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow phone": (360, 740)}
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    with sync_api.sync_playwright() as playwright:
        # (in a container its own sandbox has no rights)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Open]:
    """Open a page from a file; at the end, nothing was fetched, and nothing went wrong."""
    contexts, wrong = [], []

    def open_page(path: Path, size: str = "desktop", **options: object) -> Any:
        width, height = SIZES[size]
        viewport = {"width": width, "height": height}
        touch = size != "desktop"
        context = browser.new_context(viewport=viewport, has_touch=touch, **options)
        contexts.append(context)
        shown = context.new_page()
        shown.on("console", lambda message: wrong.append(message.text))
        shown.on("pageerror", lambda error: wrong.append(str(error)))
        shown.on("dialog", refused)
        shown.on("request", lambda request: fetched(request.url))
        shown.goto(path.as_uri())
        shown.wait_for_function("window.report && report.run")
        return shown

    def refused(dialog: Any) -> None:
        wrong.append(dialog.message)
        dialog.dismiss()

    def fetched(url: str) -> None:
        if not url.startswith("data:") and not (url.startswith("file:") and ".html" in url):
            wrong.append(f"fetched {url}")

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


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
    """The page of these runs."""
    return write_report(runs, tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def members(runs: list[Path]) -> dict[tuple[int, int], Member]:
    """The records of the first run, by member and number."""
    population = Population(runs[0])
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


def _scroll(shown: Any) -> None:
    shown.evaluate("document.querySelector('#lineage-plot').scrollIntoView({block: 'center'})")


def _hover(shown: Any, row: int) -> None:
    place = shown.evaluate("row => report.placeOf(row)", row)
    shown.mouse.move(place["x"], place["y"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_it_opens_without_an_error_and_as_wide_as_the_window(
    size: str, scheme: str, report: Path, opened: Open
) -> None:
    """Each section has something in it."""
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
    """On A4 nothing is cut off, nothing that needs a hand is there, and the paper is white."""
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
    """Every member at every third step: who, when, score, hypers, whom it copied."""
    shown = opened(report)
    _scroll(shown)
    rows, seen = _rows(members), 0
    leaving = {(me.id, me.step): me for _, me in sorted(members.items())}  # the last at a step
    for me in leaving.values():
        if me.step % 2:
            continue
        row = rows[me.id, me.n]

        _hover(shown, row)

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
    """Of every member's last record; with the descendants if these are asked for."""
    shown = opened(report)
    _scroll(shown)
    rows = _rows(members)
    for id in range(5):
        last = max(name for name in members if name[0] == id)

        _hover(shown, rows[last])
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
    """Along a member, across members, to both ends, zoom, and away again."""
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
    """Else it scrolls the page; a drag moves what was zoomed."""
    shown = opened(report)
    _scroll(shown)
    before = shown.evaluate("report.view")
    _hover(shown, 5)
    shown.mouse.wheel(0, -200)
    shown.wait_for_timeout(100)
    assert shown.evaluate("report.view") == before
    _scroll(shown)
    shown.focus("#lineage-plot")
    _hover(shown, 8)
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
    _scroll(shown)
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
    """Of the other runs too, which are then shown."""
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
    """The choice stays the same one."""
    shown = opened(report)
    shown.evaluate("report.select(20)")
    for name in ("id", "founder", "rank"):
        shown.get_by_label("members by").select_option(name)
        order = shown.evaluate("[...report.order]")
        assert sorted(order) == list(range(5))
        assert name != "id" or order == list(range(5))
        assert shown.evaluate("report.selected") == 20


def test_a_hostile_run_does_nothing(tmp_path: Path, opened: Open) -> None:
    """Nor could a script that got in."""

    def draw(rng: np.random.Generator) -> dict[str, float | str]:
        return {EVIL: f"{EVIL}{rng.integers(2)}", "rate": float(rng.uniform())}

    task = {"space": {"priors": {EVIL: {"is": EVIL, "domain": [EVIL, 1]}}}, "score": EVIL}
    root = write_run(tmp_path / "run", draw=draw, preset=f"m:{EVIL}", settings={"task": task})
    warn(root, EVIL)
    shown = opened(write_report([root], tmp_path / "a.html"))

    shown.evaluate("report.select(report.run.last[0])")
    _scroll(shown)
    _hover(shown, 10)

    assert EVIL in shown.locator(".tip").inner_text()
    assert EVIL in shown.locator(".panel").inner_text()
    assert shown.evaluate("document.querySelectorAll('img[src=x]').length") == 0


def test_scripts_that_are_not_ours_are_refused(report: Path, browser: Any) -> None:
    """By the page's own policy, were one ever to get in; and so is every fetch."""
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


def _large(members: int, steps: int) -> Evidence:
    """Return a run of as many records as a large one has, as columns alone."""
    rng = np.random.default_rng(0)
    rows = members * (steps + 1)
    step = np.tile(np.arange(steps + 1), members)
    member = np.repeat(np.arange(members), steps + 1)
    score = np.where(step > 0, step * 0.1 + rng.normal(size=rows), np.nan)
    ready = (step > 0) & (step % 4 == 0) & (rng.random(rows) < 0.2)
    donor = rng.integers(members, size=rows) * (steps + 1) + step - 1
    parent = np.where(ready, donor, -1)
    rate = np.exp(np.cumsum(np.where(ready, rng.normal(scale=0.2, size=rows), 0.0)) / 50)
    zeros = np.zeros(rows)
    columns = Columns(
        first=np.arange(members + 1) * (steps + 1),
        member=member,
        n=step,
        step=step,
        score=score,
        cause=np.where(ready, 2, np.where(step > 0, 1, 0)),
        parent=parent,
        dropped=np.full(rows, np.nan),
        decided=ready,
        waiting=np.zeros(rows, dtype=np.bool_),
        failed=np.zeros(rows, dtype=np.bool_),
        time=(1.7e9 + step).astype(np.float64),
        spent=zeros,
        bytes=np.zeros(rows, dtype=np.int64),
        hypers={"rate": rate, "other": rate[::-1].copy()},
        report={},
        seconds={"step": zeros + 0.01},
    )
    settings = {
        "task": {"space": {"priors": {"rate": {}}}, "score": "score"},
        "members": members,
        "steps": steps,
        "ready": "core.strategies:every",
        "seed": 0,
    }
    data = RunData(Path("run"), "m:large", settings, "0", [])
    return Evidence(Path("run"), {"settings": settings}, columns, data, [], [], [])


@pytest.mark.parametrize("size", ["desktop", "phone"])
def test_a_thousand_members_of_two_hundred_steps_can_be_used(
    size: str, tmp_path: Path, opened: Open
) -> None:
    """Each of what a person does takes less than two seconds, most of it far less."""
    run = _large(1000, 200)
    path = tmp_path / "large.html"
    path.write_text(page([run]), encoding="utf-8")
    took: dict[str, float] = {}

    def timed(name: str, act: Callable[[], object]) -> None:
        began = time.perf_counter()
        act()
        # until what was asked for is on the screen
        frames = "new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))"
        shown.evaluate(frames)
        took[name] = max(took.get(name, 0.0), time.perf_counter() - began)

    began = time.perf_counter()
    shown = opened(path, size)
    took["load"] = time.perf_counter() - began
    _scroll(shown)
    rng = np.random.default_rng(1)
    for row in rng.integers(len(run.columns.step), size=10).tolist():
        timed("hover", partial(_hover, shown, row))
        if size == "desktop":  # a pixel is less than a member: the neighbour may be hit
            at = shown.evaluate("report.describe(report.hovered)")
            assert abs(at["step"] - run.columns.step[row]) <= 1
        timed("click", partial(shown.evaluate, "row => report.select(row)", row))
        assert shown.evaluate("report.highlighted") == sorted(run.columns.ancestry(row).tolist())
    shown.get_by_label("descendants of the choice").check()
    timed("descendants", lambda: shown.evaluate("report.select(report.run.first[7])"))
    shown.evaluate("report.select(-1)")
    for _ in range(8):
        timed("zoom", lambda: shown.evaluate("report.zoom(1.5)"))
        timed("pan", lambda: shown.evaluate("report.pan(40, 30)"))
    for row in range(5, 1000, 99):
        timed("hover, zoomed", partial(_hover, shown, row))
    timed("all", lambda: shown.evaluate("report.whole()"))
    timed("order", lambda: shown.evaluate("report.arrange('founder')"))
    heading = shown.locator("#members").get_by_role("button", name="rate", exact=True)
    timed("sort", lambda: heading.click())

    size_of = path.stat().st_size / 1e6
    print(f"\n{size}, {size_of:.1f} MB:", *(f"{n} {1000 * s:.0f} ms" for n, s in took.items()))
    assert took.pop("load") + took.pop("sort") < 20  # a slow machine that does other things too
    assert max(took.values()) < 2
    assert shown.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]


def test_a_copy_of_a_lost_record_is_where_the_ancestry_ends(tmp_path: Path, opened: Open) -> None:
    """Nobody knows whose weights these were."""
    root = write_run(tmp_path / "run")
    records = {id: Population(root).history(id) for id in range(6)}
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
    """One step, no scores, nobody copied."""
    shown = opened(write_report([write_run(tmp_path / "run", stop=0)], tmp_path / "a.html"))

    shown.evaluate("report.zoom(4); report.select(report.run.last[1])")

    assert "not evaluated yet" in shown.locator(".panel").inner_text()
    assert read_evidence(tmp_path / "run").turns == 0
