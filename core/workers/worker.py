"""A worker: claim a member, take it through Algorithm 1 to the end of its turn, let it go."""

import contextlib
import errno
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.directory.files import Clock, Files, LeaseLost
from core.directory.heartbeat import Heartbeat
from core.directory.lease import read_lease
from core.directory.machine import kernels, unlike
from core.directory.members import Members
from core.directory.run import Run, check_same
from core.pbt import worker
from core.rules import RuleError
from core.settings import PBT
from core.task import TaskError
from core.tracebacks import last_line
from core.workers.agenda import Agenda, is_done
from core.workers.blame import AllFailed, Blame, Doubtful
from core.workers.guarded_trainer import GuardedTrainer
from core.workers.turn import Turn, begin_turn

# a server of the file system is gone, maybe to return; or it has forgotten a file that we had open
PASSING = (errno.ENOTCONN, errno.ETIMEDOUT, errno.ESTALE)
PASSES = 60.0  # seconds after which that is no longer waited for
SHORTEST = 0.001  # seconds between two looks for a member
MARGIN = 1.25  # times as long as the longest turn so far, the next one may take


def work(
    run: Run,
    *,
    device: str = "cpu",
    durable: bool = True,
    patience: float = 60.0,
    turn_limit: float | None = None,
    lifetime: float = math.inf,
    job: str = "",
    stop: Callable[[], bool] = lambda: False,
    turns: int | None = None,
) -> bool:
    """Be a worker until all members are done, or until told to stop.

    Args:
        device: given to the trainer.
        durable: fsync weights and records.
        patience: seconds without a heartbeat after which another worker counts as dead.
        turn_limit: seconds after which a turn counts as hanging; this process then ends itself.
        lifetime: seconds after which this process will be ended: a turn that is likely to last
            longer than that is not begun.
        job: the batch job of which this worker is a part, for `status`.
        stop: asked after every turn.
        turns: how many turns to take at most.

    Returns:
        Whether all members are done.

    Raises:
        TaskError, RuleError: the task cannot be trained at all, or a rule of the run not be used.
        AllFailed: every member has failed.
        Broken: the trainer works for no member here; or not any more, where it had worked before.
        OSError: the run directory cannot be written.
    """
    clock = Clock()
    seat = GuardedTrainer(run.pbt.task, device, clock)
    end = time.monotonic() + lifetime
    with Heartbeat(run.root, patience=patience, turn_limit=turn_limit, job=job) as me:
        members = Members(run.root, Files(durable, clock), me.warn, run.pbt.task.space)
        if run.pbt.mode == "lockstep":
            for sentence in unlike(run.root, me.name, kernels()):
                me.warn(sentence)
        blame = Blame(run, members, device)
        search = _Search(run, members, me, seat, blame)
        return _Loop(run, me, members, seat, blame, search, clock, end).work(stop, turns)


@dataclass(slots=True)
class _Loop:
    """A worker at work: turn after turn, until all members are done.

    end: when this process will be ended, by its monotonic clock.
    turn: the member that it holds; None while it has none.
    longest: seconds of its longest turn so far.
    taken: how many turns it has taken.
    pause: seconds to wait before the next look, if no member can be had.
    outage: how long the file system has been gone.
    """

    run: Run
    me: Heartbeat
    members: Members
    seat: GuardedTrainer
    blame: Blame
    search: "_Search"
    clock: Clock
    end: float
    turn: Turn | None = None
    longest: float = 0.0
    taken: int = 0
    pause: float = SHORTEST
    outage: "_Outage" = field(default_factory=lambda: _Outage())

    def work(self, stop: Callable[[], bool], turns: int | None) -> bool:
        """Take turns until all members are done, it is told to stop, or its time is over."""
        try:
            while not stop() and (turns is None or self.taken < turns):
                try:
                    if not self._go_on():
                        break
                    self.outage.is_over()
                except OSError as error:
                    self.outage.bear(error)
                    self._wait_for_disk(error)
            if self.turn:
                self.turn.release()
        except BaseException as error:
            self._leave(error)
            raise
        newest = map(self.members.newest, range(self.run.pbt.members))
        return all(record is not None and is_done(record.member, self.run.pbt) for record in newest)

    def _go_on(self) -> bool:
        """Take one turn, or wait a moment for one; return whether there is more to do in time."""
        looked = time.perf_counter()
        with self.clock("claim"):
            self.turn = self.search.next(self.turn)
        if self.turn is None:
            if self.search.agenda.is_empty:
                return False
            self.blame.give_up()
            time.sleep(self.pause)
            spent = time.perf_counter() - looked - self.pause
            self.pause = min(self.pause * 2, max(0.02, 10 * spent))  # a tenth of the time for looks
            return True
        self.pause = SHORTEST
        likely = MARGIN * max(self.longest, self.turn.record.spent)
        if self.taken and time.monotonic() + likely > self.end:
            return False
        self.taken += 1
        self._take(self.turn)
        return True

    def _take(self, turn: Turn) -> None:
        """Take a member through Algorithm 1 to the end of its turn; keep it if it may go on."""
        began, before = time.monotonic(), turn.record
        self.me.busy = (turn.lease.id, began)
        self.turn = self._trained(turn)
        for doubt in self.seat.new_doubts():
            self.me.warn(doubt)
        self.me.busy = None
        self.longest = max(self.longest, time.monotonic() - began)
        if self.turn is None:
            return
        if turn.record is before:  # it waits for another member, which may not be free
            turn.release()
            self.turn = None
            time.sleep(0.01)
            return
        if turn.record.error:
            what = last_line(turn.record.error)
            self.me.warn(f"member {turn.lease.id} failed: {what}", turn.record.error)
        if turn.record.failed:
            _check_that_some_live(self.members, self.run.pbt)

    def _trained(self, turn: Turn) -> Turn | None:
        """Run Algorithm 1 to the next record; return None if nothing of it was published."""
        try:
            with turn.lease.or_lost():
                next(worker(turn.record.member, self.seat, turn, self.run.pbt), None)
            return turn
        except Doubtful as error:
            self.me.warn(f"{error}: nothing of it is published yet", error.trace)
            self.seat.holds = None
            turn.release()
            self.blame.doubt(turn.lease.id, turn.record.member.step, error)
        except LeaseLost as error:
            self.me.warn(f"{error}; what this worker had not published is dropped")
            self.seat.holds = None
            turn.lease.release()
        return None

    def _wait_for_disk(self, error: OSError) -> None:
        """Drop the turn, and wait a second."""
        with contextlib.suppress(OSError):
            self.me.warn(f"{error}: this worker drops its turn, waits and tries again")
        if self.turn:
            with contextlib.suppress(OSError):  # else it is claimed again, from itself
                self.turn.release()
        self.me.busy, self.seat.holds, self.turn = None, None, None
        time.sleep(1.0)

    def _leave(self, error: BaseException) -> None:
        """Let the member go, and say why this worker ends."""
        if self.turn:
            with contextlib.suppress(OSError):  # what is under way says more
                self.turn.release()
        if isinstance(error, TaskError | RuleError | AllFailed):
            with contextlib.suppress(OSError):
                sentence, _, trace = str(error).partition("\n")
                self.me.warn(f"this worker ends: {sentence}", trace)


