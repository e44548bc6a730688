"""All records of a run as arrays, from which figures, tables and reports are made.

A row is a record. The rows of member i are first[i] to first[i + 1], in the order of their numbers.
`parent` points to the row that was copied, `before` to the row that a row continues: together they
are the phylogeny of the run. Where a record is missing, `origin_lost` says so.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from core.directory.record import TURN, Record

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Values = Floats | NDArray[np.str_]
CAUSES = ("init", "train", "exploit", "rescue", "restart")
COPIES, RESTART = (2, 3), 4  # places in CAUSES
APART = (*TURN, "claim")  # phases that do not overlap: their sum is a worker's time
TOP = 5  # members whose mean stands for a population's best; Jaderberg et al. 2017, figure 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The records of all members, R rows.

    first: [members + 1] where the rows of each member begin.
    member: [R] the id of the member.
    n: [R] the number of the record among those of its member.
    step: [R] t.
    score: [R] p; NaN before the first evaluation and if the member diverged.
    cause: [R] index into CAUSES.
    donor: [R] the member that was copied here; -1 if none was.
    parent: [R] the row that was copied; -1 if none was, and if that record is missing.
    origin_lost: [R] whether it is unknown from which row the weights come, because the record that
        was copied, here or earlier by the same member, is missing.
    dropped: [R] the score that a copy replaced; NaN if there was no copy.
    decided: [R] whether the member decided here, even if it decided to stay.
    waiting: [R] whether the decision of this step was still pending (lockstep).
    failed: [R] whether the trainer raised, so that there are no weights.
    time: [R] when the record was published, seconds since 1970 by the clock of the host.
    spent: [R] seconds of the turn.
    bytes: [R] bytes that the turn wrote.
    hypers: by name, [R] numbers, or options as texts.
    report: by name, [R] the numbers that selection does not use; NaN where there are none.
    seconds: by phase, [R] seconds.
    weights: whether a copy takes the weights; if not, a lineage never leaves its member.
    """

    first: Ints
    member: Ints
    n: Ints
    step: Ints
    score: Floats
    cause: Ints
    donor: Ints
    parent: Ints
    origin_lost: Bools
    dropped: Floats
    decided: Bools
    waiting: Bools
    failed: Bools
    time: Floats
    spent: Floats
    bytes: Ints
    hypers: Mapping[str, Values]
    report: Mapping[str, Floats]
    seconds: Mapping[str, Floats]
    weights: bool = True

    @property
    def members(self) -> int:
        """The number of members, including those that have published nothing."""
        return len(self.first) - 1

    def rows(self, member: int) -> Ints:
        """Return the rows of a member, oldest first."""
        return np.arange(self.first[member], self.first[member + 1])

    @property
    def copied(self) -> Bools:
        """Which rows are copies; the score and the report of a copy are the donor's."""
        return np.isin(self.cause, COPIES)

    @property
    def score_before_copy(self) -> Floats:
        """The score before any copy at this step.

        In an asynchronous run, a step and the copy that follows it are one record.
        """
        return np.where(self.copied, self.dropped, self.score)

    def score_grid(self, steps: int) -> Floats:
        """Return [members, steps] the score of each member at steps 1 to `steps`, before any copy.

        NaN where there is no score, or where it is not finite.
        """
        found = np.full((self.members, steps + 1), np.nan)
        rows = self.first_of_step()
        rows = rows[self.step[rows] <= steps]
        found[self.member[rows], self.step[rows]] = self.score_before_copy[rows]
        return np.where(np.isfinite(found), found, np.nan)[:, 1:]

    def first_of_step(self, member: int | None = None) -> Ints:
        """Return the first row of each step that a member trained.

        Without `member`, return those of all members, one member after the other.
        """
        rows = self.rows(member) if member is not None else np.arange(len(self.step))
        came = np.ones(len(rows), dtype=np.bool_)
        came[1:] = (np.diff(self.step[rows]) != 0) | (np.diff(self.member[rows]) != 0)
        return rows[came & (self.step[rows] > 0)]

    def last_of_step(self, member: int | None = None) -> Ints:
        """Return the last row of each step of a member, after any copy there."""
        rows = self.rows(member) if member is not None else np.arange(len(self.step))
        leaves = np.ones(len(rows), dtype=np.bool_)
        leaves[:-1] = (np.diff(self.step[rows]) != 0) | (np.diff(self.member[rows]) != 0)
        return rows[leaves]

    def last(self) -> Ints:
        """Return the last row of each member that has one."""
        return (self.first[1:] - 1)[np.diff(self.first) > 0]

    def copies(self) -> Ints:
        """Return the rows of all copies, in the order of their steps."""
        rows = np.flatnonzero(self.donor >= 0)
        return rows[np.argsort(self.step[rows], kind="stable")]

    def row_grid(self, steps: int) -> Ints:
        """Return [members, steps + 1] the last row of each member at each step.

        Where a record is missing, return the row of the step before; -1 before the first record
        and after the last.
        """
        found = np.full((self.members, steps + 1), -1, dtype=np.int64)
        rows = self.last_of_step()
        rows = rows[self.step[rows] <= steps]
        found[self.member[rows], self.step[rows]] = rows
        found = np.maximum.accumulate(found, axis=1)
        ends = np.full(self.members, -1, dtype=np.int64)
        ends[self.member[self.last()]] = self.step[self.last()]
        found[np.arange(steps + 1)[None, :] > ends[:, None]] = -1
        return found

    def before(self) -> Ints:
        """Return the row from which the weights of each row come; -1 for a start, and if lost.

        A restart is a start: its weights were never trained.

        For a copy this is the donor's row, for any other row the row before of the same member.
        """
        found = np.arange(len(self.member)) - 1
        found[self.first[:-1][np.diff(self.first) > 0]] = -1
        if self.weights:
            found = np.where(self.copied, self.parent, found)
            found[self.origin_lost | (self.cause == RESTART)] = -1
        return found

    def founders(self) -> Ints:
        """Return the member from whose start, or restart, the weights of each row descend.

        -1 if it is lost.
        """
        before = self.before()
        at = np.where(before < 0, np.arange(len(before)), before)
        while not np.array_equal(again := at[at], at):
            at = again
        return np.where(self.origin_lost[at] & self.weights, -1, self.member[at])

    def ancestry(self, row: int) -> Ints:
        """Return the rows that the weights of a row went through, the start first."""
        return self.ancestries([row])[0]

    def ancestries(self, rows: Iterable[int]) -> list[Ints]:
        """Return the ancestry of each of some rows."""
        before = self.before().tolist()  # a list, because it is walked through one by one
        found = []
        for row in rows:
            way = [int(row)]
            while before[way[-1]] >= 0:
                way.append(before[way[-1]])
            found.append(np.array(way[::-1], dtype=np.int64))
        return found

    def age(self, ancestry: Ints) -> Ints:
        """Return for how many steps the weights had been trained at each row of an ancestry.

        This is the member's step, unless members at different steps copy each other. If the start
        is lost, it counts from the first known row.
        """
        gains = np.diff(self.step[ancestry])
        if self.weights:  # to copy is no training; nor is to copy an older record of one's own
            gains[self.copied[ancestry[1:]]] = 0
        return np.cumsum(np.concatenate((self.step[ancestry[:1]], gains)))

    def ranked(self) -> Ints:
        """Return the last row of each member that has one, best first.

        Of equal scores, one that its own hypers made comes before a copied one, as in
        core.member.rank.
        """
        last = self.last()
        fitness = np.where(np.isfinite(self.score[last]), self.score[last], -np.inf)
        return last[np.lexsort((self.member[last], self.donor[last] >= 0, -fitness))]

    def best(self) -> int:
        """Return the result of a run: the last row with the best score."""
        return int(self.ranked()[0])

    def top_rows(self) -> Ints:
        """Return the last rows of the five best members, or of all if there are fewer."""
        best = self.ranked()[:TOP]
        return best[np.isfinite(self.score[best])]

    def phases(self) -> dict[str, float]:
        """Return the seconds that workers spent by phase, without waiting; no phases overlap."""
        return {phase: math.fsum(self.seconds[phase]) for phase in APART if phase in self.seconds}


