"""What a run looks like from outside: read from its directory alone, from any machine."""

import json
import math
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from core.files import Unreadable, read, tail
from core.lease import FREE, LARGEST_BEAT, read_lease
from core.member import Value, rank
from core.population import Population
from core.record import Record

LARGEST_LOG = 2**16  # bytes of the warnings of a worker that are shown, the last ones
HANG = 5  # a turn that takes so many times longer than the longest phase sum before it is reported


@dataclass(frozen=True, slots=True)
class Row:
    """One member as `status` shows it."""

    record: Record
    worker: str  # who trains it now, "" if nobody
    job: str  # the batch job of this worker, "" if it is not known or in none
    turn_seconds: float | None


@dataclass(slots=True)
class View:
    """A run directory, read again and again.

    Args:
        root: the run directory.
        info: the content of its run.json.
    """

    root: Path
    info: Mapping[str, object]
    _population: Population = field(init=False)
    _marks: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=120))

    def __post_init__(self) -> None:
        self._population = Population(self.root)

    @property
    def members(self) -> int:
        """The size of the population."""
        return cast(int, cast(Mapping[str, object], self.info["settings"])["members"])

    @property
    def steps(self) -> int:
        """How many steps each member is trained for."""
        return cast(int, cast(Mapping[str, object], self.info["settings"])["steps"])

    def rows(self) -> list[Row]:
        """Return all members that have published, best first."""
        holders, beats = self._holders(), self._beats()
        rows = []
        for id in range(self.members):
            record = self._population.newest(id)
            if record is None:
                continue
            worker = holders.get(id, "")
            beat = beats.get(worker, {})
            seconds = beat.get("turn_seconds")
            turn_seconds = float(seconds) if isinstance(seconds, int | float) else None
            rows.append(Row(record, worker, str(beat.get("job") or ""), turn_seconds))
        now = time.monotonic()
        done = sum(row.record.member.step for row in rows)
        turns = sum(row.record.member.n for row in rows)
        self._marks.append((now, done, turns))
        return sorted(rows, key=lambda row: rank(row.record.member))

    def draw(self, limit: int) -> RenderableType:
        """Return the run as a table of at most `limit` members."""
        return table(self, self.rows(), limit)

    def line(self) -> str:
        """Return the run as one line; "" if nothing is published yet."""
        rows = self.rows()
        return self.progress(rows) if rows else ""

    def is_done(self, rows: list[Row]) -> bool:
        """Whether every member has come to its last step and decided there."""
        members = [row.record.member for row in rows]
        return len(members) == self.members and all(
            me.step >= self.steps and not me.waiting for me in members
        )

    def _holders(self) -> dict[int, str]:
        leases = {id: read_lease(self._population.folder(id)) for id in range(self.members)}
        return {id: held.holder for id, held in leases.items() if held and held.holder != FREE}

    def _beats(self) -> dict[str, dict[str, object]]:
        beats = {}
        for path in (self.root / "workers").glob("*.json"):
            try:
                beats[path.stem] = dict(json.loads(read(path, LARGEST_BEAT)))
            except (OSError, ValueError, TypeError, RecursionError):
                continue
        return beats

    def warnings(self) -> list[str]:
        """Return what the workers warned of, oldest first."""
        return [sentence for _, _, sentence in read_warnings(self.root, LARGEST_LOG)]

    def progress(self, rows: list[Row]) -> str:
        """Return one line: how far, how fast, how long still."""
        done = sum(row.record.member.step for row in rows)
        goal = self.members * self.steps
        parts = [f"{done}/{goal} steps ({done / goal:.0%})"]
        rows_with_score = [row.record.member for row in rows if row.record.member.healthy]
        if rows_with_score:
            best = rows_with_score[0]
            parts.append(f"best member {best.id} with {best.score:.5g}")
        copies = sum(row.record.member.last_copy > 0 for row in rows)
        parts.append(f"{copies} of {self.members} have copied")
        turns, seconds = self._rates(rows, goal - done)
        if done < goal and turns is not None:
            parts.append(f"{turns:.3g} turns/s")
        if done < goal and seconds is not None:
            parts.append(f"ETA {duration(seconds)}")
        return ", ".join(parts)

    def _rates(self, rows: list[Row], left: int) -> tuple[float | None, float | None]:
        """Return turns per second, and the seconds that are left."""
        (then, done, turns), (now, done_now, turns_now) = (
            self._marks[0],
            self._marks[-1],
        )
        if now - then > 1 and done_now > done:
            rate = (done_now - done) / (now - then)
            return (turns_now - turns) / (now - then), left / rate
        # (in lockstep every other record is of a decision alone)
        spent = [row.record.spent for row in rows if row.record.seconds.get("step")]
        workers = len({row.worker for row in rows if row.worker})
        if not workers or not any(spent):
            return None, None
        mean = math.fsum(spent) / len(spent)
        return workers / mean, left * mean / workers


