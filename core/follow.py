"""Show what workers do while they do it, and pass on a wish to stop."""

import contextlib
import signal
import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live

from core.pool import Pool


class Shown(Protocol):
    """A run or a study, as it is now."""

    def draw(self, limit: int) -> RenderableType: ...
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
                live.update(view.draw(max(console.height - 10, 3)), refresh=True)

            pool.wait(draw, 0.5)
            draw()
        return
    printed = time.monotonic()
    pause = 1.0

    def say() -> None:
        nonlocal printed, pause
        heed()
        if time.monotonic() - printed < pause:
            return
        if line := view.line():
            console.print(line, highlight=False, soft_wrap=True)
        printed, pause = time.monotonic(), min(pause * 1.5, 60)

    pool.wait(say, 0.25)


def watch(console: Console, view: Shown, is_done: Callable[[], bool]) -> None:
    """Show a run or a study until it is done, or until Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt), Live(console=console, auto_refresh=False) as live:
        while True:
            live.update(view.draw(max(console.height - 10, 3)), refresh=True)
            if is_done():
                return
            time.sleep(1.0)
