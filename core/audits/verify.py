"""Recompute every decision of a run from its history, and say what makes two runs the same run."""

import bisect
import functools
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

from core.audits.digest import digest
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import Run
from core.member import WINDOW, Member
from core.pbt import Decision, decide, explore, is_ready, is_same, scheduled, start
from core.peers import Peers
from core.settings import PBT
from core.streams import random_seed


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
    population = Members(run.root, warn=problems.append)
    histories = {id: population.history(id) for id in range(run.pbt.members)}
    return examine(histories, run, problems, tick)


def examine(
    histories: Mapping[int, list[Record]],
    run: Run,
    problems: Sequence[str] = (),
    tick: Callable[[int], None] = lambda _: None,
) -> Verdict:
    """Check histories that any backend has made.

    Args:
        histories: by member, its records, oldest first.
        run: whose settings they are held to.
        problems: what was wrong already, before they were read.
    """
    problems = list(problems)
    decisions = copies = 0
    for id, history in histories.items():
        problems += _check_order(id, history, run.pbt) + _check_origin(history, run)
        for previous, record in itertools.pairwise(history):
            problems += _check_decision(record, previous, histories, run)
        for record in history:
            decisions += record.member.seen is not None
            copies += record.member.parent is not None
        tick(id + 1)
    total = sum(map(len, histories.values()))
    return Verdict(problems, total, decisions, copies, digest(histories.values()))


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
    if not _same(replace(first, hypers={}), Member(id=id)):
        problems.append(f"{_name(first)} is no start")
    for before, after in itertools.pairwise(history):
        old, new = before.member, after.member
        if new.step not in (old.step, old.step + 1) or (new.step == old.step) != old.waiting:
            problems.append(f"{_name(new)} does not follow on {_name(old)}")
    last = history[-1].member
    if last.step < pbt.steps or last.waiting:
        problems.append(f"member {id} is not done: step {last.step} of {pbt.steps}")
    if last.step > pbt.steps:
        problems.append(f"member {id} was trained for {last.step} steps, of {pbt.steps}")
    return problems


def _check_origin(history: Sequence[Record], run: Run) -> list[str]:
    """Check that the records are of this run, and that what they say of a failure fits."""
    problems = []
    for record in history:
        if record.run not in ("", run.id):
            problems.append(f"{_name(record.member)} is of another run, {record.run}")
        if record.failed and record.weights is not None:
            problems.append(f"{_name(record.member)} has failed, and has weights all the same")
        missing = record.weights is None and not record.failed and record.member.step > 0
        if missing and record.backend == "workers":
            problems.append(f"{_name(record.member)} has no weights, and has not failed")
    return problems


def _check_decision(
    record: Record, last: Record, histories: Mapping[int, Sequence[Record]], run: Run
) -> list[str]:
    """Go from one record to the next as Algorithm 1 does, and compare what came of it."""
    pbt = run.pbt
    me, before = record.member, _before(record.member, last.member, pbt)
    problems = _check_training(record, before, last)
    ready = last.member.waiting or is_ready(before, pbt)
    if not ready or me.waiting:
        if me.seen is not None:
            return [*problems, f"{_name(me)} decided although it was not ready"]
        return problems + _differences(me, replace(before, waiting=ready and me.waiting))
    if me.seen is None:
        return [*problems, f"{_name(me)} was ready and did not decide"]
    for id, n in me.seen.items():
        if pbt.mode == "lockstep" and n != _arrival(histories.get(id, ()), me.step):
            return [f"{_name(me)} did not see member {id} as it came to this step"]
        if n is not None and _find(histories.get(id, ()), n) is None:
            return [f"{_name(me)} saw record {n} of member {id}, which is not there"]
    look = functools.partial(_look, me.seen, histories)
    past = functools.partial(_past, histories)
    peers = Peers(before, pbt.members, look, past=past)
    if me.seen.get(me.id, 0) is None:
        peers.leave_out(me.id)
    try:
        donor, rng = decide(before, peers, pbt)
    except LookupError as error:
        return [f"{_name(me)} decided without a look at member {error}, which its rule looks at"]
    after = before
    if not is_same(before, donor):
        try:
            hypers = explore(before, Decision(donor, True, peers, rng, None), pbt)
        except LookupError as error:
            return [f"{_name(me)} explored without a look at member {error}, at which it looks"]
        after = after.copied(donor, hypers)
        if donor is not None:
            problems += _check_weights(record, donor, histories, run)
    after = after.decided(me.seen)
    return problems + _differences(me, after)


