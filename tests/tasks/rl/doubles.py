"""Doubles of games: one that keeps the rules of `deepmind_lab.Lab`, and some that misbehave."""

import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.recall import Recall
from tasks.rl.environments.singles import Frame

PARTS = (
    ("LOOK_LEFT_RIGHT_PIXELS_PER_FRAME", 512),
    ("LOOK_DOWN_UP_PIXELS_PER_FRAME", 512),
    ("STRAFE_LEFT_RIGHT", 1),
    ("MOVE_BACK_FORWARD", 1),
    ("FIRE", 1),
    ("JUMP", 1),
    ("CROUCH", 1),
)


class Lab:
    """What the module does: texts for settings, np.intc for actions, nothing to see after the end.

    An episode has twelve frames; each frame in which one moves forward gives 1.
    """

    def __init__(
        self,
        level: str,
        observations: list[str],
        config: dict[str, str] | None = None,
        renderer: str = "software",
    ) -> None:
        for key, value in (config or {}).items():
            if not isinstance(key, str) or not isinstance(value, str):
                raise TypeError("settings are texts")
        if unknown := set(observations) - {"RGB_INTERLEAVED"}:
            raise ValueError(f"unknown observation {unknown}")
        self.level, self.config = level, config or {}
        self.frame = -1

    def reset(self, episode: int = -1, seed: int | None = None) -> bool:
        """Begin an episode."""
        if not (seed is None or isinstance(seed, int)):
            raise ValueError("seed must be int or None")
        self.rng, self.frame = np.random.default_rng(seed), 0
        return True

    def is_running(self) -> bool:
        """Whether it goes on."""
        return 0 <= self.frame < 12

    def step(self, action: Any, num_steps: int = 1) -> float:
        """Act for some frames."""
        if not self.is_running():
            raise RuntimeError("wrong status to advance")
        if action.dtype != np.intc or action.shape != (len(PARTS),):
            raise ValueError("an action is a row of np.intc")
        frames = min(num_steps, 12 - self.frame)
        self.frame += frames
        return float(frames * (action[3] == 1))

    def observations(self) -> dict[str, NDArray[np.uint8]]:
        """Look."""
        if not self.is_running():
            raise RuntimeError("wrong status to observe")
        shape = (int(self.config["height"]), int(self.config["width"]), 3)
        return {"RGB_INTERLEAVED": self.rng.integers(0, 256, shape, dtype=np.uint8)}

    def action_spec(self) -> list[dict[str, object]]:
        """Name the parts of an action."""
        low = {"FIRE": 0, "JUMP": 0, "CROUCH": 0}
        return [{"name": n, "min": low.get(n, -most), "max": most} for n, most in PARTS]

    def close(self) -> bool:
        """End it."""
        return True


class Misbehaves(Recall):
    """A game that, at its seventh step, dies, hangs or raises; or that has begun a process."""

    savable = False

    def __init__(self, how: str, note: str = "") -> None:
        super().__init__()
        self.how, self.steps = how, 0
        if how == "spawns":
            sleeper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            with open(note, "w") as file:
                file.write(str(sleeper.pid))

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Misbehave."""
        self.steps += 1
        if self.steps == 7:
            if self.how == "dies":
                os._exit(3)
            if self.how == "hangs":
                time.sleep(600)
            if self.how == "raises":
                raise RuntimeError("out of ammunition")
        return super().step(action)
