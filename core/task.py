"""What is trained: the contract between the engine and a task."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from core.member import Hypers
from core.space import Space

Report = Mapping[str, float | Sequence[float] | str]


class Trainer(Protocol):
    """All that core asks of a learner. It holds θ and whatever else `step` depends on.

    A worker builds one trainer and loads members into it, one after the other. `python -m core
    check PRESET` holds a trainer to this contract.
    """

    def step(self, hypers: Hypers) -> None:
        """θ ← step(θ | h): train for one step of the task with these hyperparameters.

        They may differ from those of the call before: put them in force at every call.
        """

    def eval(self) -> float | Sequence[float]:
        """p ← eval(θ): return the score, or the sample of scores behind it; higher is better.

        NaN says that θ has diverged. Leaves weights and random state as they were.
        """
        ...

    def save(self, path: Path) -> None:
        """Write one file with all that `load` needs: weights, optimiser, data position, random
        state."""

    def load(self, path: Path) -> None:
        """θ ← θ': go on exactly from where the trainer that wrote `path` was."""


@runtime_checkable
class Reports(Protocol):
    """A trainer that has more to say than its score."""

    def report(self) -> Report:
        """Return numbers, lists of numbers or texts for the history; selection never sees them.

        Leaves weights and random state as they were.
        """
        ...


@runtime_checkable
class Reseeds(Protocol):
    """A trainer whose steps draw random numbers."""

    def reseed(self, seed: int) -> None:
        """Draw from a new random stream from now on; weights, optimiser and data stay.

        Called after a copy: with the donor's own stream, child and donor would see the very same
        noise, and a copy that keeps its hyperparameters would be the donor once more.
        """


@runtime_checkable
class Snapshots(Protocol):
    """A trainer whose state can be copied without a file, which a run in memory does.

    `check` holds both methods to what `save` and `load` do.
    """

    def snapshot(self) -> object:
        """Return all that `save` would write, as an object that no later step changes."""

    def restore(self, state: object) -> None:
        """θ ← θ': go on exactly from where `snapshot` was taken."""


@dataclass(frozen=True, slots=True)
class Task:
    """A learner and the hyperparameters that it has.

    trainer: (seed, device) -> Trainer; the seed, below 2**31, is a function of run seed and member,
        the device a name such as "cpu" or "cuda:0".
    space: the names that `Trainer.step` reads, no more and no fewer. What matters only for some
        options of another (a momentum, of one of two optimisers) need not be read for the others.
    score: what `eval` returns, with its unit; the y axis of every figure.
    """

    trainer: Callable[[int, str], Trainer]
    space: Space
    score: str = "score"

    def __post_init__(self) -> None:
        if not callable(self.trainer):
            raise ValueError(
                f"the task's trainer is {self.trainer!r}, a trainer that is made already: give its "
                "class, or a function (seed, device) -> trainer, as each worker makes its own"
            )
        if not isinstance(self.space, Space):
            hint = ": write Space({...})" if isinstance(self.space, Mapping) else ""
            raise ValueError(f"the task's space is {self.space!r}, and no Space{hint}")
        try:
            signature = inspect.signature(self.trainer)
        except ValueError:  # some functions of C do not say
            return
        try:
            signature.bind(0, "cpu")
        except TypeError:
            called = getattr(self.trainer, "__qualname__", repr(self.trainer))
            raise ValueError(
                f"{called} takes {signature}: a trainer is made as {called}(seed, device), so its "
                "__init__ is (self, seed, device)"
            ) from None
        if not isinstance(self.score, str):
            raise ValueError(f"the task's score is {self.score!r}: give a text, what eval returns")


class TaskError(ValueError):
    """The task cannot be trained at all: its trainer and its space do not fit, or it is no trainer.

    Not the failure of one member: a worker stops at it, and publishes nothing of that turn.
    """
