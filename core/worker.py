"""A worker: claim a member, take it through Algorithm 1 to the end of its turn, let it go."""

import contextlib
import errno
import math
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from core.agenda import Agenda, is_done
from core.files import Clock, Files, Taken, Unreadable
from core.lease import Lease, LeaseLost, Worker, read_lease
from core.member import Member
from core.pbt import PBT, Learner, Loadable, WeightsLost, random_seed, start, worker
from core.peers import Peers
from core.population import Population
from core.record import Record, Weights, report_size
from core.run import Run, check_same
from core.seat import DiskError, Seat
from core.task import Report, TaskError
from core.weights import weights_name

# a server of the file system is gone, maybe to return; or it has forgotten a file that we had open
PASSING = (errno.ENOTCONN, errno.ETIMEDOUT, errno.ESTALE)
PASSES = 60.0  # seconds after which that is no longer waited for
MARGIN = 1.25  # times as long as the longest turn so far, the next one may take
LARGEST_REPORT = 4 * 2**20  # bytes: a record is read whole by everybody who looks


class AllFailed(Exception):
    """Every member has failed: there is nothing left to go on from."""


@dataclass(slots=True)
class Turn:
    """The population as Algorithm 1 sees it from one member, as long as its lease is held."""

    pbt: PBT
    population: Population
    lease: Lease
    seat: Seat
    name: str
    record: Record
    copied: int = 0
    known: dict[Loadable, Weights] = field(default_factory=dict)

    def release(self) -> None:
        """Let the member go."""
        self.lease.release(self.record.member.step)

    def sit(self) -> None:
        """Let the seat be this member's: what it was trained to, or its start."""
        record, id = self.record, self.record.member.id
        beginning: Loadable | int | None = None  # of a member that failed: until it copies somebody
        if record.weights is not None:
            try:
                path = self.population.weights.find(id, record.weights)
                beginning = Loadable(path, record.weights.reseed)
                self.known[beginning] = record.weights
            except WeightsLost as error:
                self.population.warn(f"{error}: member {id} counts as failed until it copies one")
        elif record.member.step == 0:
            beginning = random_seed(self.pbt.seed, "trainer", id)
        self.seat.take(id, beginning)

    def seen_by(self, me: Member) -> Peers | None:
        """Return the others' newest records (in lockstep: those of this very step), and `me`."""
        if self.pbt.mode == "lockstep":
            with self.seat.clock("read"):
                if not (me.waiting and self.population.have_all_come(me.step, self.pbt.members)):
                    return None
        return Peers(me, self.pbt.members, self._look)

    def _look(self, id: int) -> Member | None:
        """Return another member as this one may see it; None if it cannot be compared with."""
        began, me, record = time.perf_counter(), self.record.member, None
        try:
            if self.pbt.mode == "lockstep":
                record = self.population.at_step(id, me.step)
            else:
                record = self.population.newest(id)
        except (FileNotFoundError, Unreadable) as error:
            self.population.complain(f"{error}; member {me.id} decides without it")
            record = None
        self.seat.clock.add("read", time.perf_counter() - began)
        if record is None or record.member.step == 0:
            return None  # not evaluated yet: to rank it last would flatter the others
        return record.member

    def weights(self, member: Member) -> Loadable:
        """Link a donor's weights into our own folder, and look at each byte of them."""
        with self.seat.clock("pin"):
            try:
                source = self.population.record(member.id, member.n).weights
            except (FileNotFoundError, Unreadable) as error:
                raise WeightsLost(str(error)) from error
            if source is None:
                raise WeightsLost(f"member {member.id} has no weights at record {member.n}")
            me = self.record.member
            name = weights_name(me.n + 1, self.lease.epoch)
            try:
                path, copied = self.population.weights.pin(
                    member.id, source, me.id, name, self.lease
                )
            except WeightsLost as error:
                self.population.warn(f"{error}: member {me.id} looks for another donor")
                raise
            self.copied += copied
            seed = random_seed(self.pbt.seed, "reseed", me.id, me.n + 1)
            loadable = Loadable(path, seed)
            self.known[loadable] = replace(source, name=name, reseed=seed)
            return loadable

    def update(self, me: Member, trainer: Learner) -> Member:
        """Publish the member: its weights first, then the record that names them."""
        seat = self.seat
        assert trainer is seat, "another trainer"
        assert seat.member == me.id, f"weights of member {seat.member}, hypers of {me.id}"
        before = self.record.member
        me = replace(me, n=before.n + 1)
        weights, written = self._weights(me)
        last = not me.waiting and me.step >= self.pbt.steps
        news = me.parent is not None or not before.waiting  # θ is not that of before
        report = self._report() if last or (news and self.pbt.report(me)) else {}
        me = replace(
            me,
            failures=before.failures + seat.raised,
            score=math.nan if seat.failed else me.score,  # it may have failed to save
        )
        record = Record(
            member=me,
            report=report,
            weights=weights,
            error=seat.error,
            seconds={phase: round(spent, 6) for phase, spent in seat.clock.take().items()},
            bytes=written + self.copied,
            worker=self.name,
            host=socket.gethostname(),
            time=round(time.time(), 3),
        )
        with seat.clock("publish"):
            self.population.publish(record, self.lease)
            self.record, self.copied = record, 0
            seat.error, seat.raised = None, 0
            self._prune()
        return me

    def _weights(self, me: Member) -> tuple[Weights | None, int]:
        """Return the file that the trainer is equal to, and the bytes that had to be written."""
        seat = self.seat
        if seat.failed:
            return None, 0
        if isinstance(seat.state, Loadable) and seat.state in self.known:
            return self.known[seat.state], 0
        name = weights_name(me.n, self.lease.epoch)
        try:
            weights = self.population.weights.save(me.id, name, seat.save, self.lease)
        except (OSError, LeaseLost, Taken, TaskError):
            raise  # a full disk, say, is not the trainer's failure
        except Exception:
            seat.fail()
            return None, 0
        seat.holds = Loadable(self.population.folder(me.id) / "weights" / name)
        self.known = {seat.holds: weights}
        return weights, weights.bytes

    def _report(self) -> Report:
        try:
            report = self.seat.report()
            if (size := report_size(report)) > LARGEST_REPORT:
                raise ValueError(f"it has {size} bytes, of {LARGEST_REPORT} at most")
            return report
        except DiskError:
            raise
        except Exception as error:  # no reason to lose what was trained
            id = self.record.member.id
            self.population.warn(f"report() of member {id} failed and is left out: {error!r}")
            return {}

    def _prune(self) -> None:
        """Keep the weights of the last two steps: what another may still want to copy."""
        record, keep = self.record, []
        id, oldest = record.member.id, record.member.step - 1
        while record.member.step >= oldest:
            if record.weights is not None:
                keep.append(record.weights.name)
            if record.member.n == 0:
                break
            try:
                record = self.population.record(id, record.member.n - 1)
            except (Unreadable, FileNotFoundError) as error:
                self.population.warn(f"{error}; no weights of member {id} are removed for now")
                return
        self.population.weights.prune(id, keep, self.lease.epoch)


