"""What a run looks like from outside: read from its directory alone, from any machine."""

import json
import math
import os
import time
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast

from core.directory.files import Unreadable, tail
from core.directory.lease import FREE, Held, read_lease
from core.directory.members import Members
from core.directory.record import Record
from core.directory.settings_file import Settings
from core.member import Value, rank
from core.status.presence import Lookout, Presence

HANG = 5  # a turn that takes so many times longer than the longest one before it is reported
BRIEF = 2.0  # seconds: of shorter turns, one may be many times as long for no reason
FIRST = 60.0  # seconds of a turn before which there was none, after which it is reported
LARGEST_LOG = 2**16  # bytes of the warnings of a worker that are shown, the last ones


@dataclass(frozen=True, slots=True)
class Row:
    """One member as `status` shows it.

    worker: who trains it now, "" if nobody. job: its batch job, "" if it is not known or in none.
    turn_seconds: how long the present turn has lasted, as far as can be known; None if there is
        none.
    holder: the worker that holds its lease, alive or not; None if there is none, or no
        heartbeat of it.
    """

    record: Record
    worker: str
    job: str
    turn_seconds: float | None
    holder: Presence | None = None


class Complaint(NamedTuple):
    """What a worker warned of: when, who, the sentence, and the traceback behind it if any."""

    time: float
    worker: str
    warning: str
    trace: str


@dataclass(slots=True)
class View:
    """A run directory, read again and again.

    Args:
        root: the run directory.
        info: the content of its run.json.
    """

    root: Path
    info: Mapping[str, object]
    workers: dict[str, Presence] = field(default_factory=dict)  # as they were seen last
    _population: Members = field(init=False)
    _lookout: Lookout = field(init=False)
    _marks: deque[tuple[float, int, int]] = field(default_factory=lambda: deque(maxlen=120))
    _turns: dict[int, tuple[tuple[int, int], float]] = field(default_factory=dict)
    _longest: float = 0.0  # seconds of a turn that was seen

    def __post_init__(self) -> None:
        self._population = Members(self.root)
        self._lookout = Lookout(self.root)

    @property
    def settings(self) -> Settings:
        """What is run."""
        return Settings(cast(Mapping[str, object], self.info.get("settings", {})))

    @property
    def members(self) -> int:
        """The size of the population."""
        return self.settings.members

    @property
    def steps(self) -> int:
        """How many steps each member is trained for."""
        return self.settings.steps

    def rows(self) -> list[Row]:
        """Return all members that have published, best first."""
        leases = self._leases()
        self.workers = self._lookout.look(held.holder for held in leases.values())
        found = (self._row(id, leases.get(id)) for id in range(self.members))
        rows = [row for row in found if row is not None]
        if not self.is_attended():
            self._marks.clear()
        done = sum(row.record.member.step for row in rows)
        turns = sum(row.record.member.n for row in rows)
        self._marks.append((time.monotonic(), done, turns))
        return sorted(rows, key=lambda row: rank(row.record.member))

    def _leases(self) -> dict[int, Held]:
        leases = {id: read_lease(self._population.folder(id)) for id in range(self.members)}
        return {id: held for id, held in leases.items() if held and held.holder != FREE}

    def _row(self, id: int, held: Held | None) -> Row | None:
        record = self._population.newest(id)
        if record is None:
            return None
        if record.seconds.get("step"):  # (in lockstep every other record is of a decision alone)
            self._longest = max(self._longest, record.spent)
        holder = None if held is None else self.workers.get(held.holder)
        if held is None or holder is None or not holder.works:
            return Row(record, "", "", None, holder)
        seconds = self._turn_seconds(id, held, holder, record)
        return Row(record, holder.worker, holder.job, seconds, holder)

    def _turn_seconds(self, id: int, held: Held, holder: Presence, record: Record) -> float:
        """Return how long the present turn has lasted: from its clock if it is here, else ours."""
        now, this = time.monotonic(), (held.epoch, record.member.n)
        if id not in self._turns or self._turns[id][0] != this:
            self._turns[id] = this, now
        watched = now - self._turns[id][1]
        if holder.pid is not None:  # to build the trainer is a part of it: no heartbeat says so
            try:
                came = os.stat(self._population.folder(id) / "lease" / held.name).st_ctime
            except OSError:
                return watched
            return max(watched, time.time() - max(came, record.time))
        said = holder.turn if holder.beat > record.time else None
        return max(watched, said[1] if said is not None and said[0] == id else 0.0)

    def is_attended(self) -> bool:
        """Whether a worker is at work on it, as it was when its rows were read last."""
        return any(worker.works for worker in self.workers.values())

    def is_done(self, rows: list[Row]) -> bool:
        """Whether every member has come to its last step and decided there."""
        members = [row.record.member for row in rows]
        return len(members) == self.members and all(
            me.step >= self.steps and not me.waiting for me in members
        )

    def is_lost(self, rows: list[Row]) -> bool:
        """Whether every member has failed: there is nothing to go on from."""
        return len(rows) == self.members and all(row.record.failed for row in rows)

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
        if done < goal and self._moves(rows):
            turns, seconds = self._rates(rows, goal - done)
            parts += [] if turns is None else [f"{turns:.3g} turns/s"]
            parts += [] if seconds is None else [f"ETA {duration(seconds)}"]
        return ", ".join(parts)

    def _moves(self, rows: list[Row]) -> bool:
        """Whether a worker is at work on it that does not seem to hang."""
        taken = [row for row in rows if row.worker]
        return self.is_attended() and not (taken and all(map(self.is_slow, taken)))

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

    def is_slow(self, row: Row) -> bool:
        """Whether a turn takes many times longer than those before, or long if there is none."""
        if row.turn_seconds is None or row.turn_seconds <= HANG * BRIEF:
            return False
        longest = self.longest_turn()
        return row.turn_seconds > (HANG * max(longest, BRIEF) if longest else FIRST)

    def longest_turn(self) -> float:
        """Return the seconds of the longest turn there is to compare with; 0 for none."""
        if not self._longest:  # the newest records may all be of decisions: look at those before
            for id in range(self.members):
                for record in self._population.history(id)[-4:]:
                    if record.seconds.get("step"):
                        self._longest = max(self._longest, record.spent)
        return self._longest

    def complaints(self) -> list[Complaint]:
        """Return what the workers warned of, oldest first."""
        return sorted(_read_complaints(self.root, LARGEST_LOG))

    def warnings(self) -> list[str]:
        """Return the sentences that the workers warned with, oldest first."""
        return [complaint.warning for complaint in self.complaints()]


def _read_complaints(root: Path, largest: int) -> Iterator[Complaint]:
    for path in (root / "workers").glob("*.jsonl"):
        try:
            lines = tail(path, largest).splitlines()
        except (OSError, Unreadable):
            continue
        for line in lines:
            try:
                said = json.loads(line)
                trace, sentence = str(said.get("trace") or ""), str(said["warning"])
                yield Complaint(float(said["time"]), path.stem, sentence, trace)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
                continue  # its worker was killed while it wrote


def read_warnings(root: Path, largest: int) -> list[tuple[float, str, str]]:
    """Return what workers warned of, oldest first: when, who, and the sentence.

    Args:
        largest: bytes of the warnings of a worker that are read, the last ones.
    """
    return sorted(
        (said.time, said.worker, said.warning) for said in _read_complaints(root, largest)
    )


def duration(seconds: float) -> str:
    """Return seconds as h:mm:ss."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"


def value(number: Value) -> str:
    """Return a hyperparameter as a table shows it."""
    return f"{number:.4g}" if isinstance(number, float) else str(number)