COLUMNS: Mapping[str, tuple[type, Callable[[Record], float]]] = {
    "member": (np.int64, lambda r: r.member.id),
    "n": (np.int64, lambda r: r.member.n),
    "step": (np.int64, lambda r: r.member.step),
    "score": (np.float64, lambda r: r.member.score),
    "cause": (np.int64, lambda r: CAUSES.index(r.member.cause)),
    "dropped": (np.float64, lambda r: r.member.dropped.score if r.member.dropped else math.nan),
    "decided": (np.bool_, lambda r: r.member.seen is not None),
    "waiting": (np.bool_, lambda r: r.member.waiting),
    "failed": (np.bool_, lambda r: r.failed),
    "time": (np.float64, lambda r: r.time),
    "spent": (np.float64, lambda r: math.fsum(r.seconds.get(phase, 0.0) for phase in TURN)),
    "bytes": (np.int64, lambda r: r.bytes),
}


@dataclass(frozen=True, slots=True)
class _Part:
    """The rows of one member.

    plain: the columns of COLUMNS.
    donors: [copies, 3] the row within the part, and the donor's id and n.
    after_gap: [rows] whether the record of an earlier copy is missing.
    hypers: by name.
    report: by name.
    seconds: by phase.
    """

    plain: Mapping[str, NDArray[np.generic]]
    donors: Ints
    after_gap: Bools
    hypers: Mapping[str, Values]
    report: Mapping[str, Floats]
    seconds: Mapping[str, Floats]


