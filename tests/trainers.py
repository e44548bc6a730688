"""Small trainers for tests, good and bad, as presets that other processes can be told to run."""

import json
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from core import (
    EVERYWHERE,
    PBT,
    Among,
    Choice,
    Every,
    Fixed,
    Hypers,
    Integer,
    LogUniform,
    Member,
    Peers,
    Replay,
    Space,
    Study,
    SymmetricPerturb,
    Task,
    Truncation,
    Uniform,
    binary_tournament,
    grid,
    never,
)
from core.task import Report


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


class HalfSecond(Walk):
    """A climb whose steps take half a second and no processor, as those on a GPU do."""

    def step(self, hypers: Hypers) -> None:
        """Climb, and wait."""
        super().step(hypers)
        time.sleep(0.5)


def half_seconds() -> PBT:
    """A run for jobs that are started, stopped and started again."""
    return replace(walk(), task=Task(HalfSecond, SPACE), members=6, steps=16)


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


class Picky(Walk):
    """A climb that is possible on sound devices alone."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.device = device

    def step(self, hypers: Hypers) -> None:
        """Climb, if the device lasts: that of the name "dies after 3" does three steps."""
        global steps_of_this_process
        steps_of_this_process += 1
        if self.device.startswith("dies after ") and steps_of_this_process > int(self.device[11:]):
            raise RuntimeError(f"{self.device}: uncorrectable error")
        super().step(hypers)


steps_of_this_process = 0


def picky() -> PBT:
    """A run for devices of which some are broken."""
    return replace(walk(), task=Task(Picky, SPACE))


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


class Diary(Walk):
    """A climb whose weights tell with which rates they were trained; its optimiser has a rate."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.rate = 0.0
        self.rates: list[float] = []

    def step(self, hypers: Hypers) -> None:
        """Put the rate in force, climb, and write it down."""
        self.rate = float(hypers["rate"])
        self.climb()

    def climb(self) -> None:
        """Climb with the optimiser's rate."""
        super().step({"rate": self.rate})
        self.rates.append(self.rate)

    def report(self) -> Report:
        """Return the diary."""
        return {"rates": list(self.rates)}

    def save(self, path: Path) -> None:
        """Write the optimiser and the diary too."""
        super().save(path)
        path.write_text(json.dumps([json.loads(path.read_text()), self.rate, self.rates]))

    def load(self, path: Path) -> None:
        """Read them."""
        state, self.rate, self.rates = json.loads(path.read_text())
        self.height, self.steps, self.rng.bit_generator.state = state


def diary() -> PBT:
    """A run whose weights can be held against its records."""
    return replace(walk(), task=Task(Diary, SPACE))


class RestoresItsRate(Diary):
    """Breaks the contract: it reads the rate, and goes on with the one of the loaded optimiser."""

    def step(self, hypers: Hypers) -> None:
        """Climb with the first rate that these weights ever saw."""
        self.rate = self.rate or float(hypers["rate"])
        self.climb()


class RestoresItsRateUnseen(RestoresItsRate):
    """The same, and looks at the rate each time, so that only its effect can tell."""

    def step(self, hypers: Hypers) -> None:
        """Look, and climb as before."""
        super().step({"rate": float(hypers["rate"])})


def restores_its_rate() -> PBT:
    """A task that no run may go on with."""
    return replace(diary(), task=Task(RestoresItsRate, SPACE))


def restores_its_rate_unseen() -> PBT:
    """A task that `check` must refuse."""
    return replace(diary(), task=Task(RestoresItsRateUnseen, SPACE))


class Explodes(Walk):
    """Is no number in some places: NaN, and infinity of either sign."""

    def eval(self) -> float:
        """Return the height, or what is none."""
        strange = (math.nan, math.inf, -math.inf)[self.steps % 3]
        return strange if self.steps > 1 and abs(self.height) % 1 < 0.3 else self.height


def explodes() -> PBT:
    """A run some of whose members diverge, each in its own way."""
    return replace(walk(), task=Task(Explodes, SPACE), steps=20)


