"""Presets for the tests of a cluster."""

import os
import time
from dataclasses import replace

from core import PBT, Hypers, Task
from core.task import Report
from tests.trainers import SPACE, HalfSecond, Walk, half_seconds, walk


class Placed(HalfSecond):
    """A climb that tells where it takes place."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.device = device

    def report(self) -> Report:
        """Return what Slurm has given to the job, and which part of it is ours."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        node = os.environ["SLURMD_NODENAME"]
        job = os.environ.get("SLURM_ARRAY_TASK_ID", "")
        return {"device": self.device, "visible": visible, "node": node, "job": job}


class Endless(Walk):
    """A climb whose first step is never done."""

    def step(self, hypers: Hypers) -> None:
        """Climb for ever."""
        super().step(hypers)
        time.sleep(3600)


def endless() -> PBT:
    """A run no turn of which fits into a job."""
    return replace(half_seconds(), task=Task(Endless, SPACE))


def placed() -> PBT:
    """A run whose records say on which GPU they were made."""
    return replace(half_seconds(), task=Task(Placed, SPACE))


class Quits(Walk):
    """A climb whose third step ends the process as a worker ends that is done."""

    status = 0

    def step(self, hypers: Hypers) -> None:
        """Climb, or leave without a word."""
        super().step(hypers)
        if self.steps == 3:
            os._exit(self.status)


class QuitsEarly(Quits):
    """The same, with the status of a worker that was told to leave."""

    status = 3


def quits() -> PBT:
    """A run whose workers end with status 0 before it is done."""
    return replace(walk(), task=Task(Quits, SPACE))


def quits_early() -> PBT:
    """A run whose workers end with status 3 though nobody has told them to."""
    return replace(walk(), task=Task(QuitsEarly, SPACE))


class QuitsLate(Walk):
    """A climb whose first step takes a while, and ends the process."""

    def step(self, hypers: Hypers) -> None:
        """Leave without a word, late enough for the job to be told to leave before."""
        time.sleep(1)
        os._exit(3)


def quits_late() -> PBT:
    """A run in which nothing is ever published after the start."""
    return replace(walk(), task=Task(QuitsLate, SPACE))
