"""What a study looks like from outside: how far each arm is, and how long it will take still."""

import itertools
import math
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.study import Open
from core.view import View, duration


@dataclass(slots=True)
class StudyView:
    """A study, looked at again and again."""

    study: Open
    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=600))

    def steps(self, name: str, root: Path) -> int:
        """Return how many steps the members of a run have trained, all together."""
        if self.study.is_done(root):
            return self.study.budget(name)
        view = self.study.view(root)
        return 0 if view is None else sum(row.record.member.step for row in view.rows())

    def is_done(self) -> bool:
        """Whether all runs are done."""
        return all(self.study.is_done(root) for _, _, root in self.study.places())

    def _totals(self) -> tuple[int, int]:
        done = sum(self.steps(name, root) for name, _, root in self.study.places())
        goal = sum(self.study.budget(name) for name, _, _ in self.study.places())
        if not self._marks or self._marks[-1][1] != done:
            self._marks.append((time.monotonic(), done))
        return done, goal

    def line(self) -> str:
        """Return one line: how far, and how long still."""
        done, goal = self._totals()
        places = list(self.study.places())
        ended = sum(self.study.is_done(root) for _, _, root in places)
        parts = [f"{ended} of {len(places)} runs", f"{done}/{goal} steps ({done / goal:.0%})"]
        (then, before), (now, after) = self._marks[0], self._marks[-1]
        if done < goal and after > before and now > then:
            left = (goal - done) * (now - then) / (after - before)
            parts.append(f"ETA {duration(max(left - (time.monotonic() - now), 0))}")
        return ", ".join(parts)

    def draw(self, limit: int) -> RenderableType:
        """Return a table of at most `limit` arms, with a line below."""
        grid = Table(
            title=escape(f"{self.study.preset}  ·  {self.study.root}"), title_justify="left"
        )
        for heading in ("arm", "seeds done", "steps", "best at the end"):
            grid.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=True)
        seeds = len(self.study.study.seeds)
        for name in list(self.study.study.arms)[:limit]:
            roots = [root for arm, _, root in self.study.places() if arm == name]
            steps = sum(self.steps(name, root) for root in roots)
            scores = [self._score(root) for root in roots if self.study.is_done(root)]
            best = f"{math.fsum(scores) / len(scores):.5g}" if scores else ""
            share = steps / (self.study.budget(name) * seeds)
            grid.add_row(escape(name), f"{len(scores)}/{seeds}", f"{share:.0%}", best)
        below = [Text(self.line())]
        if (hidden := len(self.study.study.arms) - limit) > 0:
            below.append(Text(f"{hidden} more arms are not shown", style="dim"))
        for sentence in self.warnings()[-3:]:
            below.append(Text(f"warning: {sentence}", style="yellow"))
        return Group(grid, *below)

    def warnings(self) -> list[str]:
        """Return what workers and jobs warned of: of the study, then of its runs."""
        views = (self.study.view(root) for _, _, root in self.study.places())
        found = [view.warnings() for view in views if view is not None]
        return [*itertools.chain(*found), *View(self.study.root, {}).warnings()]

    def _score(self, root: Path) -> float:
        view = self.study.view(root)
        rows = view.rows() if view is not None else []
        return rows[0].record.member.score if rows else math.nan
