"""A memory task: a cue is shown once, noise follows, and at the end the cue is asked for.

Without memory the best that there is is to guess: a mean return of 0 with two cues.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, State
from tasks.rl.environments.singles import Frame


class Recall:
    """Observation: the cue (one of `cues`, shown at first only), one number of noise, "asked now".

    The reward is 1 for the cue's own action when asked, -1 for another one; 0 before.

    Args:
        delay: steps between the cue and the question; at least 1.

    Raises:
        ValueError: fewer than two cues, or no delay.
    """

    savable = True

    def __init__(self, delay: int = 5, cues: int = 2) -> None:
        if delay < 1 or cues < 2:
            raise ValueError(f"delay must be at least 1 and cues at least 2, got {delay}, {cues}")
        self.delay, self.cues = delay, cues
        self.spec = Spec(shape=(cues + 2,), heads=(cues,))
        self.seed = self.taken = self.cue = 0

    def reset(self, seed: int) -> Frame:
        """Show the cue."""
        self.seed, self.taken = seed, 0
        self.noise = np.random.default_rng(seed).random(self.delay + 1, np.float32)
        self.cue = int(np.random.default_rng(seed + 1).integers(self.cues))
        return Frame(self._look())

    def _look(self) -> NDArray[np.float32]:
        seen = np.zeros(self.cues + 2, np.float32)
        if self.taken == 0:
            seen[self.cue] = 1
        seen[-2], seen[-1] = self.noise[self.taken], self.taken == self.delay
        return seen

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Wait, or answer."""
        if self.taken == self.delay:
            return Frame(self._look(), 1.0 if int(action[0]) == self.cue else -1.0, True)
        self.taken += 1
        return Frame(self._look())

    def state(self) -> State:
        """Return the episode's seed and how far it is."""
        return {"seed": self.seed, "taken": self.taken}

    def restore(self, state: State) -> None:
        """Go on from there."""
        said: Any = state
        self.reset(said["seed"])
        self.taken = said["taken"]

    def close(self) -> None:
        """There is nothing to close."""
