"""A task of your own, complete: `python examples/own_task.py` compares PBT with random search.

`python -m core check examples.own_task:pbt` holds it to the contract of a trainer.
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from core import (
    PBT,
    Every,
    Hypers,
    LogUniform,
    Perturb,
    Space,
    Study,
    Task,
    Truncation,
    TTest,
    never,
    run,
)


class Regression:
    """Fit the line 3 x - 1 through noise, by stochastic gradient descent."""

    def __init__(self, seed: int, device: str) -> None:
        self.rng = np.random.default_rng(seed)
        self.w = self.rng.normal(size=2)

    def step(self, hypers: Hypers) -> None:  # θ ← step(θ | h)
        for _ in range(20):
            x = np.array([1.0, self.rng.uniform(-1, 1)])
            error = 3 * x[1] - 1 + self.rng.normal() - self.w @ x
            self.w += float(hypers["rate"]) * error * x

    def eval(self) -> float:  # p ← eval(θ): higher is better, NaN if it has diverged
        return -float(((self.w - [-1, 3]) ** 2).sum())

    def reseed(self, seed: int) -> None:  # after a copy: other noise than the donor's
        self.rng = np.random.default_rng(seed)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps([self.w.tolist(), self.rng.bit_generator.state]))

    def load(self, path: Path) -> None:
        w, self.rng.bit_generator.state = json.loads(path.read_text())
        self.w = np.array(w)


def pbt() -> PBT:
    """Eight members; a second on a laptop."""
    space = Space({"rate": LogUniform(1e-4, 1.0)})  # starts there; may go anywhere above 0
    task = Task(Regression, space, score="minus squared error")
    return PBT(
        task=task, members=8, steps=20, ready=Every(2), exploit=Truncation(0.25), explore=Perturb()
    )


def random_search() -> PBT:
    """Baseline: the same starts and budget, and no member ever looks at another."""
    return replace(pbt(), ready=never)


def t_test() -> PBT:
    """Ablation: another exploit rule."""
    return replace(pbt(), exploit=TTest(0.05))


def study() -> Study:
    """All of them, with the same seeds."""
    arms = {"truncation": pbt(), "t-test": t_test(), "random_search": random_search()}
    return Study(arms=arms, seeds=(1, 2, 3), baseline="random_search")


if __name__ == "__main__":
    for name, settings in {"PBT": pbt(), "random search": random_search()}.items():
        best = run(settings).best
        rate = float(best.hypers["rate"])
        print(f"{name}: squared error {-best.score:.2g} of member {best.id}, rate {rate:.2g}")
