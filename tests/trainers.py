"""Small trainers for tests, good and bad, as presets that other processes can be told to run."""

import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from core.member import Hypers, Member
from core.pbt import PBT
from core.space import LogUniform, Space, Uniform
from core.strategies import Every, SymmetricPerturb, Truncation, binary_tournament, never
from core.task import Report, Task


class Walk:
    """A noisy climb: each step adds `rate` times a random number, so luck and rate both matter."""

    def __init__(self, seed: int, device: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.height = float(self.rng.normal())
        self.steps = 0

    def step(self, hypers: Hypers) -> None:
        """Climb."""
        self.height += float(hypers["rate"]) * float(self.rng.normal(0.5))
        self.steps += 1

    def eval(self) -> float:
        """Return the height."""
        return self.height

    def report(self) -> Report:
        """Return what selection must not see."""
        return {"twice": 2 * self.height}

    def reseed(self, seed: int) -> None:
        """Draw from a new stream."""
        self.rng = np.random.default_rng(seed)

    def save(self, path: Path) -> None:
        """Write height and random state."""
        state = [self.height, self.steps, self.rng.bit_generator.state]
        path.write_text(json.dumps(state))

    def load(self, path: Path) -> None:
        """Read them."""
        self.height, self.steps, self.rng.bit_generator.state = json.loads(path.read_text())


SPACE = Space({"rate": LogUniform(0.01, 1.0)})


def walk() -> PBT:
    """A healthy run of five."""
    return PBT(
        task=Task(Walk, SPACE, "height (m)"),
        members=5,
        steps=12,
        ready=Every(2),
        exploit=Truncation(0.4),
        explore=SymmetricPerturb(1.2),
        mode="lockstep",
    )


def walk_random_search() -> PBT:
    """Its baseline."""
    return replace(walk(), ready=never)


class SlowWalk(Walk):
    """A climb whose steps take long enough to be interrupted."""

    def step(self, hypers: Hypers) -> None:
        """Climb slowly."""
        super().step(hypers)
        time.sleep(0.02)


def slow_walk() -> PBT:
    """A run that takes seconds."""
    return replace(walk(), task=Task(SlowWalk, SPACE))


class Heavy(Walk):
    """A climb with something to carry."""

    def save(self, path: Path) -> None:
        """Write 50 kB."""
        super().save(path)
        path.write_text(path.read_text().ljust(WEIGHT))


WEIGHT = 50_000  # bytes that Heavy saves


def heavy() -> PBT:
    """A run that needs room, with many copies."""
    return replace(walk(), task=Task(Heavy, SPACE), ready=Every(1))


class Sleepy(Walk):
    """A climb that leaves the processor to others, as one on a GPU does."""

    def step(self, hypers: Hypers) -> None:
        """Climb, after a nap of its own length each time."""
        super().step(hypers)
        time.sleep(0.1 + 0.2 * float(self.rng.random()))


def sleepy() -> PBT:
    """A run for many workers."""
    task = Task(Sleepy, SPACE)
    return replace(
        walk(), task=task, members=1000, steps=6, exploit=binary_tournament, mode="asynchronous"
    )


class Raises(Walk):
    """Raises at its third step, if its rate is high."""

    def step(self, hypers: Hypers) -> None:
        """Climb, or fall."""
        super().step(hypers)
        if self.steps == 3 and float(hypers["rate"]) > 0.1:
            raise RuntimeError("the rope broke")


def raises() -> PBT:
    """A run some of whose members fail."""
    return replace(walk(), task=Task(Raises, SPACE))


def raises_random_search() -> PBT:
    """A baseline some of whose members fail, and must not be rescued."""
    return replace(raises(), ready=never)


class AlwaysRaises(Walk):
    """Raises at once."""

    def step(self, hypers: Hypers) -> None:
        """Read the rate, and fall."""
        raise RuntimeError(f"no rope for {hypers['rate'] != 0}")


def always_raises() -> PBT:
    """A run that cannot go on."""
    return replace(walk(), task=Task(AlwaysRaises, SPACE))


class Diverges(Walk):
    """Returns NaN from its second step on, if its rate is high."""

    def eval(self) -> float:
        """Return the height, or NaN; infinite heights are no heights either."""
        if self.steps < 2 or abs(self.height) < 0.3:
            return self.height
        return math.nan if self.height > 0 else -math.inf


def diverges() -> PBT:
    """A run some of whose members diverge."""
    return replace(walk(), task=Task(Diverges, SPACE))


class ReturnsNothing(Walk):
    """Forgot the return statement."""

    def eval(self) -> float:
        """Return None."""
        return None  # type: ignore[return-value]


def returns_nothing() -> PBT:
    """A run without scores."""
    return replace(walk(), task=Task(ReturnsNothing, SPACE))


def unknown_name() -> PBT:
    """A space that lacks what the trainer reads."""
    return replace(walk(), task=Task(Walk, Space({"rata": LogUniform(0.01, 1.0)})))


def unread_name() -> PBT:
    """A space with a name that the trainer never reads."""
    space = Space({"rate": LogUniform(0.01, 1.0), "momentum": Uniform(0, 1)})
    return replace(walk(), task=Task(Walk, space))


class Forgets(Walk):
    """Breaks the contract: saves no random state, and its eval draws."""

    def eval(self) -> float:
        """Return the height with noise from the stream of the training."""
        return self.height + float(self.rng.normal())

    def save(self, path: Path) -> None:
        """Write the height alone."""
        path.write_text(json.dumps(self.height))

    def load(self, path: Path) -> None:
        """Read it."""
        self.height = json.loads(path.read_text())


def forgets() -> PBT:
    """A task that `check` must refuse."""
    return replace(walk(), task=Task(Forgets, SPACE))


class KeepsItsRate(Walk):
    """Breaks the contract as a restored optimiser does: the rate comes back with the weights."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.rate: float | None = None

    def step(self, hypers: Hypers) -> None:
        """Climb with the first rate that it ever saw."""
        self.rate = float(hypers["rate"]) if self.rate is None else self.rate
        super().step({"rate": self.rate})

    def save(self, path: Path) -> None:
        """Write the rate too."""
        super().save(path)
        path.write_text(json.dumps([json.loads(path.read_text()), self.rate]))

    def load(self, path: Path) -> None:
        """Read it back: the mistake."""
        state, self.rate = json.loads(path.read_text())
        self.height, self.steps, self.rng.bit_generator.state = state


def keeps_its_rate() -> PBT:
    """A task that `check` must refuse."""
    return replace(walk(), task=Task(KeepsItsRate, SPACE))


class KillsItsWorker(Walk):
    """Takes its process down, once: at the sixth step of whoever gets there first."""

    def step(self, hypers: Hypers) -> None:
        """Climb, or die."""
        super().step(hypers)
        marker = Path(os.environ["PBT_TEST_MARKER"])
        if self.steps == 6 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), 9)


def kills_its_worker() -> PBT:
    """A run with a SIGKILL in the middle."""
    return replace(walk(), task=Task(KillsItsWorker, SPACE))


class Sample(Walk):
    """Returns ten numbers, as an agent returns those of its last ten episodes."""

    def eval(self) -> list[float]:  # type: ignore[override]
        """Return the sample behind the score."""
        return [self.height + i for i in range(10)]


def sample() -> PBT:
    """A run with samples for scores."""
    return replace(walk(), task=Task(Sample, SPACE))


class Reports(Walk):
    """Reports as a trainer of tensors does; too much at its third step; raises at its fifth."""

    def report(self) -> Report:
        """Return numpy's numbers and arrays."""
        if self.steps == 5:
            self.height = -99.0  # half-way
            raise RuntimeError("no printer")
        size = 2 * 10**6 if self.steps == 3 else 2
        return {"number": np.float32(self.height), "array": np.zeros(size)}  # type: ignore[dict-item]


def reports() -> PBT:
    """A run whose reports are not all well."""
    return replace(walk(), task=Task(Reports, SPACE))


class CannotSave(Walk):
    """Cannot be saved after its third step, if its rate is high."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.rate = 0.0

    def step(self, hypers: Hypers) -> None:
        """Climb, and remember how."""
        super().step(hypers)
        self.rate = float(hypers["rate"])

    def save(self, path: Path) -> None:
        """Write, or raise."""
        if self.steps == 3 and self.rate > 0.1:
            raise RuntimeError("no ink")
        super().save(path)


def cannot_save() -> PBT:
    """A run some of whose members cannot be saved."""
    return replace(walk(), task=Task(CannotSave, SPACE))


def ready_at_odd_records(me: Member) -> bool:
    """A rule that answers another time otherwise: a record of the same step has another number."""
    return me.n % 4 == 3


def fickle() -> PBT:
    """A run whose members are ready at different steps."""
    return replace(walk(), ready=ready_at_odd_records)


def not_a_preset() -> int:
    """Return something else."""
    return 7
