"""Decide whether a crash is the member's fault or this machine's.

A trainer that has never worked here is not believed.

A trainer that raises fails its member. But on a broken GPU it raises for every member, at once: as
the fastest worker of all it would take one after the other and fail the whole population. So a
worker's failure counts if a turn has gone well here since the last one that counted. Else what is
known to work is tried again: a step that is in the history. If that raises too, this worker ends,
and its members are as they were; if there is no such step yet, another member is tried first.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from core.directory.files import Unreadable, stale_is_gone
from core.directory.members import Members
from core.directory.record import Record, Weights
from core.directory.run import Run
from core.pbt import WeightsLost
from core.streams import random_seed
from core.task import Reseeds, TaskError, Trainer
from core.tracebacks import of_user, said
from core.workers.guarded_trainer import RAISED, let_go
from core.workers.watched import Watched

WAIT = 20.0  # seconds for others to train what failed here, before this worker ends


class Doubtful(Exception):
    """A failure that may be this machine's: nothing of the turn is published.

    Args:
        sentence: what happened. trace: the traceback of the trainer.
    """

    def __init__(self, sentence: str, trace: str = "") -> None:
        super().__init__(sentence)
        self.trace = trace


class Broken(TaskError):
    """The trainer does not work on this device, or not any more."""


class AllFailed(Exception):
    """Every member has failed: there is nothing left to go on from."""

    @classmethod
    def of(cls, members: int, error: str) -> "AllFailed":
        """Return the error of a run with so many members.

        Args:
            error: the last traceback.
        """
        return cls(f"every one of the {members} members has failed; the last error was:\n{error}")


@dataclass(slots=True)
class Blame:
    """What a worker knows of itself."""

    run: Run
    population: Members
    device: str
    _good: int = 0  # turns that went well
    _at_failure: int = 0  # how many these were when a failure last counted
    _doubts: dict[int, tuple[int, int]] = field(default_factory=dict)  # id -> its step, _good then
    _error: str = ""
    _since: float | None = None  # when there was first nothing but doubts

    def note(self, raised: int, trained: bool) -> None:
        """Take in a turn that was published."""
        if raised:
            self._at_failure = self._good
        elif trained:
            self._good += 1
            self._since = None

    def believes(self, id: int, *, has_loaded: bool = True) -> bool:
        """Whether a failure of this member is its own.

        Args:
            has_loaded: False if it was a load that failed, and none has ever gone well here: that
                others could be trained from their start says nothing of it.

        Raises:
            Broken: what had worked before does not work here.
        """
        if has_loaded and self._good > self._at_failure:
            return True
        if has_loaded and id in self._doubts and self._good > self._doubts[id][1]:
            return True
        others = (other for other in range(self.run.pbt.members) if other != id)
        return any(self._repeats(other, from_start=has_loaded) for other in (id, *others))

    def doubt(self, id: int, step: int, error: Doubtful) -> None:
        """Leave a member alone until a turn has gone well here."""
        self._doubts[id] = step, self._good
        self._error = error.trace or str(error)

    def doubtful(self, look: Callable[[int], int]) -> set[int]:
        """Return the members to leave alone.

        Args:
            look: returns the step that a member has reached: another worker may have trained it.
        """
        if self._doubts:
            self._doubts = {id: (s, n) for id, (s, n) in self._doubts.items() if look(id) <= s}
        return {id for id, (_, good) in self._doubts.items() if good == self._good}

    def give_up(self) -> None:
        """End this worker if there is nothing left for it but what it has failed at.

        Raises:
            AllFailed: that is every member, so the trainer works for none.
            Broken: others have not trained them either, for a while.
        """
        if not self._doubts:
            return
        members = self.run.pbt.members
        if len(self._doubts) == members:
            raise AllFailed.of(members, self._error)
        self._since = self._since or time.monotonic()
        if time.monotonic() - self._since > WAIT:
            raise Broken(
                f"the trainer raised for members {sorted(self._doubts)}, and for none did it work "
                f"on {self.device} in between. They are as they were; is it this machine, or the "
                f"task? The last error was:\n{self._error}"
            )

    def _repeats(self, id: int, *, from_start: bool) -> bool:
        """Whether a step of a member that is in the history can be done again.

        Args:
            from_start: whether a first step will do, for which nothing is loaded.

        Raises:
            Broken: it cannot.
        """
        record = self._before_last(id)
        if record is None:
            return False
        if record.failed or (record.weights is None and not from_start):
            return False
        try:
            trainer = self._trainer(id, record.weights)
            trainer.step(Watched(record.member.hypers))
            trainer.eval()
        except (WeightsLost, FileNotFoundError):
            return False
        except RAISED as error:
            let_go(error)
            raise Broken(
                f"the trainer raised on {self.device}, and raised again where it had worked before "
                f"(member {id}, step {record.member.step + 1}): {said(error)}. Nothing of it is "
                f"published; is this machine broken? Its traceback:\n{of_user(error)}"
            ) from error
        return True

    def _trainer(self, id: int, weights: Weights | None) -> Trainer:
        """Return a new trainer with weights of a member, or as at its start if there are none."""
        task, pbt = self.run.pbt.task, self.run.pbt
        if weights is None:
            seed = random_seed(pbt.seed, "trainer", id, bits=self.run.seed_bits)
            return task.trainer(seed, self.device)
        path = self.population.weights.find(id, weights)
        trainer = task.trainer(0, self.device)
        with stale_is_gone():  # pruned while it was read
            trainer.load(path)
        if weights.reseed is not None and isinstance(trainer, Reseeds):
            trainer.reseed(weights.reseed)
        return trainer

    def _before_last(self, id: int) -> Record | None:
        """Return the record from which a member was trained to its newest step, and well."""
        try:
            last = record = self.population.newest(id)
            while last is not None and record is not None:
                if record.member.step < last.member.step:
                    return None if last.failed else record
                if record.member.n == 0:
                    return None
                record = self.population.record(id, record.member.n - 1)
        except (FileNotFoundError, Unreadable):
            return None
        return None
