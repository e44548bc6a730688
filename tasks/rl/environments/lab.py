"""DeepMind Lab through `deepmind_lab.Lab`: colour pictures, a table of actions, a clock.

Not on PyPI: it is built with Bazel from github.com/deepmind/lab. Its rules are kept here: settings
are texts, an action is a row of np.intc as long as the specification, `num_steps` is the action
repeat, and there is nothing to look at after the end, so the last picture is kept.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, choose
from tasks.rl.environments.singles import Frame, Unsavable

MISSING = (
    "DeepMind Lab is not installed, and no package index has it: build its wheel with Bazel from "
    "github.com/deepmind/lab (docs/users/build.md), then pip install that wheel into this .venv. "
    "tasks.rl.presets:health_gathering runs on ViZDoom, which pip can install."
)
# The paper's names of its fifteen levels (table 2) -> those of the public scripts, None if none is.
LEVELS: dict[str, str | None] = {
    "emstm_non_match": None,
    "emstm_watermaze": None,
    "lt_horse_shoe_color": "lt_horseshoe_color",
    "nav_maze_random_goal_01": "nav_maze_random_goal_01",
    "lt_hallway_slope": "lt_hallway_slope",
    "nav_maze_all_random_01": None,
    "nav_maze_all_random_02": None,
    "nav_maze_all_random_03": None,
    "nav_maze_random_goal_02": "nav_maze_random_goal_02",
    "nav_maze_random_goal_03": "nav_maze_random_goal_03",
    "nav_maze_static_01": "nav_maze_static_01",
    "nav_maze_static_02": "nav_maze_static_02",
    "nav_maze_static_03": "nav_maze_static_03",
    "seekavoid_arena_01": "seekavoid_arena_01",
    "stairway_to_melon_01": "stairway_to_melon",
}
PUBLIC = tuple(name for name, script in LEVELS.items() if script)
# Look right/left, look down/up, strafe, forward, fire, jump, crouch: our choice of nine.
ACTIONS = (
    (-20, 0, 0, 0, 0, 0, 0),
    (20, 0, 0, 0, 0, 0, 0),
    (0, 0, -1, 0, 0, 0, 0),
    (0, 0, 1, 0, 0, 0, 0),
    (0, 0, 0, 1, 0, 0, 0),
    (0, 0, 0, -1, 0, 0, 0),
    (-20, 0, 0, 1, 0, 0, 0),
    (20, 0, 0, 1, 0, 0, 0),
    (0, 0, 0, 0, 1, 0, 0),
)


class Lab(Unsavable):
    """A level, seen in colour at 84x84, each action held for four frames.

    Args:
        level: the paper's name of one of the public ten, or `contributed/dmlab30/...`.
        actions: rows in the order of the module's specification.

    Raises:
        ValueError: no such level, or a table that does not fit the specification.
        ImportError: the module is not installed; how to get it.
    """

    def __init__(
        self,
        level: str,
        actions: tuple[tuple[int, ...], ...] = ACTIONS,
        repeat: int = 4,
        size: int = 84,
    ) -> None:
        if "/" not in level:
            choose(level, LEVELS, "level of DeepMind Lab")
            if LEVELS[level] is None:
                raise ValueError(
                    f"the level {level!r} of the paper was never published; there are: "
                    f"{', '.join(PUBLIC)}"
                )
        try:
            import deepmind_lab
        except ImportError as error:
            raise ImportError(MISSING) from error
        config = {"width": str(size), "height": str(size)}
        name = LEVELS.get(level) or level
        self.game: Any = deepmind_lab.Lab(name, ["RGB_INTERLEAVED"], config=config)
        self.actions, self.repeat = _checked(actions, self.game.action_spec()), repeat
        self.last = np.zeros((3, size, size), np.uint8)
        self.spec = Spec(shape=self.last.shape, heads=(len(actions),), pixels=True)

    def reset(self, seed: int) -> Frame:
        """Begin an episode."""
        self.game.reset(seed=seed)
        return Frame(self._look())

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Act; a level ends by its clock or its script, which cannot be told apart: terminated."""
        reward = self.game.step(self.actions[int(action[0])], num_steps=self.repeat)
        if not self.game.is_running():
            return Frame(self.last, float(reward), True)
        return Frame(self._look(), float(reward))

    def _look(self) -> NDArray[np.uint8]:
        picture = self.game.observations()["RGB_INTERLEAVED"]  # [H, W, 3]
        self.last = np.ascontiguousarray(picture.transpose(2, 0, 1))
        return self.last

    def close(self) -> None:
        """End the game."""
        self.game.close()


def _checked(
    rows: tuple[tuple[int, ...], ...], spec: list[dict[str, Any]]
) -> list[NDArray[np.intc]]:
    for row in rows:
        if len(row) != len(spec):
            raise ValueError(
                f"the action {row} has {len(row)} numbers where the level takes {len(spec)}: "
                f"{', '.join(str(part['name']) for part in spec)}"
            )
        for number, part in zip(row, spec, strict=True):
            if not part["min"] <= number <= part["max"]:
                raise ValueError(
                    f"{number} in the action {row} is out of [{part['min']}, {part['max']}], the "
                    f"range of {part['name']}"
                )
    if not rows:
        raise ValueError("the table of actions is empty: it needs a row for each action")
    return [np.array(row, np.intc) for row in rows]