def read_warnings(root: Path, largest: int) -> list[tuple[float, str, str]]:
    """Return what workers warned of, oldest first: when, who, and the sentence.

    Args:
        largest: bytes of the warnings of a worker that are read, the last ones.
    """
    found = []
    for path in (root / "workers").glob("*.jsonl"):
        try:
            lines = tail(path, largest).splitlines()
        except (OSError, Unreadable):
            continue
        for line in lines:
            try:
                entry = json.loads(line)
                found.append((float(entry["time"]), path.stem, str(entry["warning"])))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # its worker was killed while it wrote
    return sorted(found)


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def value(number: Value) -> str:
    """Return a hyperparameter as a table shows it."""
    return f"{number:.4g}" if isinstance(number, float) else str(number)


def table(view: View, rows: list[Row], limit: int) -> RenderableType:
    """Return the run as a table of at most `limit` members, best first, with a line below."""
    names = list(rows[0].record.member.hypers) if rows else []
    grid = Table(title=escape(f"{view.info['preset']}  ·  {view.root}"), title_justify="left")
    for heading in ("member", "step", "score", *names, "copied", "now"):
        left = heading in ("copied", "now")
        grid.add_column(heading, justify="left" if left else "right", no_wrap=True)
    longest = max((row.record.spent for row in rows), default=0)
    for row in rows[:limit]:
        me = row.record.member
        copied = f"{me.last_parent[0]} at step {me.last_copy}" if me.last_parent else ""
        grid.add_row(
            str(me.id),
            f"{me.step}/{view.steps}",
            f"{me.score:.5g}"
            if me.healthy
            else ("diverged" if row.record.weights else "failed")
            if me.step
            else "",
            *(value(me.hypers[name]) for name in names),
            copied,
            _state(row, view.steps, longest),
        )
    below = [Text(view.progress(rows) if rows else "nothing is published yet")]
    if len(rows) > limit:
        below.append(Text(f"{len(rows) - limit} more members are not shown", style="dim"))
    for sentence in view.warnings()[-3:]:
        below.append(Text(f"warning: {sentence}", style="yellow"))
    return Group(grid, *below)


def _state(row: Row, steps: int, longest: float) -> str:
    me = row.record.member
    if row.worker:
        if row.turn_seconds and longest and row.turn_seconds > HANG * max(longest, 1):
            return f"hanging? {duration(row.turn_seconds)} in this turn, on {row.worker}"
        return "training"
    if me.waiting:
        return "waiting"
    return "done" if me.step >= steps else ""


def show_status(view: View, console: Console) -> None:
    """Print the run as it is now."""
    rows = view.rows()
    console.print(table(view, rows, limit=max(len(rows), 1)))
    for id in range(view.members):
        record = next((row.record for row in rows if row.record.member.id == id), None)
        if record is not None and record.error:
            console.print(Text(f"member {id} failed:\n{record.error}", style="red"))