def begin_turn(run: Run, population: Population, lease: Lease, seat: Seat, name: str) -> Turn:
    """Find out where a member is; publish its start if it was never trained before."""
    id, pbt = lease.id, run.pbt
    record = population.head(id, lease)
    if record is None:
        record = Record(member=start(id, pbt), worker=name, host=socket.gethostname())
        population.publish(replace(record, time=round(time.time(), 3)), lease)
    return Turn(pbt, population, lease, seat, name, record)


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
        lifetime: seconds after which somebody ends this process: a turn that is likely to last
            longer than that is not begun.
        job: the batch job of which this worker is a part, for `status`.
        stop: asked after every turn.
        turns: how many turns to take at most.

    Returns:
        Whether all members are done.

    Raises:
        TaskError: the task cannot be trained at all.
        AllFailed: every member has failed.
        OSError: the run directory cannot be written.
    """
    clock = Clock()
    seat = Seat(run.pbt.task, device, clock)
    end, longest = time.monotonic() + lifetime, 0.0
    with Worker(run.root, patience=patience, turn_limit=turn_limit, job=job) as me:
        population = Population(run.root, Files(durable, clock), me.warn, run.pbt.task.space)
        search = _Search(run, population, me, seat)
        turn: Turn | None = None
        pause = 0.001
        taken = 0
        lost: float | None = None  # since when the file system has been gone
        try:
            while not stop() and (turns is None or taken < turns):
                try:
                    looked = time.perf_counter()
                    with clock("claim"):
                        turn = search.next(turn)
                    if turn is None:
                        lost = None
                        if search.agenda.is_empty:
                            return True
                        time.sleep(pause)
                        spent = time.perf_counter() - looked - pause
                        # a tenth of the time for looks
                        pause = min(pause * 2, max(0.02, 10 * spent))
                        continue
                    pause = 0.001
                    began = time.monotonic()
                    if taken and began + MARGIN * max(longest, turn.record.spent) > end:
                        break
                    taken += 1
                    me.busy = (turn.lease.id, began)
                    before = turn.record
                    try:
                        next(worker(turn.record.member, seat, turn, run.pbt), None)
                    except (LeaseLost, Taken) as error:
                        me.warn(f"{error}; what this worker had not published is dropped")
                        seat.holds = None
                        turn.lease.release()
                        turn = None
                    me.busy = None
                    longest = max(longest, time.monotonic() - began)
                    if turn and turn.record is before:  # it waits for another, maybe not free
                        turn.release()
                        turn = None
                        time.sleep(0.01)
                    if turn and turn.record.error:
                        last_line = turn.record.error.strip().splitlines()[-1]
                        me.warn(f"member {turn.lease.id} failed: {last_line}")
                    if turn and turn.record.weights is None:
                        _check_that_some_live(population, run.pbt)
                    lost = None
                except OSError as error:
                    lost = time.monotonic() if lost is None else lost
                    if error.errno not in PASSING or time.monotonic() - lost > PASSES:
                        raise
                    with contextlib.suppress(OSError):
                        me.warn(f"{error}: this worker drops its turn, waits and tries again")
                    if turn:
                        with contextlib.suppress(OSError):  # else it is claimed again, from itself
                            turn.release()
                    me.busy, seat.holds, turn = None, None, None
                    time.sleep(1.0)
            if turn:
                turn.release()
            return all(
                record is not None and is_done(record.member, run.pbt)
                for record in map(population.newest, range(run.pbt.members))
            )
        except BaseException:
            if turn:
                with contextlib.suppress(OSError):  # what is under way says more
                    turn.release()
            raise


LOOKS = 20  # a worker looks at the members that others hold for one part in so many of its time


@dataclass(slots=True)
class _Search:
    """A worker's search for the free member that is furthest behind."""

    run: Run
    population: Population
    me: Worker
    seat: Seat
    agenda: Agenda = field(init=False)
    _elsewhere: set[int] = field(default_factory=set)  # held by others, when last looked at
    _again: float = 0.0  # when to look at these again

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
        for step, id in self.agenda.candidates(self._elsewhere):
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
            check_same(self.run)  # else another run's members would be trained as ours
            turn = begin_turn(self.run, self.population, lease, self.seat, self.me.name)
            member = turn.record.member
            reached = member.step
            self.agenda.note(member)
            if is_done(member, self.run.pbt) or not self.agenda.may_go(member.step):
                lease.release(reached)  # another worker was faster
                return None
            turn.sit()
        except (LeaseLost, Taken) as error:
            self.me.warn(f"{error}; another member is looked for")
            lease.release(reached)
            return None
        except BaseException:
            with contextlib.suppress(OSError):
                lease.release(reached)
            raise
        return turn


def _check_that_some_live(population: Population, pbt: PBT) -> None:
    for id in range(pbt.members):
        record = population.newest(id)
        if record is None or record.member.step == 0 or record.weights is not None:
            return
    histories = map(population.history, range(pbt.members))
    errors = [record.error for history in histories for record in history if record.error]
    raise AllFailed(
        f"every one of the {pbt.members} members has failed; the last error was:\n"
        + (errors[-1] if errors else "(its weights are lost)")
    )
