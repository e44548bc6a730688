"""Presets to be trained: runs with odd names or reports, and runs without copies."""

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from analysis.figures.samples import PNG
from core.member import Hypers, Member
from core.peers import Peers
from core.settings import PBT
from core.space import LogUniform, Space
from core.strategies.ready import Every, never
from core.task import Report, Task
from tests.trainers import SPACE, Walk, walk


class Says(Walk):
    """A walk that reports numbers with our names."""

    def report(self) -> Report:
        """Return what would replace our columns."""
        return {"score": 1000.0 + self.height, "step": 12345.0, "member": 9.0, "run": 7.0}


def says() -> PBT:
    """A run of it."""
    return replace(walk(), task=Task(Says, SPACE, "score"))


def says_random_search() -> PBT:
    """Its baseline."""
    return replace(says(), ready=never)


class Priced(Walk):
    """A walk with a hyperparameter in dollars."""

    def step(self, hypers: Hypers) -> None:
        """Climb."""
        super().step({"rate": float(hypers["fee_$ of_$"])})


def priced() -> PBT:
    """A run with two dollars in each of its names."""
    space = Space({"fee_$ of_$": LogUniform(1e-5, 1.0)})
    return replace(walk(), task=Task(Priced, space, "profit ($_net per $_spent)"))


def priced_random_search() -> PBT:
    """Its baseline."""
    return replace(priced(), ready=never)


class Pictured(Walk):
    """A walk that reports a picture of one pixel."""

    def report(self) -> Report:
        """Return it as the trainers of pictures do."""
        file = io.BytesIO()
        Image.new("L", (1, 1)).save(file, "PNG")
        return {"samples": PNG + base64.b64encode(file.getvalue()).decode()}


def pictured() -> PBT:
    """A run of it."""
    return replace(walk(), task=Task(Pictured, SPACE, "score"))


def too_late() -> PBT:
    """A run in which no member is ever ready."""
    return replace(walk(), ready=Every(1000))


def stay(me: Member, population: Peers, rng: np.random.Generator) -> Member:
    """Stay, and copy no other member."""
    return me


def stays() -> PBT:
    """A run in which all decide, and always to stay."""
    return replace(walk(), exploit=stay)
