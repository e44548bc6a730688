"""Show what workers do while they do it, and pass on a wish to stop."""

import contextlib
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from core.workers.pool import Pool

SOON, LATE = 1.0, 60.0  # seconds between two lines where there is no terminal: first, and at most


class Shown(Protocol):
    """A run or a study, as it is now."""

    def draw(self, limit: int | None) -> RenderableType: ...
    def line(self) -> str: ...


class Asked:
    """Counts Ctrl-C (and SIGTERM, SIGHUP) instead of being torn down by it."""

    def __init__(self) -> None:
        self.times = 0

    def __enter__(self) -> "Asked":
        self._before = {number: signal.signal(number, self._ask) for number in _STOPS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        self.times += 1


_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class _Lines:
    """Prints a line now and then, ever more seldom."""

    console: Console
    view: Shown
    pause: float = SOON
    printed: float = 0.0

    def say(self) -> None:
        """Print a line if the last one is long enough ago."""
        if time.monotonic() - self.printed < self.pause:
            return
        if line := self.view.line():
            self.console.print(line, highlight=False, markup=False, soft_wrap=True)
        self.printed, self.pause = time.monotonic(), min(self.pause * 1.5, LATE)


def follow(console: Console, view: Shown, pool: Pool, asked: Asked) -> None:
    """Show a run or a study while the workers work; pass on a wish to stop."""
    heeded = 0

    def heed() -> None:
        nonlocal heeded
        if asked.times > heeded:
            heeded = asked.times
            if heeded == 1:
                pool.signal(signal.SIGTERM)
                console.print(
                    "Stopping: the workers finish their turns (Ctrl-C again to end them at once)."
                )
            else:
                pool.signal(signal.SIGKILL)

    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=False) as live:

            def draw() -> None:
                heed()
                live.update(view.draw(None), refresh=True)

            pool.wait(draw, 0.5)
            draw()
        return
    lines = _Lines(console, view, printed=time.monotonic())

    def say() -> None:
        heed()
        lines.say()

    pool.wait(say, 0.25)


def watch(console: Console, view: Shown, is_done: Callable[[], bool]) -> None:
    """Show a run or a study until it is done, or until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        if not console.is_terminal:
            lines = _Lines(console, view)
            while not is_done():
                lines.say()
                time.sleep(1.0)
            console.print(view.draw(10**6))
            return
        with Live(console=console, auto_refresh=False) as live:
            while True:
                live.update(view.draw(None), refresh=True)
                if is_done():
                    return
                time.sleep(1.0)