def copies_the_worst(me: Member, population: Peers, rng: np.random.Generator) -> Member:
    """A rule of a user's own that takes whoever has diverged for the best."""
    return min(population, key=lambda member: (member.fitness, member.id))


def quorum() -> PBT:
    """A run in which nobody is judged before four of five have reported."""
    return replace(walk(), mode="asynchronous", exploit=Among(Truncation(0.4), quorum=4))


class Drifts(Walk):
    """A climb to which its hyperparameters mean nothing."""

    def step(self, hypers: Hypers) -> None:
        """Look at each of them, and climb."""
        super().step({"rate": 0.3 + 0 * len(list(hypers.values()))})


SMALL = Space(
    {
        "zero": Integer(0, 2, domain=(0, 8)),
        "one": Integer(1, 2, domain=(1, 8)),
        "signed": Integer(-2, 2, domain=EVERYWHERE),
        "share": Uniform(0, 1, domain=(0, 1)),
        "rate": LogUniform(1e-3, 1e-1, domain=(1e-3, 1e-1)),
        "width": Choice((16, 32, 64), ordered=True),
        "free": LogUniform(1e-3, 1e-1),
    }
)


def small() -> PBT:
    """A run that starts at 0, 1 and 2 and copies much."""
    rest: Hypers = {"rate": 1e-3, "width": 16, "free": 1.0}
    starts = [{"zero": i, "one": max(i, 1), "signed": i, "share": i / 2} for i in range(3)]
    return PBT(
        task=Task(Drifts, SMALL),
        members=12,
        steps=40,
        ready=Every(1),
        exploit=Truncation(0.5),
        explore=SymmetricPerturb(1.2),
        start=tuple({**start, **rest} for start in starts * 4),
        report=never,
        mode="lockstep",
    )


def reckless(hypers: Hypers, space: Space, rng: np.random.Generator) -> Hypers:
    """A way to explore of a user's own, which minds no bounds."""
    return {
        name: value if name == "width" else float(value) + float(rng.choice((-50, 50)))
        for name, value in hypers.items()
    }


def not_a_preset() -> int:
    """Return something else."""
    return 7


def small_study() -> Study:
    """Two exploiters and two sizes, their baseline, and what replays one of them."""
    exploits = {"truncation": Truncation(0.4), "tournament": binary_tournament}
    arms, levels = grid(walk(), exploit=exploits, members={"3": 3, "5": 5})
    return Study(
        arms=arms
        | {
            "baseline": walk_random_search(),
            "replay": Replay(of="truncation-5"),
            "final": Replay(of="truncation-5", use="final"),
        },
        seeds=(1, 2),
        baseline="baseline",
        levels=levels,
    )


NAMESAKES = Space(
    {
        "score": LogUniform(0.01, 1.0),
        "step": LogUniform(0.01, 1.0),
        "rate": LogUniform(0.01, 1.0),
        "batch": Fixed(64),
    }
)


class Namesake(Walk):
    """A climb with hypers that are called like columns of ours, and a fixed one."""

    def step(self, hypers: Hypers) -> None:
        """Climb, and read all of them."""
        super().step({"rate": max(hypers[name] for name in ("rate", "score", "step", "batch"))})


def namesakes() -> PBT:
    """A run of them."""
    return replace(walk(), task=Task(Namesake, NAMESAKES), steps=2)


def never_ready() -> PBT:
    """A run in which nobody can ever be ready."""
    return replace(walk(), ready=Every(1000))


def stays(me: Member, population: Peers, rng: np.random.Generator) -> Member:
    """A way to exploit in which each keeps what it has."""
    return me


def never_copies() -> PBT:
    """A run in which all are ready, and nobody copies."""
    return replace(walk(), exploit=stays)


class Leaves(Walk):
    """A climb that ends its process in its second step, without a word."""

    def step(self, hypers: Hypers) -> None:
        """Climb, and leave."""
        super().step(hypers)
        if self.steps == 2:
            os._exit(0)


def leaves() -> PBT:
    """A run that cannot be done."""
    return replace(walk(), task=Task(Leaves, SPACE))
