"""Recompute every decision of a run from its history, and say what makes two runs the same run."""

import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace

from core.member import Member
from core.pbt import PBT, Choice, decide, explore, start
from core.population import Population
from core.record import Record, identity
from core.run import Run


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    problems: one sentence for each thing that is not as it must be.
    records, decisions, copies: how many were looked at.
    digest: SHA-256 over all that does not depend on time, host or worker.
    """

    problems: list[str]
    records: int
    decisions: int
    copies: int
    digest: str


def verify(run: Run, tick: Callable[[int], None] = lambda _: None) -> Verdict:
    """Check the history of a run, each number of it that can be computed again.

    Args:
        tick: told the number of members that have been checked, for a progress bar.
    """
    problems: list[str] = []
    population = Population(run.root, warn=problems.append)
    histories = {id: population.history(id) for id in range(run.pbt.members)}
    moments = {
        (record.member.id, record.member.n): record.member
        for history in histories.values()
        for record in history
    }
    digest = hashlib.sha256()
    decisions = copies = 0
    for id, history in histories.items():
        problems += _check_order(id, history, run.pbt)
        previous = None
        for record in history:
            digest.update(identity(record) + b"\n")
            if record.member.seen is not None:
                decisions += 1
                copies += record.member.parent is not None
                problems += _check_decision(record.member, previous, moments, run.pbt)
            elif record.member.parent is not None:
                problems.append(f"{_name(record.member)} copied somebody without a decision")
            previous = record.member
        tick(id + 1)
    total = sum(map(len, histories.values()))
    return Verdict(problems, total, decisions, copies, digest.hexdigest())


def _name(me: Member) -> str:
    return f"member {me.id}, record {me.n} (step {me.step})"


def _check_order(id: int, history: list[Record], pbt: PBT) -> list[str]:
    """Check that no record is missing, and that each follows from the one before."""
    if not history:
        return [f"member {id} has published nothing"]
    problems = []
    if dict(history[0].member.hypers) != dict(start(id, pbt).hypers):
        problems.append(f"{_name(history[0].member)} did not start with the hypers of its seed")
    numbers = [record.member.n for record in history]
    if numbers != list(range(len(history))):
        missing = sorted(set(range(numbers[-1] + 1)) - set(numbers))
        problems.append(f"member {id} lacks the records {missing}")
    for before, after in itertools.pairwise(history):
        old, new = before.member, after.member
        if new.step not in (old.step, old.step + 1) or (new.step == old.step) != old.waiting:
            problems.append(f"{_name(new)} does not follow on {_name(old)}")
        if new.parent is None and dict(new.hypers) != dict(old.hypers):
            problems.append(f"{_name(new)} has other hypers than the record before, and no parent")
    if history[-1].member.step < pbt.steps or history[-1].member.waiting:
        me = history[-1].member
        problems.append(f"member {id} is not done: step {me.step} of {pbt.steps}")
    return problems


def _check_decision(
    me: Member,
    previous: Member | None,
    moments: dict[tuple[int, int], Member],
    pbt: PBT,
) -> list[str]:
    """Decide again from what was seen, and compare."""
    if previous is None or me.seen is None:
        return [f"{_name(me)} decided before it had been trained"]
    before = _before(me, previous)
    seen = [before]
    for id, n in enumerate(me.seen):
        if n is not None:
            if (id, n) not in moments:
                return [f"{_name(me)} saw record {n} of member {id}, which is not there"]
            seen.append(moments[id, n])
    if not pbt.ready(before):
        return [f"{_name(me)} decided although it was not ready"]
    donor, rng = decide(before, sorted(seen, key=lambda member: member.id), pbt)
    chosen = None if donor.id == me.id else (donor.id, donor.n)
    if chosen != me.parent:
        return [f"{_name(me)} has the parent {me.parent}; from what it saw follows {chosen}"]
    if chosen is not None:
        hypers = explore(before, Choice(donor, rng, me.seen, None), pbt)
        if dict(hypers) != dict(me.hypers):
            return [f"{_name(me)} has {dict(me.hypers)}; from what it saw follows {dict(hypers)}"]
    return []


def _before(me: Member, previous: Member) -> Member:
    """Return the member as it was when it decided."""
    before = replace(
        me,
        seen=None,
        parent=None,
        dropped=None,
        cause="train",
        last_ready=previous.last_ready,
        last_copy=previous.last_copy,
        failures=previous.failures,
    )
    if me.dropped is None:
        return before
    dropped = me.dropped
    return replace(before, score=dropped.score, scores=dropped.scores, hypers=dropped.hypers)
