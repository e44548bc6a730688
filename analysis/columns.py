"""All records of a run as arrays: what figures, tables and reports are made of.

A row is a record. The rows of member i are first[i] to first[i + 1], in the order of their numbers;
`parent` points to the row that was copied, `before` to the row from which a row went on: together
they are the phylogeny of the run.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.record import TURN, Record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
CAUSES = ("init", "train", "exploit", "rescue")


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The records of all members, R rows.

    first: [members + 1] where each member's rows begin.
    member, n, step: [R] whose record it is, its number, t.
    score: [R] p; NaN before the first evaluation and for whoever diverged.
    cause: [R] index into CAUSES.
    parent: [R] the row that was copied here; -1 where nothing was.
    dropped: [R] the score that a copy replaced; NaN where there was no copy.
    decided: [R] whether a decision was taken here, be it to stay.
    waiting: [R] whether the decision of this step was still to come (lockstep).
    failed: [R] whether the trainer raised, so that there are no weights.
    time: [R] when it was published, seconds since 1970 by the clock of the host.
    spent: [R] seconds of the turn. bytes: [R] written by it.
    hypers: by name, [R] numbers, or options as texts.
    report: by name, [R] the numbers that selection has not seen; NaN where there are none.
    seconds: by phase, [R].
    """

    first: Ints
    member: Ints
    n: Ints
    step: Ints
    score: Floats
    cause: Ints
    parent: Ints
    dropped: Floats
    decided: Bools
    waiting: Bools
    failed: Bools
    time: Floats
    spent: Floats
    bytes: Ints
    hypers: Mapping[str, NDArray[np.float64] | NDArray[np.str_]]
    report: Mapping[str, Floats]
    seconds: Mapping[str, Floats]

    @property
    def members(self) -> int:
        """How many members there are."""
        return len(self.first) - 1

    def rows(self, member: int) -> Ints:
        """Return the rows of a member, oldest first."""
        return np.arange(self.first[member], self.first[member + 1])

    def trained(self, member: int) -> Ints:
        """Return the rows with which a member came to each step, before any decision there."""
        rows = self.rows(member)
        rows = rows[self.step[rows] > 0]
        _, at = np.unique(self.step[rows], return_index=True)
        return rows[at]

    def left(self, member: int) -> Ints:
        """Return the rows with which a member left each step, after any copy there."""
        rows = self.rows(member)[::-1]
        _, at = np.unique(self.step[rows], return_index=True)
        return rows[at]

    def last(self) -> Ints:
        """Return the last row of each member that has one."""
        return (self.first[1:] - 1)[np.diff(self.first) > 0]

    def before(self) -> Ints:
        """Return the row from which the weights of each row come; -1 for a start.

        That of a copy is its donor's; of any other, the row before of the same member.
        """
        found = np.arange(len(self.member)) - 1
        found[self.first[:-1][np.diff(self.first) > 0]] = -1
        return np.where(self.parent >= 0, self.parent, found)

    def founders(self) -> Ints:
        """Return the member from whose start the weights of each row descend."""
        before = self.before()
        at = np.where(before < 0, np.arange(len(before)), before)
        while not np.array_equal(again := at[at], at):
            at = again
        return self.member[at]

    def ancestry(self, row: int) -> Ints:
        """Return the rows through which the weights of a row came to be, its start first."""
        before, found = self.before(), []
        while row >= 0:
            found.append(row)
            row = int(before[row])
        return np.array(found[::-1], dtype=np.int64)

    def best(self) -> int:
        """Return the row of the result of a run: of all last rows the one with the best score.

        Of equal ones, whose hypers made the score comes first (as core.member.rank has it).
        """
        last = self.last()
        fitness = np.where(np.isfinite(self.score[last]), self.score[last], -np.inf)
        return int(last[np.lexsort((self.member[last], self.parent[last] >= 0, -fitness))[0]])


def columns(histories: Sequence[Sequence[Record]]) -> Columns:
    """Return the records of all members, oldest first, as arrays."""
    sizes = [len(history) for history in histories]
    first = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    records = [record for history in histories for record in history]
    row_of = {(r.member.id, r.member.n): row for row, r in enumerate(records)}
    names = dict.fromkeys(name for record in records for name in record.member.hypers)
    reported = dict.fromkeys(
        name
        for record in records
        for name, value in record.report.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    )
    phases = dict.fromkeys(phase for record in records for phase in record.seconds)
    return Columns(
        first=first,
        member=_ints(r.member.id for r in records),
        n=_ints(r.member.n for r in records),
        step=_ints(r.member.step for r in records),
        score=_floats(r.member.score for r in records),
        cause=_ints(CAUSES.index(r.member.cause) for r in records),
        parent=_ints(row_of.get(r.member.parent, -1) if r.member.parent else -1 for r in records),
        dropped=_floats(r.member.dropped.score if r.member.dropped else math.nan for r in records),
        decided=np.array([r.member.seen is not None for r in records], dtype=np.bool_),
        waiting=np.array([r.member.waiting for r in records], dtype=np.bool_),
        failed=np.array([r.weights is None and r.member.step > 0 for r in records], dtype=np.bool_),
        time=_floats(r.time for r in records),
        spent=_floats(math.fsum(r.seconds.get(p, 0.0) for p in TURN) for r in records),
        bytes=_ints(r.bytes for r in records),
        hypers={
            name: np.array([r.member.hypers.get(name, math.nan) for r in records]) for name in names
        },
        report={name: _floats(_number(r.report.get(name)) for r in records) for name in reported},
        seconds={phase: _floats(r.seconds.get(phase, 0.0) for r in records) for phase in phases},
    )


def _ints(values: Iterable[int]) -> Ints:
    return np.fromiter(values, dtype=np.int64)


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
