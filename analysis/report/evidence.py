"""What a report says about a run beside its numbers: failures, warnings, time spent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.data.columns import APART, Columns
from analysis.data.runs import RunData, read_run
from core.directory.record import Record
from core.status.progress import read_warnings

TRAINER = ("build", "load", "step", "eval", "report")  # phases in the task's code
LARGEST_LOG = 2**22  # the last bytes of a worker's log that are read: about 20,000 warnings


@dataclass(frozen=True, slots=True)
class Failure:
    """A turn in which a trainer raised.

    member: the id of the member.
    step: the step of the member at that time.
    error: the traceback.
    """

    member: int
    step: int
    error: str


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning that workers logged.

    sentence: the warning.
    worker: the first worker that logged it.
    times: how often it was logged.
    """

    sentence: str
    worker: str
    times: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run as far as it is, with what its workers logged.

    data: the run.
    failures: in the order of the members.
    warned: the oldest warning first.
    called: what the page calls the run if another has the same preset and seed.
    """

    data: RunData
    failures: Sequence[Failure]
    warned: Sequence[Warned]
    called: str = ""

    @property
    def columns(self) -> Columns:
        """The records of the run."""
        return self.data.columns

    @property
    def name(self) -> str:
        """What the page calls the run."""
        return self.called or f"{self.data.name}, seed {self.data.seed}"

    @property
    def turns(self) -> int:
        """The number of records without the first of each member."""
        return int((self.columns.n > 0).sum())

    @property
    def founders(self) -> int:
        """The number of initial members from which the last weights descend, as far as known."""
        found = self.columns.founders()[self.columns.last()]
        return len(np.unique(found[found >= 0]))

    @property
    def worker_seconds(self) -> float:
        """The seconds that workers spent on the run, without waiting for others."""
        return sum(self.columns.phases().values())

    @property
    def wall_seconds(self) -> float:
        """The seconds from the start of the first turn to the last record, with interruptions."""
        time = self.columns.time
        # a record is published at the end of its turn
        return float(time.max() - (time - self.columns.spent).min())

    def parts(self) -> dict[str, float]:
        """Return the seconds of phases that are parts of other phases, such as checksums."""
        return {
            phase: float(spent.sum())
            for phase, spent in self.columns.seconds.items()
            if phase not in APART
        }

    def top(self) -> float:
        """Return the mean of the five best last scores; NaN if there is none."""
        scores = self.columns.score[self.columns.top_rows()]
        return float(scores.mean()) if len(scores) else float("nan")


def read_evidence(path: Path) -> Evidence:
    """Read a run directory, as far as possible if the run goes on or has unreadable records.

    Raises:
        RunError: it is not a run directory, or nothing is published in it yet.
    """
    failures: list[Failure] = []

    def see(record: Record) -> None:
        if record.error:
            failures.append(Failure(record.member.id, record.member.step, record.error))

    return Evidence(read_run(path, see=see), failures, warnings_of(path))


def warnings_of(root: Path) -> list[Warned]:
    """Return the warnings of a run's workers, oldest first; equal ones are one."""
    by_sentence: dict[str, list[str]] = {}
    for _, worker, sentence in read_warnings(root, LARGEST_LOG):
        by_sentence.setdefault(sentence, []).append(worker)
    return [Warned(sentence, workers[0], len(workers)) for sentence, workers in by_sentence.items()]
