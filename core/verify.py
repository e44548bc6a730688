"""Recompute every decision of a run from its history, and say what makes two runs the same run."""

import bisect
import functools
import hashlib
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from core.member import Member
from core.pbt import PBT, Decision, decide, explore, random_seed, start
from core.peers import Peers
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
    digest = hashlib.sha256()
    decisions = copies = 0
    for id, history in histories.items():
        problems += _check_order(id, history, run.pbt)
        for previous, record in itertools.pairwise(history):
            problems += _check_decision(record, previous, histories, run.pbt)
        for record in history:
            digest.update(identity(record) + b"\n")
            decisions += record.member.seen is not None
            copies += record.member.parent is not None
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
    first = history[0].member
    if (first.step, first.waiting, first.parent, first.seen) != (0, False, None, None):
        problems.append(f"{_name(first)} is no start")
    for before, after in itertools.pairwise(history):
        old, new = before.member, after.member
        if new.step not in (old.step, old.step + 1) or (new.step == old.step) != old.waiting:
            problems.append(f"{_name(new)} does not follow on {_name(old)}")
        if new.parent is None and dict(new.hypers) != dict(old.hypers):
            problems.append(f"{_name(new)} has other hypers than the record before, and no parent")
    last = history[-1].member
    if last.step < pbt.steps or last.waiting:
        problems.append(f"member {id} is not done: step {last.step} of {pbt.steps}")
    if last.step > pbt.steps:
        problems.append(f"member {id} was trained for {last.step} steps, of {pbt.steps}")
    return problems


def _check_decision(
    record: Record, last: Record, histories: Mapping[int, Sequence[Record]], pbt: PBT
) -> list[str]:
    """Decide again from what was seen, and compare."""
    me, previous = record.member, last.member
    before = _before(me, previous)
    published = (previous.score, previous.scores, previous.hypers)
    decided_on = (before.score, before.scores, before.hypers)
    if previous.waiting and previous.healthy and published != decided_on:
        return [f"{_name(me)} decided with another score or hypers than it had published"]
    if not (previous.waiting or pbt.ready(before)):
        return [] if me.seen is None else [f"{_name(me)} decided although it was not ready"]
    if me.waiting:
        return []
    if me.seen is None:
        return [f"{_name(me)} was ready and did not decide"]
    for id, n in me.seen.items():
        if pbt.mode == "lockstep" and n != _arrival(histories.get(id, ()), me.step):
            return [f"{_name(me)} did not see member {id} as it came to this step"]
        if n is not None and _find(histories.get(id, ()), n) is None:
            return [f"{_name(me)} saw record {n} of member {id}, which is not there"]
    peers = Peers(before, pbt.members, functools.partial(_look, me.seen, histories))
    try:
        donor, rng = decide(before, peers, pbt)
    except LookupError as error:
        return [f"{_name(me)} decided without a look at member {error}, which its rule looks at"]
    chosen = None if donor.id == me.id else (donor.id, donor.n)
    if chosen != me.parent:
        return [f"{_name(me)} has the parent {me.parent}; from what it saw follows {chosen}"]
    if chosen is None:
        return []
    hypers = explore(before, Decision(donor, rng, me.seen, None), pbt)
    if dict(hypers) != dict(me.hypers):
        return [f"{_name(me)} has {dict(me.hypers)}; from what it saw follows {dict(hypers)}"]
    source = _find(histories[donor.id], donor.n)
    if "weights" in pbt.inherit and record.weights is not None:
        theirs = source.weights if source is not None else None
        if theirs is None or theirs.sha256 != record.weights.sha256:
            return [f"{_name(me)} has other weights than {_name(donor)}, which it copied"]
        if record.weights.reseed != random_seed(pbt.seed, "reseed", me.id, me.n):
            return [f"{_name(me)} goes on with another random stream than its own"]
    return []


def _look(
    seen: Mapping[int, int | None], histories: Mapping[int, Sequence[Record]], id: int
) -> Member | None:
    """Return what a decision saw of a member; KeyError if it did not look at it."""
    n = seen[id]
    found = None if n is None else _find(histories[id], n)
    return None if found is None else found.member


def _find(history: Sequence[Record], n: int) -> Record | None:
    """Return the record of a number, of a history that may lack some."""
    index = bisect.bisect_left(history, n, key=lambda record: record.member.n)
    found = history[index] if index < len(history) else None
    return found if found is not None and found.member.n == n else None


def _arrival(history: Sequence[Record], step: int) -> int | None:
    """Return the number of the record with which a member came to a step."""
    index = bisect.bisect_left(history, step, key=lambda record: record.member.step)
    return history[index].member.n if index < len(history) else None


def _before(me: Member, previous: Member) -> Member:
    """Return the member as it was when it decided."""
    dropped = me.dropped
    score = me.score if dropped is None else dropped.score
    before = replace(
        me,
        n=previous.n,  # its own record was not there yet
        score=score,
        seen=None,
        parent=None,
        dropped=None,
        cause="train",
        last_ready=previous.last_ready,
        last_copy=previous.last_copy,
        last_parent=previous.last_parent,
        # what failed after the decision was not known to it
        failures=previous.failures + (me.failures > previous.failures and not math.isfinite(score)),
    )
    if dropped is None:
        return before
    return replace(before, scores=dropped.scores, hypers=dropped.hypers)
