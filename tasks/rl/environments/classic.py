"""Gymnasium's classic control: cart and pole, acrobot, mountain car. Savable at any moment."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, State, choose
from tasks.rl.environments.singles import Frame

NAMES = ("Acrobot-v1", "CartPole-v1", "MountainCar-v0")


class Classic:
    """One of `NAMES`, with its own limit of steps.

    The wrappers of `gymnasium.make` are left off: they cost more than the physics.

    Raises:
        ValueError: no such environment, with the nearest one.
    """

    savable = True

    def __init__(self, name: str) -> None:
        import gymnasium

        made: Any = gymnasium.make(choose(name, NAMES, "classic control task"))
        self.game = made.unwrapped
        self.limit = gymnasium.spec(name).max_episode_steps or 2**31
        self.taken = 0
        shape = self.game.observation_space.shape
        self.spec = Spec(shape=shape, heads=(int(self.game.action_space.n),))

    def reset(self, seed: int) -> Frame:
        """Begin an episode."""
        self.taken = 0
        return Frame(self.game.reset(seed=seed)[0])

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Act; cut off at the limit."""
        self.taken += 1
        observation, reward, terminated, _, _ = self.game.step(int(action[0]))
        return Frame(observation, float(reward), terminated, self.taken >= self.limit)

    def state(self) -> State:
        """Return the physics as they are: in double precision, where an observation is not."""
        return {"physics": [float(number) for number in self.game.state], "taken": self.taken}

    def restore(self, state: State) -> None:
        """Go on from there."""
        said: Any = state
        self.game.reset(seed=0)  # what else there is starts afresh; it does not outlive an episode
        self.game.state, self.taken = np.array(said["physics"], np.float64), said["taken"]

    def close(self) -> None:
        """Close it."""
        self.game.close()
