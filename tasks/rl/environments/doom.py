"""ViZDoom: first person, textured, partly seen; the installable stand-in for DeepMind Lab.

Two traps of its gymnasium interface are handled here. At the time limit both flags are set: only
`truncated` is true. The last observation is all zeros: the one before stands in for it, so that a
learner may take its value where an episode was cut off.
"""

import contextlib
import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, choose
from tasks.rl.environments.singles import Frame, Unsavable

MISSING = "ViZDoom is not installed: pip install -c constraints.txt -e '.[rl,vizdoom]'"
LEVELS = {  # those that need no game of somebody else's
    "basic": "VizdoomBasic-v1",
    "deadly_corridor": "VizdoomDeadlyCorridor-v1",
    "defend_the_center": "VizdoomDefendCenter-v1",
    "defend_the_line": "VizdoomDefendLine-v1",
    "health_gathering": "VizdoomHealthGathering-v1",
    "health_gathering_supreme": "VizdoomHealthGatheringSupreme-v1",
    "my_way_home": "VizdoomMyWayHome-v1",
    "predict_position": "VizdoomPredictPosition-v1",
    "take_cover": "VizdoomTakeCover-v1",
}
HEIGHT, WIDTH = 120, 160  # the smallest picture that there is


class Doom(Unsavable):
    """A level with an action repeat of four, seen in grey (at 84x84: every second pixel or so).

    Args:
        level: a key of `LEVELS`.
        size: pixels of a side.

    Raises:
        ValueError: no such level, with the nearest one.
        ImportError: ViZDoom is not installed; how to get it.
    """

    def __init__(self, level: str, frame_skip: int = 4, size: int = 84) -> None:
        choose(level, LEVELS, "level of ViZDoom")
        try:
            import gymnasium
            import vizdoom.gymnasium_wrapper  # noqa: F401  # registers the levels
            from vizdoom import ScreenFormat, ScreenResolution
        except ImportError as error:
            raise ImportError(MISSING) from error
        # the engine leaves files where the process is: at its start, at an episode and at the end
        self.folder = tempfile.TemporaryDirectory()
        with contextlib.chdir(self.folder.name):
            made: Any = gymnasium.make(
                LEVELS[level],
                frame_skip=frame_skip,
                screen_resolution=ScreenResolution.RES_160X120,
                screen_format=ScreenFormat.GRAY8,
            )
        self.game = made.unwrapped
        self.rows, self.columns = (np.arange(size) * full // size for full in (HEIGHT, WIDTH))
        self.last = np.zeros((1, size, size), np.uint8)
        heads = (int(self.game.action_space.n),)
        self.spec = Spec(shape=(1, size, size), heads=heads, pixels=True)

    def reset(self, seed: int) -> Frame:
        """Begin an episode."""
        with contextlib.chdir(self.folder.name):
            observation, _ = self.game.reset(seed=seed)
        return Frame(self._look(observation))

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Act for `frame_skip` tics."""
        observation, reward, terminated, truncated, _ = self.game.step(int(action[0]))
        if terminated or truncated:
            over = bool(terminated) and not truncated
            return Frame(self.last, float(reward), over, bool(truncated))
        return Frame(self._look(observation), float(reward))

    def _look(self, observation: Any) -> NDArray[np.uint8]:
        screen = np.asarray(observation["screen"]).reshape(HEIGHT, WIDTH)
        self.last = screen[self.rows][:, self.columns][None].copy()
        return self.last

    def close(self) -> None:
        """End the game."""
        with contextlib.chdir(self.folder.name):
            self.game.close()
        self.folder.cleanup()
