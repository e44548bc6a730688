"""Presets for the tests of a cluster."""

import os
import time
from dataclasses import replace

from core import PBT, Hypers, Task
from core.task import Report
from tests.trainers import SPACE, HalfSecond, Walk, half_seconds, walk


class Placed(HalfSecond):
    """A climb whose records say where it ran."""

    def __init__(self, seed: int, device: str) -> None:
        super().__init__(seed, device)
        self.device = device

    def report(self) -> Report:
        """Return the GPUs that Slurm gave to the job, and which one is ours."""
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        node = os.environ["SLURMD_NODENAME"]
        job = os.environ.get("SLURM_ARRAY_TASK_ID", "")
        return {"device": self.device, "visible": visible, "node": node, "job": job}


class Endless(Walk):
    """A climb whose first step never ends."""

    def step(self, hypers: Hypers) -> None:
        """Sleep instead of climbing."""
        super().step(hypers)
        time.sleep(3600)


def endless() -> PBT:
    """A run whose turns are longer than a job."""
    return replace(half_seconds(), task=Task(Endless, SPACE))


def placed() -> PBT:
    """A run whose records say on which GPU they were made."""
    return replace(half_seconds(), task=Task(Placed, SPACE))


class Quits(Walk):
    """A climb whose third step ends the process with the status of a worker that is done."""

    status = 0

    def step(self, hypers: Hypers) -> None:
        """Climb, or end the process."""
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
    """A run whose workers end with status 3 although they were not told to leave."""
    return replace(walk(), task=Task(QuitsEarly, SPACE))


class QuitsLate(Walk):
    """A climb whose first step takes a while, and ends the process."""

    def step(self, hypers: Hypers) -> None:
        """End the process, but only after the job can have been told to leave."""
        time.sleep(1)
        os._exit(3)


def quits_late() -> PBT:
    """A run that publishes nothing after the start."""
    return replace(walk(), task=Task(QuitsLate, SPACE))
