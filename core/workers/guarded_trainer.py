"""A trainer as Algorithm 1 sees it: loaded when needed, timed, and never raising."""

import math
import signal
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar, cast

import numpy as np

from core.directory.files import Clock
from core.directory.record import Record, plain_report
from core.member import Hypers, Member
from core.pbt import Token, report_due
from core.settings import PBT
from core.task import Report, Reports, Reseeds, Task, TaskError, Trainer
from core.tracebacks import of_user, said
from core.workers.watched import Reads, Watched

T = TypeVar("T")


class Weights(Protocol):
    """Weights that can be put into a trainer: what this backend's tokens are (core/pbt.py)."""

    def into(self, trainer: Trainer) -> None:
        """θ ← θ': let the trainer go on from these weights."""


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """Weights in a file.

    path: the file.
    reseed: for a copy, the seed of the random stream that it goes on with.
    """

    path: Path
    reseed: int | None = None

    def into(self, trainer: Trainer) -> None:
        """Load the file, and begin the copy's random stream.

        Raises:
            DiskError: the file cannot be read now.
        """
        try:
            trainer.load(self.path)
        except FileNotFoundError:
            raise  # pruned by a later holder of the lease: the fence will say so
        except OSError as error:
            if error.filename not in (None, str(self.path), self.path):
                raise  # a file of the trainer's own
            raise DiskError(error.errno, error.strerror, str(self.path)) from error
        reseed(trainer, self.reseed)


def reseed(trainer: Trainer, seed: int | None) -> None:
    """Let a copy draw from a random stream of its own, if the trainer draws at all."""
    if seed is not None and isinstance(trainer, Reseeds):
        trainer.reseed(seed)


class DiskError(OSError):
    """Weights could not be read: no failure of the trainer's, which may load them another time."""


# what a trainer may raise: anything, as one that ends its process has failed like any other
RAISED = BaseException


def let_go(error: BaseException) -> None:
    """Raise what is no failure of a trainer: a Ctrl-C where nobody else takes care of it."""
    own = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if isinstance(error, KeyboardInterrupt) and own:
        raise error


