"""A trainer as Algorithm 1 sees it: loaded when needed, timed, and never raising."""

import difflib
import math
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar, cast

from core.files import Clock
from core.member import Hypers, Value
from core.pbt import Loadable
from core.task import Report, Reports, Reseeds, Task, TaskError, Trainer

T = TypeVar("T")


class DiskError(OSError):
    """Weights could not be read: no failure of the trainer's, which may load them another time."""


LONGEST_TRACEBACK = 20_000  # characters, of its end


@dataclass(slots=True)
class Seat:
    """The one trainer of a worker, into which member after member is loaded.

    A trainer that raises makes the score NaN and the seat failed, until other weights are loaded.

    Args:
        task: what is trained.
        device: where, as in "cpu" or "cuda:0".
        clock: where to count the seconds of step, eval, report and load.
    """

    task: Task
    device: str = "cpu"
    clock: Clock = field(default_factory=Clock)
    member: int = -1  # whose seat it is
    failed: bool = False
    raised: int = 0  # how often the trainer has raised since the member was last published
    error: str | None = None  # the last traceback, until it is published
    holds: Loadable | int | None = None  # what the trainer is equal to: a file, a fresh seed
    _wanted: Loadable | int | None = None
    _trainer: Trainer | None = None

    @property
    def state(self) -> Loadable | int | None:
        """What the trainer is equal to, or will be as soon as it is needed; None after a step."""
        return self.holds if self._wanted is None else self._wanted

    def take(self, member: int, weights: Loadable | int | None) -> None:
        """Prepare for a member: its weights, the seed of its start, or None if it had failed."""
        self.member = member
        self.failed, self.error, self.raised = weights is None, None, 0
        self._wanted = weights

    def load(self, weights: Loadable) -> None:
        """θ ← θ': go on from these weights; they are read when they are needed."""
        self.failed = False
        self._wanted = weights

    def step(self, hypers: Hypers) -> None:
        """θ ← step(θ | h)."""
        watched = _Watched(hypers)
        self._attempt("step", lambda trainer: trainer.step(watched), None)
        self.holds = self._wanted = None
        if not self.failed and (unread := sorted(set(hypers) - watched.read)):
            raise TaskError(
                f"the space has {', '.join(map(repr, unread))}, which a call of step(hypers) never "
                "looked at: put it in force at every call (the trainer may have trained another "
                "member before), or take it out of the space"
            )

    def eval(self) -> tuple[float, ...]:
        """p ← eval(θ): return one number or a sample; (NaN,) if θ has diverged or failed."""
        return self._attempt("eval", lambda trainer: numbers(trainer.eval()), (math.nan,))

    def report(self) -> Report:
        """Return what the trainer has to say that selection must not see.

        May raise; the trainer is then loaded anew from what it was saved to before.
        """
        if self.failed:
            return {}
        saved = self.state
        try:
            trainer = self._ready()
            with self.clock("report"):
                return dict(trainer.report()) if isinstance(trainer, Reports) else {}
        except Exception:
            self._drop()
            self._wanted = saved
            raise

    def save(self, path: Path) -> None:
        """Write all that `load` needs. May raise: a full disk is not the trainer's failure."""
        self._ready().save(path)

    def _ready(self) -> Trainer:
        wanted = self._wanted
        if isinstance(wanted, int) and self.holds != wanted:
            self._trainer = self._built(wanted)
        elif isinstance(wanted, Loadable) and self.holds != wanted:
            if self._trainer is None:
                self._trainer = self._built(0)
            self.holds = None  # should it raise half-way
            with self.clock("load"):
                try:
                    self._trainer.load(wanted.path)
                except FileNotFoundError:
                    raise  # pruned by a later holder of the lease: the fence will say so
                except OSError as error:
                    raise DiskError(error.errno, error.strerror, str(wanted.path)) from error
                if wanted.reseed is not None and isinstance(self._trainer, Reseeds):
                    self._trainer.reseed(wanted.reseed)
        if wanted is not None:
            self.holds, self._wanted = wanted, None
        assert self._trainer is not None
        return self._trainer

    def _built(self, seed: int) -> Trainer:
        try:
            with self.clock("build"):
                trainer = self.task.trainer(seed, self.device)
        except Exception as error:
            raise TaskError(f"the trainer cannot be made: {error}") from error
        for name in ("step", "eval", "save", "load"):
            if not callable(getattr(trainer, name, None)):
                raise TaskError(
                    f"{type(trainer).__name__} has no method {name!r}: a trainer needs step, eval, "
                    "save and load (core/task.py)"
                )
        return trainer

    def _attempt(self, phase: str, act: Callable[[Trainer], T], otherwise: T) -> T:
        """Return what `act` does with the trainer; `otherwise` if it has failed, or fails now."""
        if self.failed:
            return otherwise
        try:
            trainer = self._ready()
            with self.clock(phase):
                return act(trainer)
        except (TaskError, DiskError):
            raise
        except Exception:
            self.fail()
            return otherwise

    def fail(self) -> None:
        """Count the exception that is being handled as the trainer's failure."""
        self.failed, self.error = True, traceback.format_exc()[-LONGEST_TRACEBACK:]
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
        if isinstance(value, str | bytes | bool | complex) or value is None:
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


class _UnknownName(TaskError, KeyError):
    """A KeyError, so that `hypers.get(name, default)` and `name in hypers` work."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Watched(Mapping[str, Value]):
    """Hypers that know which of them have been read, and what to say of a name they lack."""

    def __init__(self, hypers: Hypers) -> None:
        self._hypers = hypers
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> Value:
        if name not in self._hypers:
            near = difflib.get_close_matches(name, self._hypers, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(self._hypers)}"
            raise _UnknownName(
                f"step(hypers) of the trainer asked for {name!r}, which the space does not have: "
                f"{hint}"
            )
        self.read.add(name)
        return self._hypers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._hypers)

    def __len__(self) -> int:
        return len(self._hypers)

    def __repr__(self) -> str:
        return repr(dict(self._hypers))