def columns(histories: Iterable[Sequence[Record]], *, weights: bool = True) -> Columns:
    """Return the records of all members as arrays.

    Args:
        histories: the records of each member, oldest first, members in the order of their ids.
            Each history is taken only when the one before has become arrays, so that they need not
            be in memory together.
        weights: whether a copy takes the weights.

    Raises:
        ValueError: no such run is possible: a member is its own ancestor.
    """
    parts = [_part(history) for history in histories]
    first = np.concatenate(([0], np.cumsum([len(p.plain["n"]) for p in parts]))).astype(np.int64)
    plain = {
        name: np.concatenate([np.empty(0, kind), *(part.plain[name] for part in parts)])
        for name, (kind, _) in COLUMNS.items()
    }
    donor, parent = _parents(parts, first, plain["n"].astype(np.int64))
    after_gap = np.concatenate([np.empty(0, np.bool_), *(part.after_gap for part in parts)])
    sizes = np.diff(first)
    found = Columns(
        first=first,
        donor=donor,
        parent=parent,
        origin_lost=after_gap | ((parent < 0) & np.isin(plain["cause"], COPIES)),
        hypers=_joined([part.hypers for part in parts], sizes, math.nan),
        report=_joined([part.report for part in parts], sizes, math.nan),
        seconds=_joined([part.seconds for part in parts], sizes, 0.0),
        weights=weights,
        **plain,
    )
    _check(found.before())
    return found


def _part(history: Sequence[Record]) -> _Part:
    donors = [
        (row, *record.member.parent) for row, record in enumerate(history) if record.member.parent
    ]
    return _Part(
        {
            name: np.fromiter(map(value, history), kind, count=len(history))
            for name, (kind, value) in COLUMNS.items()
        },
        np.array(donors, dtype=np.int64).reshape(-1, 3),
        _after_gap(history),
        {
            name: np.array([r.member.hypers.get(name, math.nan) for r in history])
            for name in dict.fromkeys(name for r in history for name in r.member.hypers)
        },
        {
            name: _floats(_number(r.report.get(name)) for r in history)
            for name in dict.fromkeys(
                name for r in history for name, value in r.report.items() if _is_number(value)
            )
        },
        {
            phase: _floats(r.seconds.get(phase, 0.0) for r in history)
            for phase in dict.fromkeys(phase for r in history for phase in r.seconds)
        },
    )


def _after_gap(history: Sequence[Record]) -> Bools:
    """Return which records follow a gap in which their member copied another."""
    found, n, copied = [], -1, (0, None)
    for me in (record.member for record in history):
        now = me.last_copy, me.last_parent
        found.append(me.n > n + 1 and me.parent is None and now != copied)
        n, copied = me.n, now  # type: ignore[assignment]
    return np.array(found, dtype=np.bool_)


def _parents(parts: Sequence[_Part], first: Ints, n: Ints) -> tuple[Ints, Ints]:
    """Return the members that were copied, and their rows; -1 for a row that is missing."""
    donors, rows = np.full((2, first[-1]), -1, dtype=np.int64)
    for part, begin in zip(parts, first[:-1], strict=True):
        for row, id, number in part.donors:
            if id < len(parts):
                donors[begin + row] = id
                at = first[id] + int(np.searchsorted(n[first[id] : first[id + 1]], number))
                if at < first[id + 1] and n[at] == number:
                    rows[begin + row] = at
    return donors, rows


def _joined(
    parts: Sequence[Mapping[str, Values]], sizes: Ints, missing: float
) -> dict[str, NDArray[np.float64]]:
    """Return the named columns of all members; a member without a column has `missing` there."""
    names = dict.fromkeys(name for part in parts for name in part)
    return {
        name: np.concatenate(
            [
                part[name] if name in part else np.full(size, missing)
                for part, size in zip(parts, sizes, strict=True)
            ]
        )
        for name in names
    }


def _check(before: Ints) -> None:
    """Raise if a walk to the start never ends, as in a forged history."""
    at = before
    for _ in range(len(before).bit_length() + 1):  # twice as far each time
        at = np.where(at >= 0, at[at], -1)
    if (at >= 0).any():
        raise ValueError("the histories are of no run: a member descends from its own later self")


def _floats(values: Iterable[float]) -> Floats:
    return np.fromiter(values, dtype=np.float64)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else math.nan
