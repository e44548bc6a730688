"""Atari through ale-py's own vector environment: four grey frames, an action held for four.

Rewards come as the game gives them: to clip them is the learner's affair, and a score is of the
game's own. Sticky actions are a setting, and off: A3C and FuN had none (gymnasium's v5 has 0.25).
The vector environment cannot be saved, so a trainer begins its episodes anew with each step.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, State, Step, choose

MISSING = (
    "Atari needs ale-py (GPL-2.0), which brings its games along: pip install -c constraints.txt "
    "-e '.[rl,atari]'"
)


class Atari:
    """`count` games on `threads` threads.

    Args:
        game: as ale-py names it, such as ms_pacman.
        size: pixels of a side, 84 as the papers have it.
        sticky: the chance that the game repeats the action before instead.

    Raises:
        ValueError: no such game, with the nearest one; a batch of nothing.
        ImportError: ale-py is not installed; how to get it.
    """

    savable = False

    def __init__(
        self, game: str, count: int, *, size: int = 84, threads: int = 1, sticky: float = 0.0
    ) -> None:
        try:
            from ale_py import roms
            from ale_py.vector_env import AtariVectorEnv
        except ImportError as error:
            raise ImportError(MISSING) from error
        if count < 1:
            raise ValueError(f"a batch needs at least 1 environment, got {count}")
        choose(game, roms.get_all_rom_ids(), "game of ale-py")
        games: Any = AtariVectorEnv(
            game=game,
            num_envs=count,
            num_threads=threads,
            img_height=size,
            img_width=size,
            repeat_action_probability=sticky,
            reward_clipping=False,
        )
        self.games = games
        self.count = count
        actions = int(self.games.single_action_space.n)
        self.spec = Spec(shape=(4, size, size), heads=(actions,), pixels=True)

    def reset(self, seed: int) -> Step:
        """Begin `count` episodes."""
        observations, _ = self.games.reset(seed=seed % 2**31)
        nothing = np.zeros(self.count, np.bool_)
        return Step(observations, np.zeros(self.count), nothing, nothing)

    def step(self, actions: NDArray[np.int64]) -> Step:
        """Act for four frames."""
        observations, rewards, over, cut, _ = self.games.step(actions[:, 0])
        over = np.asarray(over, np.bool_)
        cut = np.asarray(cut, np.bool_) & ~over
        return Step(observations, np.asarray(rewards, np.float64), over, cut)

    def reseed(self, seed: int) -> None:
        """Do nothing: the next reset has a seed."""

    def state(self) -> State:
        """Say that this is not to be had."""
        raise NotImplementedError("ale-py's vector environment cannot be saved")

    def restore(self, state: State) -> None:
        """Say that this is not to be had."""
        raise NotImplementedError("ale-py's vector environment cannot be saved")

    def close(self) -> None:
        """Close the games."""
        self.games.close()