@dataclass(slots=True)
class _Outage:
    """A file system that is gone for a while: how long a worker bears it.

    since: when it was seen gone first, by the monotonic clock; None while it is there.
    """

    since: float | None = None

    def is_over(self) -> None:
        """Take in that a file system answers."""
        self.since = None

    def bear(self, error: OSError) -> None:
        """Raise the error if it will not pass, or has lasted too long."""
        self.since = time.monotonic() if self.since is None else self.since
        if error.errno not in PASSING or time.monotonic() - self.since > PASSES:
            raise error


LOOKS = 20  # a worker looks at the members that others hold for one part in so many of its time


@dataclass(slots=True)
class _Search:
    """A worker's search for the free member that is furthest behind."""

    run: Run
    population: Members
    me: Heartbeat
    seat: GuardedTrainer
    trust: Blame
    agenda: Agenda = field(init=False)
    _elsewhere: set[int] = field(default_factory=set)  # held by others, when last looked at
    _again: float = 0.0  # when to look at these again
    _info: object = None  # what run.json looked like

    def __post_init__(self) -> None:
        self.agenda = Agenda(self.run.pbt, self._look)

    def next(self, ours: Turn | None) -> Turn | None:
        """Return a turn of another member if one is further behind; else ours, if it may go on."""
        if ours is not None:
            self.agenda.note(ours.record.member)
        found = None
        if self._elsewhere and time.perf_counter() < self._again:
            found = self._find(ours)
        if found is None:
            began = time.perf_counter()
            self._elsewhere.clear()
            found = self._find(ours)
            self._again = began + (LOOKS + 1) * (time.perf_counter() - began)
        if ours is not None and found is not ours:
            ours.release()
        return found

    def _look(self, id: int) -> int:
        """Return a step that a member has reached: from its lease, which costs less than a record.

        In lockstep, where all wait for who is furthest behind, from its record.
        """
        lockstep = self.run.pbt.mode == "lockstep"
        held = None if lockstep else read_lease(self.population.folder(id))
        if held is not None and held.step < self.run.pbt.steps:
            return held.step
        record = self.population.newest(id) if lockstep or held is not None else None
        if record is not None:
            self.agenda.note(record.member)
        if held is not None:
            return held.step
        return 0 if record is None else record.member.step

    def _find(self, ours: Turn | None) -> Turn | None:
        for step, id in self.agenda.candidates(self._elsewhere | self.trust.doubtful(self._look)):
            if ours is not None:
                mine = ours.record.member
                may_go = not is_done(mine, self.run.pbt) and self.agenda.may_go(mine.step)
                if id == mine.id or (may_go and step >= mine.step):
                    return ours
            if turn := self._claimed(id):
                return turn
        return None

    def _claimed(self, id: int) -> Turn | None:
        """Return a turn of a member, if it can be had and there is something to do for it."""
        held = read_lease(folder := self.population.enter(id))
        lease = held and self.me.claim(id, folder, held)
        if lease is None:
            self._elsewhere.add(id)
            return None
        reached = lease.step
        if not lease.orderly:  # if this fails the lease stays ours, and the next one must do it
            self.population.sweep(id, before=lease.epoch)
        try:
            # else another run's members would be trained as ours
            self._info = check_same(self.run, self._info)
            with lease.or_lost():
                turn = begin_turn(
                    self.run, self.population, lease, self.seat, self.me.name, self.trust
                )
            member = turn.record.member
            reached = member.step
            self.agenda.note(member)
            if is_done(member, self.run.pbt) or not self.agenda.may_go(member.step):
                lease.release(reached)  # another worker was faster
                return None
            with lease.or_lost():
                turn.sit()
        except LeaseLost as error:
            self.me.warn(f"{error}; another member is looked for")
            lease.release(reached)
            return None
        except BaseException:
            with contextlib.suppress(OSError):
                lease.release(reached)
            raise
        return turn


def _check_that_some_live(population: Members, pbt: PBT) -> None:
    for id in range(pbt.members):
        record = population.newest(id)
        if record is None or not record.failed:
            return
    histories = map(population.history, range(pbt.members))
    errors = [record.error for history in histories for record in history if record.error]
    raise AllFailed.of(pbt.members, errors[-1] if errors else "(its weights are lost)")
