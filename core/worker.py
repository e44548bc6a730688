"""A worker: claim a member, take it through Algorithm 1 to the end of its turn, let it go."""

import math
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from core.files import Clock, Files
from core.lease import Held, Lease, LeaseLost, Worker, lay_out, list_leases
from core.member import Member
from core.pbt import PBT, Learner, Loadable, WeightsLost, random_seed, start, worker
from core.population import Population, Taken, weights_name
from core.record import Record, Unreadable, Weights, report_size
from core.run import Run
from core.seat import Seat
from core.task import Report, TaskError

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

    def sit(self) -> None:
        """Let the seat be this member's: what it was trained to, or its start."""
        record, id = self.record, self.record.member.id
        beginning: Loadable | int | None = None  # of a member that failed: until it copies somebody
        if record.weights is not None:
            try:
                path = self.population.weights(id, record.weights)
                beginning = Loadable(path, record.weights.reseed)
                self.known[beginning] = record.weights
            except WeightsLost as error:
                self.population.warn(f"{error}: member {id} counts as failed until it copies one")
        elif record.member.step == 0:
            beginning = random_seed(self.pbt.seed, "trainer", id)
        self.seat.take(id, beginning)

    def seen_by(self, me: Member) -> Sequence[Member] | None:
        """Return the others' newest records (in lockstep: those of this very step), and `me`."""
        with self.seat.clock("read"):
            seen = [me]
            for id in range(self.pbt.members):
                if id == me.id:
                    continue
                if self.pbt.mode == "lockstep":
                    try:
                        record = self.population.at_step(id, me.step) if me.waiting else None
                    except (Unreadable, FileNotFoundError) as error:
                        self.population.warn(f"{error}: member {me.id} decides without it")
                        continue
                    if record is None:
                        return None
                else:
                    record = self.population.newest(id)
                    if record is None or record.member.step == 0:
                        continue  # not evaluated yet: to rank it last would flatter the others
                seen.append(record.member)
            return sorted(seen, key=lambda member: member.id)

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
                path, copied = self.population.pin_weights(member.id, source, me.id, name)
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
        seat, fence = self.seat, self.lease.fence
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
            self.population.publish(record, fence)
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
            weights = self.population.save_weights(me.id, name, seat.save, self.lease.fence)
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
        self.population.prune_weights(id, keep, self.lease.epoch)


def begin_turn(run: Run, population: Population, lease: Lease, seat: Seat, name: str) -> Turn:
    """Find out where a member is; publish its start if it was never trained before."""
    id, pbt = lease.id, run.pbt
    if not lease.orderly:
        population.sweep(id)
    record = population.head(id)
    if record is None:
        record = Record(member=start(id, pbt), worker=name, host=socket.gethostname())
        population.publish(replace(record, time=round(time.time(), 3)), lease.fence)
    return Turn(pbt, population, lease, seat, name, record)


def runnable(me: Member, least: int, pbt: PBT) -> bool:
    """Whether there is something to do for a member now.

    Args:
        least: the step of the member that is furthest behind; in lockstep nobody leaves it behind.
    """
    if not me.waiting and me.step >= pbt.steps:
        return False
    return pbt.mode == "asynchronous" or me.step <= least


