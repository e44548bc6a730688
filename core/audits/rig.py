"""A trainer on trial: made, trained, saved and loaded as a worker does it, and compared."""

import hashlib
import math
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from core.member import Hypers
from core.settings import PBT
from core.streams import random_seed
from core.task import TaskError, Trainer
from core.workers.guarded_trainer import numbers
from core.workers.watched import Reads, Watched


@dataclass(frozen=True, slots=True)
class Print:
    """What tells two trainers apart: the hash of what each saves, and its scores."""

    digest: str
    scores: tuple[float, ...]


@dataclass(slots=True)
class Rig:
    """Trainers of a task, under the conditions of a run.

    pbt: whose task it is. device: given to the trainers. folder: for what they save.
    steady: whether a trainer that saves twice writes the same bytes; if not, scores must do.
    reads: by name, hypers with which a call of `step` reads the hyperparameter.
    """

    pbt: PBT
    device: str
    folder: Path
    steady: bool = True
    reads: dict[str, Hypers] = field(default_factory=dict)
    _reads: Reads = field(init=False)

    def make(self, id: int) -> Trainer:
        """Return a trainer as of member `id` of a run: with a seed of the same range."""
        return self.pbt.task.trainer(random_seed(self.pbt.seed, "trainer", id), self.device)

    def __post_init__(self) -> None:
        self._reads = Reads(self.pbt.task.space)

    def train(self, trainer: Trainer, hypers: Hypers, steps: int, *, judge: bool = True) -> None:
        """Train, with hypers of the same kind as a worker gives, and note which are read.

        Args:
            judge: whether it is a fault to read too few; not of one that may diverge.

        Raises:
            TaskError: a hyperparameter is not read, or asked for and not there.
        """
        for _ in range(steps):
            watched = Watched(hypers)
            trainer.step(watched)
            for name in watched.read & set(hypers):
                self.reads.setdefault(name, hypers)
            if judge and (fault := self._reads.fault(hypers, watched.read)):
                raise TaskError(fault)

    def digest(self, trainer: Trainer) -> str:
        """Return the hash of what the trainer saves."""
        path = self.place("look")
        trainer.save(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    def print(self, trainer: Trainer) -> Print:
        """Return what tells this trainer from others; it is evaluated for that."""
        return Print(self.digest(trainer), scores(trainer))

    def place(self, purpose: str) -> Path:
        """Return where to save: always under one name, which torch.save writes into the file."""
        path = self.folder / purpose / "weights.tmp"
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        return path

    def is_like(self, trainer: Trainer, known: Print) -> bool:
        """Whether a trainer is the same as one was; it is evaluated only if bytes do not tell."""
        if self.steady:
            return self.digest(trainer) == known.digest
        return scores(trainer) == known.scores


def scores(trainer: Trainer) -> tuple[float, ...]:
    """Return what `eval` says, as a tuple that equals itself: what is not a number becomes -inf."""
    return tuple(-math.inf if math.isnan(score) else score for score in numbers(trainer.eval()))


def moved(act: Callable[[], object]) -> list[str]:
    """Return the global generators from which an action draws, by name."""
    before = _generators()
    act()
    return [name for name, state in _generators().items() if state != before.get(name, state)]


def _generators() -> dict[str, object]:
    numpy = np.random.get_state()  # noqa: NPY002  (to see whether other code draws from it)
    found: dict[str, object] = {"Python's `random`": random.getstate(), "`np.random`": repr(numpy)}
    torch = sys.modules.get("torch")
    if torch is not None:
        found["torch's (torch.get_rng_state)"] = torch.get_rng_state().tolist()
    return found
