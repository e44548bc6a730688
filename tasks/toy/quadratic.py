"""The toy problem of Jaderberg et al. 2017 (arXiv:1711.09846), figure 2."""

import json
import math
from pathlib import Path

import numpy as np

from core import Hypers
from core.task import Report

START = 0.9  # of both θ0 and θ1
RATE = 0.05  # of gradient ascent; not stated in the paper, read off the curves of its figure 2


class Quadratic:
    """Maximise Q(θ) = 1.2 - θ0² - θ1², seeing only the gradient of a surrogate.

    The surrogate is Q̂(θ | h) = 1.2 - h0 θ0² - h1 θ1²; h = (1, 1) would make it Q.

    A step is `updates` iterations of gradient ascent on Q̂. Deterministic: the seed has no effect.

    Source: Jaderberg et al. 2017, section 3.2 and figure 2.
    """

    def __init__(self, seed: int, device: str) -> None:
        self.theta = np.array([START, START])
        self.path = self.theta[None]  # [updates + 1, 2], of the last step

    def step(self, hypers: Hypers) -> None:
        """Take `updates` iterations with the coefficients h0 and h1."""
        h = np.array([float(hypers["h0"]), float(hypers["h1"])])
        path = [self.theta]
        for _ in range(int(hypers["updates"])):
            path.append(path[-1] + RATE * -2 * h * path[-1])
        self.theta, self.path = path[-1], np.array(path)

    def eval(self) -> float:
        """Return Q(θ), at most 1.2; NaN if θ has overflowed.

        Two products and a sum, not `theta @ theta`: linear algebra rounds as the processor likes.
        """
        one, other = self.theta.tolist()
        score = 1.2 - (one * one + other * other)
        return score if math.isfinite(score) else math.nan

    def report(self) -> Report:
        """Return the way of θ in the last step, from its first iteration on."""
        way = self.path[1:] if len(self.path) > 1 else self.path
        return {"theta0": way[:, 0].tolist(), "theta1": way[:, 1].tolist()}

    def save(self, path: Path) -> None:
        """Write θ as JSON."""
        path.write_text(json.dumps(self.theta.tolist()))

    def load(self, path: Path) -> None:
        """Read θ."""
        self.theta = np.array(json.loads(path.read_text()))
        self.path = self.theta[None]

    def snapshot(self) -> object:
        """Return θ, which no step changes in place."""
        return self.theta

    def restore(self, state: object) -> None:
        """Go on from θ."""
        assert isinstance(state, np.ndarray)
        self.theta = state
        self.path = self.theta[None]
