"""The schedule that a run has found: the hypers with which its winner's weights were trained.

A copy goes on from its donor's weights, so what made the winner is not what its own member did, but
what was done along its ancestry: the donor's steps up to the copy, then its own (section 4.4 of the
paper calls it the effective schedule).
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run, RunError
from core.member import Hypers, Member, rank

Along = Literal["lineage", "member"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hypers over the steps of one member of a finished run.

    member: whose last record it leads to. score: what that record has.
    steps: how many steps were trained with it.
    points: (step, hypers): what holds from each of these steps on; the first is 0.
    branches: (step, from, to): where the ancestry goes over from a donor to who copied it.
    """

    member: int
    score: float
    steps: int
    points: tuple[tuple[int, Hypers], ...]
    branches: tuple[tuple[int, int, int], ...]

    def final(self) -> "Schedule":
        """Return the schedule that has the last values from the start: no schedule at all."""
        last = tuple((0, hypers) for _, hypers in self.points[-1:])
        return Schedule(self.member, self.score, self.steps, last, ())

    def as_override(self) -> list[list[object]]:
        """Return it as a run is given it: `open_run(root, preset, {"schedule": ...})`."""
        return [[step, dict(hypers)] for step, hypers in self.points]

    def as_json(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "member": self.member,
            "score": self.score if math.isfinite(self.score) else None,
            "steps": self.steps,
            "points": [{"step": step, "hypers": dict(hypers)} for step, hypers in self.points],
            "branches": [{"step": t, "from": old, "to": new} for t, old, new in self.branches],
        }

    def as_python(self) -> str:
        """Return a Python function of the step, with nothing to import."""
        lines = [
            "def schedule(step):",
            f'    """Return the hypers for a step in [0, {self.steps})."""',
            "    points = [",
            *(f"        ({step}, {dict(hypers)!r})," for step, hypers in self.points),
            "    ]",
            "    return next(hypers for start, hypers in reversed(points) if start <= step)",
        ]
        return "\n".join(lines) + "\n"


def schedule_of(run: Run, member: int | None = None, along: Along = "lineage") -> Schedule:
    """Return what the winner of a run, or another member, was trained with.

    Args:
        member: whose last record the schedule leads to; None for the best one's.
        along: the "lineage" of its weights; or the "member" itself, whatever it copied, as if it
            had kept its own weights. Where a run copies no weights, the two are the same.

    Raises:
        RunError: the run is not done, or there is no such member, or records are lost.
    """
    problems: list[str] = []
    population = Members(run.root, warn=problems.append)
    histories = [population.history(id) for id in range(run.pbt.members)]
    late = [id for id, found in enumerate(histories) if not found or not _is_done(found[-1], run)]
    if late:
        raise RunError(f"{run.root} is not done: members {late} have steps to go")
    if problems:
        raise RunError(f"{run.root} has records that cannot be read: {problems[0]}")
    if member is None:
        member = min((found[-1].member for found in histories), key=rank).id
    if not 0 <= member < len(histories):
        raise RunError(f"there is no member {member}: there are 0 to {len(histories) - 1}")
    last = histories[member][-1].member
    copied = along == "lineage" and "weights" in run.pbt.inherit
    way = _lineage(last, histories) if copied else _own(histories[member])
    hypers = [me.hypers for me in way[:-1]]  # those in force for each step that was trained
    points = [
        (step, dict(values))
        for step, values in enumerate(hypers)
        if step == 0 or values != hypers[step - 1]
    ]
    ids = [me.id for me in way]
    branches = [
        (step, old, new) for step, (old, new) in enumerate(itertools.pairwise(ids)) if old != new
    ]
    score = last.dropped.score if along == "member" and last.dropped else last.score
    return Schedule(member, score, len(hypers), tuple(points), tuple(branches))


def _is_done(record: Record, run: Run) -> bool:
    return record.member.step >= run.pbt.steps and not record.member.waiting


def _own(history: Sequence[Record]) -> list[Member]:
    """Return a member as it left each of its steps."""
    return list({record.member.step: record.member for record in history}.values())


def _lineage(last: Member, histories: Sequence[Sequence[Record]]) -> list[Member]:
    """Return the members through which the weights came to be, as they left each step.

    A record that was copied stands for the step that it left: the hypers with which the next step
    was trained are those of the member that trained it. A fresh start is where the weights begin.
    """
    records: Mapping[tuple[int, int], Member] = {
        (record.member.id, record.member.n): record.member
        for history in histories
        for record in history
    }
    way, me = [last], last
    while me.n > 0 and me.cause != "restart":
        before = me.parent or (me.id, me.n - 1)
        if before not in records:
            raise RunError(f"the record {before[1]} of member {before[0]} is lost, which is needed")
        if me.parent is not None:
            me = records[before]  # the same weights, another member: no step between them
            continue
        trained, me = me, records[before]
        if trained.step > me.step:
            way.append(me)
    return way[::-1]
