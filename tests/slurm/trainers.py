"""Presets for the tests of a cluster."""

import os
from dataclasses import replace

from core.pbt import PBT
from core.task import Report, Task
from tests.trainers import SPACE, HalfSecond, half_seconds


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


def placed() -> PBT:
    """A run whose records say on which GPU they were made."""
    return replace(half_seconds(), task=Task(Placed, SPACE))
