"""A population in this process, without files: the same Algorithm 1, decisions and records.

Each member has a trainer of its own, and members take turns. In lockstep the history is that of a
run directory with the same settings, record by record. θ is copied as an object where the trainer
has `snapshot` and `restore`, else by `save` and `load` through a temporary folder.
"""

import contextlib
import itertools
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core.directory.record import Record, encode, record_of
from core.member import Member
from core.pbt import Learner, WeightsLost, start, worker
from core.peers import Arrivals, Peers
from core.settings import PBT
from core.streams import random_seed
from core.task import Snapshots, Trainer
from core.tracebacks import last_line
from core.workers.agenda import is_done
from core.workers.blame import AllFailed
from core.workers.guarded_trainer import GuardedTrainer, reseed
from core.workers.watched import Reads

BACKEND = "memory"  # as records call it


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """The weights of a member at one of its records.

    state: what `snapshot` returned, or the path of a saved file.
    reseed: for a copy, the seed of the random stream that it goes on with.
    """

    state: object
    reseed: int | None = None

    def into(self, trainer: Trainer) -> None:
        """Let the trainer go on from here."""
        if isinstance(trainer, Snapshots):
            trainer.restore(self.state)
        else:
            assert isinstance(self.state, Path)
            trainer.load(self.state)
        reseed(trainer, self.reseed)


@dataclass(slots=True)
class Slot:
    """One member: its trainer, its records, and the population as Algorithm 1 sees it from there.

    records: oldest first.
    arrivals: by step, the number of the record with which the member came to it.
    kept: by record, weights that another member may still copy although the trainer went on.
    turns: Algorithm 1 for this member.
    """

    crowd: "Crowd"
    id: int
    seat: GuardedTrainer
    records: list[Record]
    arrivals: list[int] = field(default_factory=lambda: [0])
    kept: dict[int, object] = field(default_factory=dict)
    turns: Iterator[Member] = field(default_factory=lambda: iter(()))

    @property
    def member(self) -> Member:
        """The member as it was published last."""
        return self.records[-1].member

    @property
    def is_done(self) -> bool:
        """Whether the member has come to its last step, and decided there."""
        return is_done(self.member, self.crowd.pbt)

    def seen_by(self, me: Member) -> Peers | None:
        """Return the others' newest records (in lockstep: those of this very step), and `me`."""
        crowd = self.crowd
        if crowd.pbt.mode == "lockstep" and not (me.waiting and crowd.have_all_come(me.step)):
            return None
        return Peers(me, crowd.pbt.members, lambda id: crowd.look(id, me.step), past=crowd.past)

    def weights(self, member: Member) -> Snapshot:
        """Return a donor's weights, once those of this member are kept for the others."""
        donor = self.crowd.slots[member.id]
        if donor.records[member.n].failed:
            raise WeightsLost(f"member {member.id} has no weights at record {member.n}")
        state = donor.state_at(member.n)
        if self.crowd.is_waited_for(self):
            self.keep()
        seed = random_seed(self.crowd.pbt.seed, "reseed", self.id, self.member.n + 1)
        return Snapshot(state, seed)

    def fresh(self, me: Member) -> int:
        """Return the seed of weights that were never trained, once those of now are kept."""
        if self.crowd.is_waited_for(self):
            self.keep()
        return random_seed(self.crowd.pbt.seed, "restart", self.id, self.member.n + 1)

    def state_at(self, n: int) -> object:
        """Return the weights of a record; raise WeightsLost if they are gone."""
        if n not in self.kept:
            if not self._is_as_at(n):
                raise WeightsLost(f"the weights of member {self.id} at record {n} are gone")
            self.kept[n] = self.crowd.copy_of(self.seat, self.id, n)
        return self.kept[n]

    def _is_as_at(self, n: int) -> bool:
        """Whether no weights have changed since a record: it waited, and then stayed."""
        since = self.records[n + 1 :]
        return all(one.member.dropped is None and self.records[n].member.waiting for one in since)

    def keep(self) -> None:
        """Keep the weights as they are now, for members that may copy them later."""
        for n in {self.arrivals[-1], self.member.n}:
            if self.member.step and not self.records[n].failed and self._is_as_at(n):
                self.state_at(n)

    def update(self, me: Member, trainer: Learner) -> Member:
        """Add the record of this turn to the history."""
        seat, before, crowd = self.seat, self.records[-1], self.crowd
        assert trainer is seat, "another trainer"
        record = record_of(
            me,
            before,
            raised=seat.raised,
            failed=seat.failed,
            error=seat.error,
            report=seat.report_of(me, before, crowd.pbt, crowd.warn),
            weights=None,
            seconds=seat.clock.take(),
            bytes=0,
            worker=BACKEND,
            host=crowd.host,
            time=time.time(),
            run="",
            backend=BACKEND,
        )
        seat.error, seat.raised = None, 0
        self.records.append(record)
        if record.member.step == len(self.arrivals):
            self.arrivals.append(record.member.n)
            self._forget()
        crowd.waiting[record.member.step] += record.member.waiting - before.member.waiting
        crowd.publish(record)
        return record.member

    def _forget(self) -> None:
        """Drop the weights of all but the last steps, as a run directory does."""
        oldest = self.arrivals[max(self.member.step - self.crowd.pbt.keep, 0)]
        for n in [n for n in self.kept if n < oldest]:
            self.crowd.drop(self.kept.pop(n))


