"""A small game of pixels: move a paddle under the balls that fall. Savable; for tests."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, State
from tasks.rl.environments.singles import Frame

SIZE, CELL = 24, 4  # pixels of the picture and of a cell
CELLS = SIZE // CELL
BALLS = 3  # of an episode


class Catch:
    """A ball falls a cell a step; the paddle moves by one at most: 1 for a catch, else -1."""

    savable = True
    spec = Spec(shape=(1, SIZE, SIZE), heads=(3,), pixels=True)

    def __init__(self) -> None:
        self.seed = self.taken = 0
        self.paddle = CELLS // 2

    def reset(self, seed: int) -> Frame:
        """Let the first ball appear."""
        self.seed, self.taken, self.paddle = seed, 0, CELLS // 2
        self.columns = [*np.random.default_rng(seed).integers(0, CELLS, BALLS).tolist(), 0]
        return Frame(self._look())

    def _look(self) -> NDArray[np.uint8]:
        ball, row = divmod(self.taken, CELLS - 1)
        picture = np.zeros((1, SIZE, SIZE), np.uint8)
        for y, x in ((row, self.columns[ball]), (CELLS - 1, self.paddle)):
            picture[0, y * CELL : (y + 1) * CELL, x * CELL : (x + 1) * CELL] = 255
        return picture

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Move left (0), stay (1) or move right (2)."""
        self.paddle = min(max(self.paddle + int(action[0]) - 1, 0), CELLS - 1)
        ball = self.taken // (CELLS - 1)
        self.taken += 1
        reward = 0.0
        if self.taken % (CELLS - 1) == 0:
            reward = 1.0 if self.columns[ball] == self.paddle else -1.0
        return Frame(self._look(), reward, self.taken == BALLS * (CELLS - 1))

    def state(self) -> State:
        """Return the episode's seed, the time and the paddle."""
        return {"seed": self.seed, "taken": self.taken, "paddle": self.paddle}

    def restore(self, state: State) -> None:
        """Go on from there."""
        said: Any = state
        self.reset(said["seed"])
        self.taken, self.paddle = said["taken"], said["paddle"]

    def close(self) -> None:
        """There is nothing to close."""