@dataclass(slots=True)
class GuardedTrainer:
    """The one trainer of a worker, into which one member after the other is loaded.

    If the trainer raises, the score is NaN and the member has failed until it loads other weights.

    Args:
        task: what is trained.
        device: the device to train on, such as "cpu" or "cuda:0".
        clock: counts the seconds of step, eval, report and load.
    """

    task: Task
    device: str = "cpu"
    clock: Clock = field(default_factory=Clock)
    member: int = -1  # the member that is loaded
    failed: bool = False
    raised: int = 0  # how often the trainer has raised since the member was last published
    error: str | None = None  # the last traceback, until it is published
    loads: int = 0  # how often a load has gone well
    lost_load: bool = False  # whether it was a load that has raised since the member was taken
    holds: Weights | int | None = None  # what the trainer is equal to: a file, a fresh seed
    _wanted: Weights | int | None = None
    _trainer: Trainer | None = None
    _has_built: bool = False
    _reports: bool = False  # whether the trainer has more to say than its score
    doubts: dict[str, bool] = field(default_factory=dict)  # what may be wrong; whether it was said
    reads: Reads | None = None  # of all members that train in this process; None for its own
    _unjudged: tuple[Hypers, set[str]] | None = None  # a step that no evaluation has followed yet

    def __post_init__(self) -> None:
        self.reads = self.reads or Reads(self.task.space)

    @property
    def state(self) -> Weights | int | None:
        """What the trainer is equal to, or will be as soon as it is needed; None after a step."""
        return self.holds if self._wanted is None else self._wanted

    def take(self, member: int, weights: Weights | int | None) -> None:
        """Prepare for a member: its weights, the seed of its start, or None if it had failed."""
        self.member = member
        self.failed, self.error, self.raised = weights is None, None, 0
        self.lost_load = False
        self._wanted = weights

    def load(self, weights: Token) -> None:
        """θ ← θ': go on from these weights; they are read when they are needed."""
        self.failed = False
        self._wanted = cast(Weights, weights)

    def step(self, hypers: Hypers) -> None:
        """θ ← step(θ | h)."""
        watched = Watched(hypers)
        self._attempt("step", lambda trainer: trainer.step(watched), None)
        self.holds = self._wanted = None
        self._unjudged = None if self.failed else (hypers, watched.read)

    def eval(self) -> tuple[float, ...]:
        """p ← eval(θ): return one number or a sample; (NaN,) if θ has diverged or failed.

        Raises:
            TaskError: a hyperparameter is in the space that the step before never read. A member
                that has diverged is exempt: there was nothing left to train.
        """
        diverged: tuple[float, ...] = (math.nan,)
        scores = self._attempt("eval", lambda trainer: numbers(trainer.eval()), diverged)
        unjudged, self._unjudged = self._unjudged, None
        if self.reads and unjudged and all(map(math.isfinite, scores)):
            if doubt := self.reads.doubt(*unjudged):
                self.doubts.setdefault(doubt, False)
            if fault := self.reads.fault(*unjudged):
                raise TaskError(fault)
        return scores

    def report(self) -> Report:
        """Return what the trainer has to say that selection must not see.

        May raise; the trainer is then loaded anew from what it was saved to before.
        """
        if self.failed:
            return {}
        saved = self.state
        try:
            trainer = self.ready()
            with self.clock("report"):
                return plain_report(cast(Reports, trainer).report()) if self._reports else {}
        except RAISED as error:
            let_go(error)
            self._drop()
            self._wanted = saved
            raise

    def report_of(
        self, me: Member, before: Record, pbt: PBT, warn: Callable[[str], None]
    ) -> Report:
        """Return the report of the record that follows `before`.

        One that raises is left out, and warned of: it is no reason to lose what was trained.
        """
        due = report_due(me, before.member, pbt)
        if due == "none" or (due == "keep" and before.report):
            return before.report if due == "keep" else {}
        try:
            return self.report()
        except DiskError:
            raise
        except RAISED as error:
            let_go(error)
            warn(f"report() of member {me.id} failed and is left out: {said(error)}")
            return {}

    def new_doubts(self) -> list[str]:
        """Return what may be wrong with the trainer and was not returned before."""
        new = [doubt for doubt, told in self.doubts.items() if not told]
        self.doubts |= dict.fromkeys(new, True)
        return new

    def save(self, path: Path) -> None:
        """Write all that `load` needs. May raise: a full disk is not the trainer's failure."""
        self.ready().save(path)

    def ready(self) -> Trainer:
        """Return the trainer, built or loaded as it must be by now."""
        wanted = self._wanted
        if isinstance(wanted, int) and self.holds != wanted:
            self._trainer = self._built(wanted)
        elif wanted is not None and not isinstance(wanted, int) and self.holds != wanted:
            if self._trainer is None:
                self._trainer = self._built(0)
            self.holds = None  # should it raise half-way
            with self.clock("load"):
                try:
                    wanted.into(self._trainer)
                except RAISED as error:
                    self.lost_load |= not isinstance(error, FileNotFoundError)
                    raise
            self.loads += 1
        if wanted is not None:
            self.holds, self._wanted = wanted, None
        assert self._trainer is not None
        return self._trainer

    def _built(self, seed: int) -> Trainer:
        try:
            with self.clock("build"):
                trainer = self.task.trainer(seed, self.device)
        except RAISED as error:
            let_go(error)
            if self._has_built:
                raise  # it is this member's failure: others could be made
            raise TaskError(
                f"the trainer cannot be made: {said(error)}. Its traceback:\n{of_user(error)}"
            ) from error
        for name in ("step", "eval", "save", "load"):
            if not callable(getattr(trainer, name, None)):
                raise TaskError(
                    f"{type(trainer).__name__} has no method {name!r}: a trainer needs step, eval, "
                    "save and load (core/task.py)"
                )
        self._has_built = True
        self._reports = isinstance(trainer, Reports)
        return trainer

    def _attempt(self, phase: str, act: Callable[[Trainer], T], otherwise: T) -> T:
        """Return what `act` does with the trainer; `otherwise` if it has failed, or fails now."""
        if self.failed:
            return otherwise
        try:
            trainer = self.ready()
            with self.clock(phase):
                return act(trainer)
        except (TaskError, DiskError):
            raise
        except RAISED as error:
            let_go(error)
            self.fail(error)
            return otherwise

    def fail(self, error: BaseException) -> None:
        """Count an exception as the trainer's failure."""
        text = of_user(error)
        if isinstance(error, SystemExit):
            text = text.rstrip() + (
                f"\nThe trainer ended its process by sys.exit({error.code!r}), so its member has "
                "failed: let step return, or raise an error"
            )
        self.failed, self.error = True, text
        self.raised += 1
        self._drop()

    def _drop(self) -> None:
        self.holds = self._wanted = self._trainer = None  # who knows in what state it is


def numbers(value: object) -> tuple[float, ...]:
    """Return what `Trainer.eval` returned as a tuple of floats.

    Raises:
        TaskError: it is neither a number nor a sequence of numbers, at least one.
    """
    try:
        if isinstance(value, str | bytes | bool | complex | np.bool_) or value is None:
            raise TypeError
        if isinstance(value, Sequence) or getattr(value, "ndim", False):
            sample = tuple(float(number) for number in cast(Iterable[float], value))
        else:
            sample = (float(cast(float, value)),)
        if not sample:
            raise TypeError
    except (TypeError, ValueError):
        raise TaskError(
            f"eval() of the trainer returned {value!r}: it must return a number, or a sequence of "
            "at least one number; NaN if the training has diverged"
        ) from None
    return sample
