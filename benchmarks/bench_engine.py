"""Engine time per turn: publish, read the population, decide, copy by link; and fsync's share.

`python -m benchmarks.bench_engine [DIR]`: one worker on the toy with N members, every one ready at
every step, so that each turn reads all records and decides. What the trainer itself spends (step,
eval, report, save, load) is taken off; DIR is the file system to measure.
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.provenance import say, spread
from core import Every
from core.directory.members import Members
from core.directory.run import Run
from core.workers.worker import work
from tasks.toy.presets import TASK, pbt
from tasks.toy.quadratic import Quadratic


class Noisy(Quadratic):
    """The toy with a random score, so that a fifth of the turns ends in a copy as in a real run."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.rng = np.random.default_rng(seed)

    def eval(self) -> float:
        """Return a random number."""
        return float(self.rng.random())


TRAINER = ("step", "eval", "report", "save", "load", "build")


def measure(members: int, turns: int, durable: bool, where: str | None) -> dict[str, float]:
    """Return milliseconds per turn, by phase, of `turns` turns after a first of every member."""
    with tempfile.TemporaryDirectory(dir=where) as folder:
        base = replace(pbt(), task=replace(TASK, trainer=Noisy))
        settings = replace(base, members=members, steps=1 + -(-turns // members), ready=Every(1))
        run = Run(Path(folder), "", settings, {})
        work(run, durable=False, turns=members)
        began = time.perf_counter()
        work(run, durable=durable, turns=turns)
        wall = time.perf_counter() - began
        spent: dict[str, float] = {}
        population = Members(run.root)
        records = [r for id in range(members) for r in population.history(id) if r.member.step > 1]
        for record in records:
            for phase, seconds in record.seconds.items():
                spent[phase] = spent.get(phase, 0.0) + seconds
        assert len(records) == turns
        trainer = sum(spent.get(phase, 0.0) for phase in TRAINER)
        result = {"engine": wall - trainer} | {p: s for p, s in spent.items() if p not in TRAINER}
        return {phase: 1000 * seconds / turns for phase, seconds in result.items()}


def main() -> None:
    """Measure N = 80 and N = 1,000, with and without fsync, in turns."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    found: dict[str, dict[str, list[float]]] = {}
    for _ in range(3):
        for members, turns in ((80, 400), (1000, 300)):
            for durable in (True, False):
                name = f"N={members}, {'fsync' if durable else 'no fsync'}"
                for phase, value in measure(members, turns, durable, where).items():
                    found.setdefault(name, {}).setdefault(phase, []).append(value)
    say(
        {
            "benchmark": "engine milliseconds per turn, without the trainer's own",
            "phases": {
                name: {phase: spread(values) for phase, values in phases.items()}
                for name, phases in found.items()
            },
            "note": "engine = wall - trainer; fsync and checksum are parts of the other phases",
        }
    )


if __name__ == "__main__":
    main()
