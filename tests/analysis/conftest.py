"""Runs that many tests read; Chromium without a window, without which its tests are left out."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.study.study import open_study, work_study
from core.workers.worker import work
from tests.analysis.runs import run_of

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow phone": (360, 740)}
Open = Callable[..., Any]


@pytest.fixture(scope="session")
def arms(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], list[Path]]:
    """Four seeds of a small task, PBT and random search; only to be read."""
    root = tmp_path_factory.mktemp("arms")
    ours = [run_of(root / f"walk-{s}", "tests.trainers:walk", seed=s) for s in range(4)]
    preset = "tests.trainers:walk_random_search"
    return ours, [run_of(root / f"random-{s}", preset, seed=s) for s in range(4)]


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which every run is done; only to be read."""
    root = tmp_path_factory.mktemp("study") / "study"
    opened = open_study(root, "tests.trainers:small_study", [1, 2, 3])
    assert work_study(opened, lambda run: work(run, durable=False))
    return root


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium without a window."""
    if CHROMIUM is None:
        pytest.skip(f"there is no {NAMES[0]}, nor is CHROMIUM set")
    reason = "playwright is not installed"
    sync_api = pytest.importorskip("playwright.sync_api", reason=reason)
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


def scroll(shown: Any) -> None:
    """Let the lineage be in sight."""
    shown.evaluate("document.querySelector('#lineage-plot').scrollIntoView({block: 'center'})")


def hover(shown: Any, row: int) -> None:
    """Move the mouse to a record."""
    place = shown.evaluate("row => report.placeOf(row)", row)
    shown.mouse.move(place["x"], place["y"])
