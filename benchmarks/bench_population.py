"""Engine time per turn against the size of the population, for three exploit rules.

`python -m benchmarks.bench_population [DIR]`: one worker, every member ready at every step, a
trainer that does next to nothing, no fsync (which costs the same at any size and would flatter).
What a worker does once, when it joins, is left out: it looks at every lease, and the first decision
by truncation reads every record. DIR is the file system to measure.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.provenance import say, spread
from core import PBT, Every, Fixed, Hypers, Space, Task, Truncation, TTest, binary_tournament, never
from core.directory.members import Members
from core.directory.run import Run
from core.strategies.exploit import Exploit
from core.workers.worker import work

SIZES = (80, 320, 1000, 3200, 10_000)
REPEATS = 3
RULES: dict[str, tuple[Exploit, int]] = {  # with how many turns to measure
    "tournament": (binary_tournament, 300),
    "t-test": (TTest(), 300),
    "truncation": (Truncation(), 30),
}
READING = "reading every score"


class Nothing:
    """A trainer with random scores and no weights to speak of."""

    def __init__(self, seed: int, device: str) -> None:
        self.rng = np.random.default_rng(seed)

    def step(self, hypers: Hypers) -> None:
        """Look at the hyperparameter, and do nothing."""
        assert hypers["h"] == 1

    def eval(self) -> list[float]:
        """Return a sample of ten random numbers."""
        return self.rng.random(10).tolist()  # type: ignore[no-any-return]

    def save(self, path: Path) -> None:
        """Write a byte."""
        path.write_bytes(b"x")

    def load(self, path: Path) -> None:
        """Read it."""
        path.read_bytes()


def _settings(members: int, exploit: Exploit) -> PBT:
    return PBT(
        task=Task(Nothing, Space({"h": Fixed(1)})),
        members=members,
        steps=1000,
        ready=Every(1),
        exploit=exploit,
    )


def _timed(run: Run, turns: int) -> float:
    """Return milliseconds per turn, after two turns that are not counted."""
    asked: list[float] = []

    def stop() -> bool:
        asked.append(time.perf_counter())
        return len(asked) > turns + 2

    work(run, durable=False, stop=stop)
    return 1000 * (asked[turns + 2] - asked[2]) / turns


def measure(members: int, where: str | None, tell: Callable[[str], None]) -> dict[str, list[float]]:
    """Return milliseconds per turn by rule, each measured several times."""
    found: dict[str, list[float]] = {name: [] for name in (*RULES, READING)}
    with tempfile.TemporaryDirectory(dir=where) as folder:
        start = replace(_settings(members, binary_tournament), ready=never, steps=1)
        work(Run(Path(folder), "", start, {}), durable=False)
        for name, (exploit, turns) in RULES.items():  # truncation last: its records are long
            run = Run(Path(folder), "", _settings(members, exploit), {})
            for _ in range(REPEATS):
                found[name].append(_timed(run, turns))
                tell(f"N = {members}, {name}: {found[name][-1]:.3g} ms")
        found[READING] = [_reading(Path(folder), members) for _ in range(REPEATS)]
    return found


def _reading(folder: Path, members: int) -> float:
    """Return the milliseconds that it takes to look at every record when none has changed."""
    population = Members(folder)
    for _ in range(2):
        began = time.perf_counter()
        for id in range(members):
            population.newest(id)
    return 1000 * (time.perf_counter() - began)


def main() -> None:
    """Measure every size, and print the curve."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    sizes = {
        members: measure(members, where, lambda words: print(words, file=sys.stderr))
        for members in SIZES
    }
    medians = {m: {name: np.median(ms) for name, ms in rules.items()} for m, rules in sizes.items()}
    say(
        {
            "benchmark": "engine milliseconds per turn against the size of the population",
            "curve": {
                name: {members: spread(rules[name]) for members, rules in sizes.items()}
                for name in (*RULES, READING)
            },
            "N = 10,000 over N = 80": {
                name: round(float(medians[SIZES[-1]][name] / medians[SIZES[0]][name]), 2)
                for name in RULES
            },
        }
    )


if __name__ == "__main__":
    main()
