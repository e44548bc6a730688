"""The runs of bench_toy_against_ray.py and bench_slurm.py."""

import time
from dataclasses import replace

from core import PBT, Every, Hypers, never
from tasks.toy.presets import TASK, pbt
from tasks.toy.quadratic import Quadratic


def toy() -> PBT:
    """The toy with eight members that decide at every step, as Ray's must to copy as often.

    Only the last step is reported on, as Ray's trainable has a score and no more.
    """
    return replace(pbt(), members=8, steps=400, ready=Every(1), report=never)


class HalfSecond(Quadratic):
    """The toy with steps of half a second that leave the processor to others, as on a GPU."""

    def step(self, hypers: Hypers) -> None:
        """Take a step of the toy, and wait."""
        super().step(hypers)
        time.sleep(0.5)


def half_seconds_of_3() -> PBT:
    """A member for each of three workers, for an hour."""
    return replace(pbt(), task=replace(TASK, trainer=HalfSecond), members=3, steps=7200)


def half_seconds_of_16() -> PBT:
    """Two members for each of eight workers."""
    return replace(half_seconds_of_3(), members=16, steps=100)