def work(
    run: Run,
    *,
    device: str = "cpu",
    durable: bool = True,
    patience: float = 60.0,
    turn_limit: float | None = None,
    stop: Callable[[], bool] = lambda: False,
    turns: int | None = None,
) -> bool:
    """Be a worker until all members are done, or until told to stop.

    Args:
        device: given to the trainer.
        durable: fsync weights and records.
        patience: seconds without a heartbeat after which another worker counts as dead.
        turn_limit: seconds after which a turn counts as hanging; this process then ends itself.
        stop: asked after every turn.
        turns: how many turns to take at most.

    Returns:
        Whether all members are done.

    Raises:
        TaskError: the task cannot be trained at all.
        AllFailed: every member has failed.
        OSError: the run directory cannot be written.
    """
    lay_out(run.root, run.pbt.members)
    clock = Clock()
    seat = Seat(run.pbt.task, device, clock)
    with Worker(run.root, patience=patience, turn_limit=turn_limit) as me:
        population = Population(run.root, Files(durable, clock), me.warn)
        held: tuple[Turn, Lease] | None = None
        pause = 0.001
        taken = 0
        try:
            while not stop() and (turns is None or taken < turns):
                looked = time.perf_counter()
                with clock("claim"):
                    for glance in (True, False):  # look again before there is nothing to do
                        members = _members(population, run.pbt, glance)
                        if chosen := _choose(run, population, me, seat, members, held):
                            break
                    if held and chosen is None:
                        held[1].release()
                    held = chosen
                    if held is None and _is_done(members, run.pbt):
                        return True
                if held is None:
                    time.sleep(pause)
                    spent = time.perf_counter() - looked - pause
                    pause = min(pause * 2, max(0.02, 10 * spent))  # a tenth of the time for looks
                    continue
                pause = 0.001
                taken += 1
                turn, lease = held
                me.busy = (lease.id, time.monotonic())
                try:
                    next(worker(turn.record.member, seat, turn, run.pbt), None)
                except (LeaseLost, Taken) as error:
                    me.warn(f"{error}; what this worker did meanwhile is dropped")
                    seat.holds, held = None, None
                me.busy = None
                if held and turn.record.error:
                    last_line = turn.record.error.strip().splitlines()[-1]
                    me.warn(f"member {lease.id} failed: {last_line}")
                if held and turn.record.weights is None:
                    _check_that_some_live(population, run.pbt)
            return _is_done(_members(population, run.pbt, glance=False), run.pbt)
        finally:
            if held:
                held[1].release()


def _members(population: Population, pbt: PBT, glance: bool) -> dict[int, Member]:
    records = ((id, population.newest(id, glance=glance)) for id in range(pbt.members))
    return {id: record.member for id, record in records if record is not None}


def _is_done(members: Mapping[int, Member], pbt: PBT) -> bool:
    return len(members) == pbt.members and all(
        member.step >= pbt.steps and not member.waiting for member in members.values()
    )


def _choose(
    run: Run,
    population: Population,
    me: Worker,
    seat: Seat,
    members: Mapping[int, Member],
    held: tuple[Turn, Lease] | None,
) -> tuple[Turn, Lease] | None:
    """Return a turn of the free member that is furthest behind; keep ours if none is further."""
    pbt = run.pbt
    order = sorted(
        range(pbt.members),
        key=lambda id: (members[id].step if id in members else 0, id),
    )
    least = members[order[0]].step if order[0] in members else 0
    leases: dict[int, Held] | None = None
    for id in order:
        known = members.get(id)
        if known is not None and not runnable(known, least, pbt):
            continue
        if held and held[1].id == id:
            return held
        if held and known is not None and known.step >= held[0].record.member.step:
            continue  # no further behind than ours
        leases = list_leases(run.root) if leases is None else leases
        if id not in leases:  # a listing may miss what is renamed meanwhile
            continue
        lease = me.claim(id, leases[id])
        if lease is None:
            continue
        try:
            turn = begin_turn(run, population, lease, seat, me.name)
        except (LeaseLost, Taken) as error:
            me.warn(str(error))
            continue
        except BaseException:
            lease.release()
            raise
        if not runnable(turn.record.member, least, pbt):  # another worker was faster
            lease.release()
            continue
        if held:
            held[1].release()
        turn.sit()
        return turn, lease
    return None


def _check_that_some_live(population: Population, pbt: PBT) -> None:
    errors = []
    for id in range(pbt.members):
        record = population.newest(id)
        if record is None or record.member.step == 0 or record.weights is not None:
            return
        errors += [past.error for past in population.history(id) if past.error]
    raise AllFailed(
        f"every one of the {pbt.members} members has failed; the last error was:\n"
        + (errors[-1] if errors else "(its weights are lost)")
    )
