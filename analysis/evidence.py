"""What a report says of a run, read once from its directory, whatever state that is in."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np

from analysis.columns import Columns, columns
from analysis.runs import RunData
from core.files import Unreadable, tail
from core.member import Member
from core.population import Population
from core.record import TURN, Record
from core.run import RunError, read_info

APART = (*TURN, "claim")  # phases that are no parts of each other: together, a worker's time
TRAINER = ("build", "load", "step", "eval", "report")  # of these: spent in the task's own code
LARGEST_LOG = 2**22  # bytes of a worker's warnings that are read, the last ones: some 20,000
LONG_TEXT = 200  # characters; a longer one is a picture


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
    """A run as far as it is.

    problems: what of it could not be read.
    data: the run as figures and comparisons take it; members without records are left out.
    """

    path: Path
    info: Mapping[str, object]
    columns: Columns
    data: RunData
    failures: Sequence[Failure]
    warned: Sequence[Warned]
    problems: Sequence[str]

    @property
    def settings(self) -> Mapping[str, object]:
        """The settings of the run."""
        return self.data.settings

    @property
    def members(self) -> int:
        """How many members it is to have."""
        return cast(int, self.settings["members"])

    @property
    def silent(self) -> list[int]:
        """The members that have published nothing."""
        return [id for id, size in enumerate(np.diff(self.columns.first)) if size == 0]

    @property
    def done(self) -> bool:
        """Whether every member has come to its last step and decided there."""
        last = self.columns.last()
        arrived = (self.columns.step[last] >= self.data.steps) & ~self.columns.waiting[last]
        return len(last) == self.members and bool(arrived.all())

    @property
    def trained(self) -> int:
        """The steps that all members have behind them."""
        return int(self.columns.step[self.columns.last()].sum())

    @property
    def turns(self) -> int:
        """How many records followed the members' first ones."""
        return int((self.columns.n > 0).sum())

    @property
    def copies(self) -> int:
        """How often a member was copied."""
        return int(np.isin(self.columns.cause, (2, 3)).sum())

    @property
    def founders(self) -> int:
        """From how many members' starts the weights of the last records descend."""
        return len(np.unique(self.columns.founders()[self.columns.last()]))

    @property
    def worker_seconds(self) -> float:
        """The time that workers spent on it, without waiting for others."""
        return math.fsum(self.phases().values())

    @property
    def wall_seconds(self) -> float:
        """The time between its first and its last record, interruptions included."""
        time = self.columns.time
        # the first record is published at the end of its turn
        begin = float((time - self.columns.spent).min()) if len(time) else 0.0
        return float(time.max()) - begin if len(time) else 0.0

    def phases(self) -> dict[str, float]:
        """Return the seconds that workers spent, by phase; they add up."""
        found = self.columns.seconds
        return {phase: float(found[phase].sum()) for phase in APART if phase in found}

    def parts(self) -> dict[str, float]:
        """Return the seconds of what is a part of other phases, such as checksums."""
        return {
            phase: float(spent.sum())
            for phase, spent in self.columns.seconds.items()
            if phase not in APART
        }

    def top(self, of: int = 5) -> float:
        """Return the mean of the best last scores; NaN of none."""
        scores = self.columns.score[self.columns.last()]
        best = np.sort(scores[np.isfinite(scores)])[::-1][:of]
        return float(best.mean()) if len(best) else math.nan


def read_evidence(path: Path) -> Evidence:
    """Read a run directory: a run that goes on, or has unreadable records, as far as it can be.

    Raises:
        RunError: it is no run directory, or nothing is published in it yet.
    """
    info = read_info(path)
    settings = cast(Mapping[str, object], info["settings"])
    problems: list[str] = []
    failures: list[Failure] = []
    population = Population(path, warn=problems.append)
    histories = []
    for id in range(cast(int, settings["members"])):
        history = population.history(id)
        failures += [
            Failure(id, record.member.step, record.error) for record in history if record.error
        ]
        histories.append([*map(_slim, history[:-1]), *history[-1:]])
    if not any(histories):
        raise RunError(f"{path} has nothing to report: no member has published anything yet")
    return Evidence(
        path,
        info,
        columns(histories),
        RunData(
            path, str(info["preset"]), settings, str(info["code"]), [h for h in histories if h]
        ),
        failures,
        warnings_of(path),
        problems,
    )


def _slim(record: Record) -> Record:
    """Return a record without what a report does not show: whom it saw, samples, pictures.

    In a large population a decision may have looked at everybody; all of these at once would
    take gigabytes.
    """
    me: Member = record.member
    dropped = me.dropped and replace(me.dropped, scores=(), hypers={})
    seen: dict[int, int | None] | None = None if me.seen is None else {}
    report = {
        name: value
        for name, value in record.report.items()
        if not isinstance(value, str) or len(value) < LONG_TEXT
    }
    member = replace(me, seen=seen, scores=(), dropped=dropped)
    return replace(record, member=member, report=report, error=None)


def warnings_of(root: Path) -> list[Warned]:
    """Return what the workers of a run warned of, oldest first, equal sentences as one."""
    found: list[tuple[float, str, str]] = []
    for path in (root / "workers").glob("*.jsonl"):
        try:
            lines = tail(path, LARGEST_LOG).splitlines()
        except (OSError, Unreadable):
            continue
        for line in lines:
            try:
                entry = json.loads(line)
                found.append((float(entry["time"]), path.stem, str(entry["warning"])))
            except (ValueError, KeyError, TypeError, RecursionError):
                continue  # its worker was killed while it wrote
    by_sentence: dict[str, list[str]] = {}
    for _, worker, sentence in sorted(found):
        by_sentence.setdefault(sentence, []).append(worker)
    return [Warned(sentence, workers[0], len(workers)) for sentence, workers in by_sentence.items()]


def arms(runs: Sequence[Evidence]) -> list[list[Evidence]]:
    """Return the runs in groups that differ in nothing but their seeds, in the order given."""
    groups: dict[str, list[Evidence]] = {}
    for run in runs:
        rest = {name: value for name, value in run.settings.items() if name != "seed"}
        groups.setdefault(json.dumps([run.data.preset, rest], sort_keys=True), []).append(run)
    return [sorted(group, key=lambda run: run.data.seed) for group in groups.values()]
