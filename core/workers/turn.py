"""A turn: the population as Algorithm 1 sees it from one member, as long as its lease is held."""

import socket
import time
from dataclasses import dataclass, field, replace

from core.directory.files import LeaseLost, Unreadable
from core.directory.lease import Lease
from core.directory.members import Members
from core.directory.record import Record, Weights, record_of
from core.directory.run import Run, RunError
from core.directory.weights import weights_name
from core.member import Member
from core.pbt import Learner, WeightsLost, start
from core.peers import Peers
from core.settings import PBT
from core.streams import SEED_BITS, random_seed
from core.task import TaskError
from core.tracebacks import last_line
from core.workers.blame import Blame, Doubtful
from core.workers.guarded_trainer import RAISED, GuardedTrainer, WeightsFile, let_go

BACKEND = "workers"  # as records call it


@dataclass(slots=True)
class Turn:
    """The population as Algorithm 1 sees it from one member, as long as its lease is held."""

    pbt: PBT
    population: Members
    lease: Lease
    seat: GuardedTrainer
    name: str
    record: Record
    trust: Blame
    bits: int = SEED_BITS  # of the seeds that the trainer is given
    run: str = ""  # the id of the run
    copied: int = 0
    known: dict[WeightsFile, Weights] = field(default_factory=dict)

    def release(self) -> None:
        """Let the member go."""
        self.lease.release(self.record.member.step)

    def sit(self) -> None:
        """Let the seat be this member's: what it was trained to, or its start."""
        record, id = self.record, self.record.member.id
        beginning: WeightsFile | int | None = None  # of a failed member, until it copies another
        if record.weights is not None:
            try:
                path = self.population.weights.find(id, record.weights)
                beginning = WeightsFile(path, record.weights.reseed)
                self.known[beginning] = record.weights
            except WeightsLost as error:
                self.population.warn(f"{error}: member {id} counts as failed until it copies one")
        elif record.member.step == 0:
            beginning = random_seed(self.pbt.seed, "trainer", id, bits=self.bits)
        self.seat.take(id, beginning)

    def seen_by(self, me: Member) -> Peers | None:
        """Return the others' newest records (in lockstep: those of this very step), and `me`."""
        lockstep = self.pbt.mode == "lockstep"
        if lockstep and not (
            me.waiting and self.population.have_all_come(me.step, self.pbt.members)
        ):
            return None
        return Peers(me, self.pbt.members, self._look, past=self._past)

    def _past(self, id: int, n: int) -> list[Member]:
        """Return the records of a member up to a number."""
        history = (record.member for record in self.population.history(id))
        return [member for member in history if member.n <= n]

    def _look(self, id: int) -> Member | None:
        """Return another member as this one may see it; None if it cannot be compared with."""
        me = self.record.member
        record: Record | None
        try:
            if self.pbt.mode == "lockstep":
                record = self.population.at_step(id, me.step)
            else:
                record = self.population.newest(id)
        except (FileNotFoundError, Unreadable) as error:
            self.population.complain(f"{error}; member {me.id} decides without it")
            record = None
        if record is None or record.member.step == 0:
            return None  # not evaluated yet: to rank it last would flatter the others
        return record.member

    def weights(self, member: Member) -> WeightsFile:
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
            seed = random_seed(self.pbt.seed, "reseed", me.id, me.n + 1, bits=self.bits)
            loadable = WeightsFile(path, seed)
            self.known[loadable] = replace(source, name=name, reseed=seed)
            return loadable

    def fresh(self, me: Member) -> int:
        """Return the seed of weights that were never trained."""
        before = self.record.member
        return random_seed(self.pbt.seed, "restart", me.id, before.n + 1, bits=self.bits)

    def update(self, me: Member, trainer: Learner) -> Member:
        """Publish the member: its weights first, then the record that names them."""
        seat = self.seat
        assert trainer is seat, "another trainer"
        assert seat.member == me.id, f"weights of member {seat.member}, hypers of {me.id}"
        before = self.record.member
        me = replace(me, n=before.n + 1)
        weights, written = self._weights(me)
        has_loaded = seat.loads > 0 or not seat.lost_load
        if seat.raised and not self.trust.believes(me.id, has_loaded=has_loaded):
            raise Doubtful(
                f"the trainer raised for member {me.id}: {last_line(seat.error)}", seat.error or ""
            )
        record = record_of(
            me,
            self.record,
            raised=seat.raised,
            failed=seat.failed,
            error=seat.error,
            report=seat.report_of(me, self.record, self.pbt, self.population.warn),
            weights=weights,
            seconds=seat.clock.take(),
            bytes=written + self.copied,
            worker=self.name,
            host=socket.gethostname(),
            time=time.time(),
            run=self.run,
            backend=BACKEND,
        )
        with seat.clock("publish"):
            self.population.publish(record, self.lease)
            self.record, self.copied = record, 0
            self.trust.note(seat.raised, record.member.step > before.step)
            seat.error, seat.raised = None, 0
            self._prune()
        return record.member

    def _weights(self, me: Member) -> tuple[Weights | None, int]:
        """Return the file that the trainer is equal to, and the bytes that had to be written."""
        seat = self.seat
        if seat.failed:
            return None, 0
        if isinstance(seat.state, WeightsFile) and seat.state in self.known:
            return self.known[seat.state], 0
        name = weights_name(me.n, self.lease.epoch)
        try:
            weights = self.population.weights.save(me.id, name, seat.save, self.lease)
        except (LeaseLost, TaskError):
            raise
        except OSError as error:
            ours = str(self.population.root)
            if error.filename is None or str(error.filename).startswith(ours):
                raise  # a full disk, say, is not the trainer's failure
            seat.fail(error)
            return None, 0
        except RAISED as error:
            let_go(error)
            seat.fail(error)
            return None, 0
        seat.holds = WeightsFile(self.population.folder(me.id) / "weights" / name)
        self.known = {seat.holds: weights}
        return weights, weights.bytes

    def _prune(self) -> None:
        """Keep the weights of the last steps: what another may still want to copy."""
        record, keep = self.record, []
        id, oldest = record.member.id, record.member.step - self.pbt.keep
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


def begin_turn(
    run: Run, population: Members, lease: Lease, seat: GuardedTrainer, name: str, trust: Blame
) -> Turn:
    """Find out where a member is; publish its start if it was never trained before."""
    id, pbt = lease.id, run.pbt
    record = population.head(id, lease)
    if record is None:
        record = Record(
            member=start(id, pbt),
            worker=name,
            host=socket.gethostname(),
            time=round(time.time(), 3),
            run=run.id,
            backend=BACKEND,
        )
        population.publish(record, lease)
    if record.run and record.run != run.id:
        raise RunError(
            f"{population.folder(id)} holds records of another run ({record.run}) than run.json "
            f"({run.id}): it was copied there. Remove the folder, and the member begins anew"
        )
    return Turn(pbt, population, lease, seat, name, record, trust, run.seed_bits, run.id)
