"""What a study looks like from outside: how far each arm is, and how long it will take still."""

import math
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from core.status.places import go_on_with_study, shown
from core.status.progress import Complaint, Row, View, duration
from core.status.remarks import SENTENCES, alarms, is_search, nobody
from core.study.study import StudyDirectory
from core.terminal.fitted_table import Column, Picture
from core.terminal.run_table import show_standing, show_tracebacks, warning


@dataclass(frozen=True, slots=True)
class _Glance:
    """One run of a study at one moment; no view and no rows if it has not begun."""

    arm: str
    root: Path
    view: View | None
    rows: list[Row]
    done: bool

    @property
    def name(self) -> str:
        return f"{self.arm}/{self.root.name}"


@dataclass(slots=True)
class StudyView:
    """A study, looked at again and again.

    inside: whether it is drawn by who keeps its workers, and need not be told that none is there.
    """

    study: StudyDirectory
    inside: bool = False
    _marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=600))
    _ended: dict[Path, _Glance] = field(default_factory=dict)

    def is_done(self) -> bool:
        """Whether all runs are done."""
        return all(glance.done for glance in self._look())

    def line(self) -> str:
        """Return one line: how far, and how long still; and one for each thing to mind."""
        glances = self._look()
        return "\n".join([self.progress(glances), *self._alarms(glances), *self._standing(glances)])

    def draw(self, limit: int | None) -> RenderableType:
        """Return a table of at most `limit` arms; None for as many as fit."""
        glances = self._look()
        standing = [Text(sentence, style="bold") for sentence in self._standing(glances)]
        return self._picture(glances, standing, limit)

    def _picture(self, glances: list[_Glance], standing: list[Text], limit: int | None) -> Picture:
        arms = {name: [g for g in glances if g.arm == name] for name in self.study.study.arms}
        ended = {name: [g for g in runs if g.done] for name, runs in arms.items()}
        columns = (
            Column("arm", list(arms), side="left", folds=True),
            Column("seeds done", [f"{len(ended[n])}/{len(runs)}" for n, runs in arms.items()]),
            Column("steps", [self._share(name, runs) for name, runs in arms.items()]),
            Column("best at the end", [_best(ended[name]) for name in arms]),
        )
        below = [Text(self.progress(glances))]
        below += [Text(sentence, style="bold yellow") for sentence in self._alarms(glances)]
        below += [*standing, *(Text(line, style="bold") for line in _searches(glances))]
        below += [warning(said) for said in self.complaints()[-SENTENCES:]]
        title = f"{self.study.preset}  ·  {shown(self.study.root)}"
        return Picture(title, columns, below, "arms", limit)

    def show_status(self, console: Console) -> None:
        """Print the study as it is now, with the whole of what its trainers raised."""
        glances = self._look()
        console.print(self._picture(glances, [], limit=len(self.study.study.arms)))
        errors = [
            (f"member {row.record.member.id} of {glance.name}", row.record.error or "")
            for glance in glances
            for row in glance.rows
        ]
        show_tracebacks(console, errors, self.complaints())
        show_standing(console, self._standing(glances))

    def complaints(self) -> list[Complaint]:
        """Return what workers and jobs warned of: of its runs, then of the study."""
        views = [glance.view for glance in self._look() if glance.view is not None]
        found = sorted(said for view in views for said in view.complaints())
        return found + View(self.study.root, {}).complaints()

    def warnings(self) -> list[str]:
        """Return the sentences of these."""
        return [said.warning for said in self.complaints()]

    def progress(self, glances: list[_Glance]) -> str:
        """Return one line: how far, and how long still."""
        done = sum(self._steps(glance) for glance in glances)
        goal = sum(self.study.budget(glance.arm) for glance in glances)
        ended = sum(glance.done for glance in glances)
        if not self._is_attended(glances):
            self._marks.clear()
        elif not self._marks or self._marks[-1][1] != done:
            self._marks.append((time.monotonic(), done))
        parts = [f"{ended} of {len(glances)} runs", f"{done}/{goal} steps ({done / goal:.0%})"]
        if done < goal and len(self._marks) > 1:
            (then, before), (now, after) = self._marks[0], self._marks[-1]
            left = (goal - done) * (now - then) / (after - before)
            parts.append(f"ETA {duration(max(left - (time.monotonic() - now), 0))}")
        return ", ".join(parts)

    def _look(self) -> list[_Glance]:
        return [self._glance(name, root) for name, _, root in self.study.places()]

    def _glance(self, name: str, root: Path) -> _Glance:
        if root in self._ended:
            return self._ended[root]
        view = self.study.view(root)
        rows = [] if view is None else view.rows()
        glance = _Glance(name, root, view, rows, view is not None and view.is_done(rows))
        if glance.done:
            self._ended[root] = glance
        return glance

    def _is_attended(self, glances: list[_Glance]) -> bool:
        views = [glance.view for glance in glances if glance.view is not None and not glance.done]
        return any(view.is_attended() for view in views)

    def _steps(self, glance: _Glance) -> int:
        return sum(row.record.member.step for row in glance.rows)

    def _share(self, name: str, glances: list[_Glance]) -> str:
        steps = sum(map(self._steps, glances))
        return f"{steps / (self.study.budget(name) * len(glances)):.0%}"

    def _alarms(self, glances: list[_Glance]) -> list[str]:
        found = [
            f"{glance.name}: {sentence}"
            for glance in glances
            if glance.view is not None and not glance.done
            for sentence in alarms(glance.view, glance.rows)
        ]
        more = [f"{len(found) - SENTENCES} more like these"] if len(found) > SENTENCES else []
        return found[:SENTENCES] + more

    def _standing(self, glances: list[_Glance]) -> list[str]:
        if self.inside or self._is_attended(glances) or all(glance.done for glance in glances):
            return []
        views = [glance.view for glance in glances if glance.view is not None and not glance.done]
        workers = [worker for view in views for worker in view.workers.values()]
        return [f"{nobody(workers, 'study')}; to go on: {go_on_with_study(self.study.root)}"]


def _best(glances: list[_Glance]) -> str:
    scores = [glance.rows[0].record.member.score for glance in glances]
    return f"{math.fsum(scores) / len(scores):.5g}" if scores else ""


def _searches(glances: list[_Glance]) -> list[str]:
    names = [g.name for g in glances if g.view is not None and is_search(g.view, g.rows)]
    if not names:
        return []
    more = f" and {len(names) - SENTENCES} more" if len(names) > SENTENCES else ""
    runs = ", ".join(names[:SENTENCES]) + more
    return [f"nobody has copied anybody in {runs}: so far a random search"]
