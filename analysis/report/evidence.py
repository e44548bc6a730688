"""What a report says of a run beyond its records' numbers: failures, warnings, what it took."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.data.columns import APART, Columns
from analysis.data.runs import RunData, read_run
from core.directory.record import Record
from core.status.progress import read_warnings

TRAINER = ("build", "load", "step", "eval", "report")  # phases that are spent in the task's code
LARGEST_LOG = 2**22  # bytes of a worker's warnings that are read, the last ones: some 20,000


@dataclass(frozen=True, slots=True)
class Failure:
    """A trainer that raised: whose, after which step, and the traceback."""

    member: int
    step: int
    error: str


@dataclass(frozen=True, slots=True)
class Warned:
    """A sentence that workers logged: how often, and by whom first."""

    sentence: str
    worker: str
    times: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """A run as far as it is, with what its workers said.

    called: what the page calls it, should another run have the same preset and seed.
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
        """How many records followed the members' first ones."""
        return int((self.columns.n > 0).sum())

    @property
    def founders(self) -> int:
        """From how many members' starts the weights of the last records descend, if not lost."""
        found = self.columns.founders()[self.columns.last()]
        return len(np.unique(found[found >= 0]))

    @property
    def worker_seconds(self) -> float:
        """The time that workers spent on it, without waiting for others."""
        return sum(self.columns.phases().values())

    @property
    def wall_seconds(self) -> float:
        """The time between its first and its last record, interruptions included."""
        time = self.columns.time
        # the first record is published at the end of its turn
        return float(time.max() - (time - self.columns.spent).min())

    def parts(self) -> dict[str, float]:
        """Return the seconds of what is a part of other phases, such as checksums."""
        return {
            phase: float(spent.sum())
            for phase, spent in self.columns.seconds.items()
            if phase not in APART
        }

    def top(self) -> float:
        """Return the mean of the five best last scores; NaN of none."""
        scores = self.columns.score[self.columns.top_rows()]
        return float(scores.mean()) if len(scores) else float("nan")


def read_evidence(path: Path) -> Evidence:
    """Read a run directory: a run that goes on, or has unreadable records, as far as it can be.

    Raises:
        RunError: it is no run directory, or nothing is published in it yet.
    """
    failures: list[Failure] = []

    def see(record: Record) -> None:
        if record.error:
            failures.append(Failure(record.member.id, record.member.step, record.error))

    return Evidence(read_run(path, see=see), failures, warnings_of(path))


def warnings_of(root: Path) -> list[Warned]:
    """Return what the workers of a run warned of, oldest first, equal sentences as one."""
    by_sentence: dict[str, list[str]] = {}
    for _, worker, sentence in read_warnings(root, LARGEST_LOG):
        by_sentence.setdefault(sentence, []).append(worker)
    return [Warned(sentence, workers[0], len(workers)) for sentence, workers in by_sentence.items()]