def _before(me: Member, last: Member, pbt: PBT) -> Member:
    """Return the member as it was when it decided, or would have: trained, and evaluated."""
    if last.waiting:
        return replace(last, waiting=False)
    dropped = me.dropped
    score, scores = (me.score, me.scores) if dropped is None else (dropped.score, dropped.scores)
    # what failed after the decision was not known to it
    failed = me.failures if dropped is None or not math.isfinite(score) else last.failures
    trained = scheduled(last.trained((math.nan,)), pbt)
    return replace(trained, score=score, scores=scores, failures=failed)


def _check_training(record: Record, before: Member, last: Record) -> list[str]:
    """Check what a training, an evaluation or a failure can have done, which none can repeat."""
    me, problems = record.member, []
    if not last.member.waiting and not _follow(before.scores, before.score, last.member.scores):
        problems.append(f"{_name(me)} has scores that do not follow on those of the record before")
    if me.dropped is not None and not _follow(me.scores, me.score, ()):
        problems.append(f"{_name(me)} has scores of before its copy")
    if (me.failures > last.member.failures) != (record.error is not None):
        problems.append(f"{_name(me)} counts {me.failures} failures, after {last.member.failures}")
    return problems


def _follow(scores: tuple[float, ...], score: float, past: tuple[float, ...]) -> bool:
    """Whether these are the scores after one more evaluation, or its sample."""
    if not scores:
        return False
    if math.isnan(score):  # it may have failed to save, too
        return _same(scores[:-1], (*past, 0.0)[-WINDOW:][:-1]) or len(scores) > 1
    if _same(scores, (*past, score)[-WINDOW:]):
        return True
    finite = all(map(math.isfinite, scores))
    return len(scores) > 1 and finite and math.fsum(x / len(scores) for x in scores) == score


def _differences(me: Member, expected: Member) -> list[str]:
    """Compare all but the number and what no reader can compute: the score after a copy."""
    names = [field.name for field in fields(Member) if field.name not in ("n", "failures")]
    if me.dropped is not None:
        names = [name for name in names if name not in ("score", "scores")]
    if math.isnan(me.score):  # a trainer that failed to save, after the decision
        names = [name for name in names if name != "score"]
    return [
        f"{_name(me)} has {name} = {getattr(me, name)}; from what it saw follows "
        f"{getattr(expected, name)}"
        for name in names
        if not _same(getattr(me, name), getattr(expected, name))
    ]


def _same(one: object, other: object) -> bool:
    """Whether two values are equal, NaN being equal to itself."""
    return repr(one) == repr(other) if one != other else True


def _check_weights(
    record: Record, donor: Member, histories: Mapping[int, Sequence[Record]], run: Run
) -> list[str]:
    """Check that a copy holds its donor's weights, and draws from a stream of its own."""
    me, weights = record.member, record.weights
    if "weights" not in run.pbt.inherit or weights is None:
        return []
    source = _find(histories[donor.id], donor.n)
    theirs = source.weights if source is not None else None
    if theirs is None or theirs.sha256 != weights.sha256:
        return [f"{_name(me)} has other weights than {_name(donor)}, which it copied"]
    if weights.reseed != random_seed(run.pbt.seed, "reseed", me.id, me.n, bits=run.seed_bits):
        return [f"{_name(me)} goes on with another random stream than its own"]
    return []


def _look(
    seen: Mapping[int, int | None], histories: Mapping[int, Sequence[Record]], id: int
) -> Member | None:
    """Return what a decision saw of a member; KeyError if it did not look at it."""
    n = seen[id]
    found = None if n is None else _find(histories[id], n)
    return None if found is None else found.member


def _past(histories: Mapping[int, Sequence[Record]], id: int, n: int) -> list[Member]:
    """Return the records of a member up to a number."""
    return [record.member for record in histories[id] if record.member.n <= n]


def _find(history: Sequence[Record], n: int) -> Record | None:
    """Return the record of a number, of a history that may lack some."""
    index = bisect.bisect_left(history, n, key=lambda record: record.member.n)
    found = history[index] if index < len(history) else None
    return found if found is not None and found.member.n == n else None


def _arrival(history: Sequence[Record], step: int) -> int | None:
    """Return the number of the record with which a member came to a step."""
    index = bisect.bisect_left(history, step, key=lambda record: record.member.step)
    return history[index].member.n if index < len(history) else None