@dataclass(slots=True)
class Crowd:
    """All members of a run in memory.

    pbt: the run.
    folder: where trainers that cannot be copied as objects save their weights.
    device: given to each trainer.
    encoded: whether each record is encoded, which finds what a run directory would refuse.
    """

    pbt: PBT
    folder: Path
    device: str = "cpu"
    encoded: bool = True
    host: str = field(default_factory=socket.gethostname)
    slots: list[Slot] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    waiting: Counter[int] = field(default_factory=Counter)  # by step, members yet to decide there
    _arrivals: Arrivals = field(init=False)
    _names: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        self._arrivals = Arrivals(lambda id: self.slots[id].member.step)
        reads = Reads(self.pbt.task.space)
        for id in range(self.pbt.members):
            seat = GuardedTrainer(self.pbt.task, self.device, reads=reads)
            seat.take(id, random_seed(self.pbt.seed, "trainer", id))
            first = Record(member=start(id, self.pbt), host=self.host, backend=BACKEND)
            slot = Slot(self, id, seat, [first])
            slot.turns = worker(first.member, seat, slot, self.pbt)
            self.slots.append(slot)

    def train(self, tick: Callable[[int], None] = lambda _: None) -> None:
        """Take each member through Algorithm 1 to its end, the one furthest behind first.

        Args:
            tick: told now and then how many steps all members have behind them.
        """
        alive = [slot for slot in self.slots if not slot.is_done]
        while alive:
            least = min(slot.member.step for slot in alive)
            for slot in alive:
                if self.pbt.mode == "lockstep" and slot.member.step > least:
                    continue
                if not slot.member.waiting and self.is_waited_for(slot):
                    slot.keep()
                before = slot.records[-1]
                next(slot.turns, None)
                for doubt in slot.seat.new_doubts():
                    self.warn(doubt)
                if slot.records[-1].error and slot.records[-1] is not before:
                    self.warn(f"member {slot.id} failed: {last_line(slot.records[-1].error)}")
                if slot.records[-1].failed:
                    self._check_that_some_live()
            tick(sum(slot.member.step for slot in self.slots))
            alive = [slot for slot in alive if not slot.is_done]

    def is_waited_for(self, slot: Slot) -> bool:
        """Whether another member may want a slot's weights after its trainer has gone on.

        One that has still to decide at this step, or any if the run keeps older weights.
        """
        return self.pbt.keep > 1 or self.waiting[slot.member.step] > slot.member.waiting

    def have_all_come(self, step: int) -> bool:
        """Whether every member has reached a step."""
        return self._arrivals.are_complete(step, len(self.slots))

    def look(self, id: int, step: int) -> Member | None:
        """Return another member as one at this step may see it; None before it was evaluated."""
        slot = self.slots[id]
        record = slot.records[-1]
        if self.pbt.mode == "lockstep":
            record = slot.records[slot.arrivals[step]]
        return record.member if record.member.step else None

    def copy_of(self, seat: GuardedTrainer, id: int, n: int) -> object:
        """Return a trainer's state as an object that lasts."""
        trainer = seat.ready()
        if isinstance(trainer, Snapshots):
            return trainer.snapshot()
        path = self.folder / f"{id}-{n}-{next(self._names)}"
        trainer.save(path)
        return path

    def drop(self, state: object) -> None:
        """Let go of a state that no member can copy any more."""
        if isinstance(state, Path):
            state.unlink(missing_ok=True)

    def past(self, id: int, n: int) -> list[Member]:
        """Return the records of a member up to a number."""
        return [record.member for record in self.slots[id].records[: n + 1]]

    def publish(self, record: Record) -> None:
        """Hold a record to what a run directory would take."""
        if self.encoded:
            encode(record)

    def warn(self, sentence: str) -> None:
        """Remember what was wrong and what was done about it, once."""
        if sentence not in self.warnings:
            self.warnings.append(sentence)

    def _check_that_some_live(self) -> None:
        """Raise AllFailed if no member has weights any more."""
        if not all(slot.records[-1].failed for slot in self.slots):
            return
        errors = [one.error for slot in self.slots for one in slot.records if one.error]
        raise AllFailed.of(self.pbt.members, errors[-1])


@contextlib.contextmanager
def crowd(pbt: PBT, device: str = "cpu", *, encoded: bool = True) -> Iterator[Crowd]:
    """Let a population live in this process; its temporary folder goes at the end."""
    with tempfile.TemporaryDirectory(prefix="pbt-") as folder:
        yield Crowd(pbt, Path(folder), device, encoded)
