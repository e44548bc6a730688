"""Environments that know nothing of each other, as a batch: stepped one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.rl.environments.batch import Spec, State, Step, episode_seed


@dataclass(frozen=True, slots=True)
class Frame:
    """What one environment answers; see `Step`."""

    observation: NDArray[Any]
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = False
    available: NDArray[np.bool_] | None = None


class Single(Protocol):
    """One environment: an episode is a function of the seed that it begins with."""

    spec: Spec
    savable: bool

    def reset(self, seed: int) -> Frame:
        """Begin an episode."""
        ...

    def step(self, action: NDArray[np.int64]) -> Frame:
        """Act: [number of parts]."""
        ...

    def state(self) -> State:
        """Return where it is, if it is savable."""
        ...

    def restore(self, state: State) -> None:
        """Go on from there."""
        ...

    def close(self) -> None:
        """Let go of what it holds."""
        ...


class Singles:
    """A batch of `count` environments, each made by `make()`.

    Raises:
        ValueError: a count of less than 1.
    """

    def __init__(self, make: Callable[[], Single], count: int) -> None:
        if count < 1:
            raise ValueError(f"a batch needs at least 1 environment, got {count}")
        self.games = [make() for _ in range(count)]
        self.spec, self.savable = self.games[0].spec, self.games[0].savable
        self.count, self.seed = count, 0
        self.episodes, self.ended = [0] * count, [False] * count

    def reset(self, seed: int) -> Step:
        """Begin all episodes."""
        self.seed, self.episodes = seed, [0] * self.count
        return self._step([self._begin(i) for i in range(self.count)])

    def step(self, actions: NDArray[np.int64]) -> Step:
        """Act in those whose episode goes on, begin one in the others."""
        games = enumerate(self.games)
        return self._step(
            [self._begin(i) if self.ended[i] else game.step(actions[i]) for i, game in games]
        )

    def _begin(self, i: int) -> Frame:
        frame = self.games[i].reset(episode_seed(self.seed, (i, self.episodes[i])))
        self.episodes[i] += 1
        return frame

    def _step(self, frames: list[Frame]) -> Step:
        self.ended = [frame.terminated or frame.truncated for frame in frames]
        masks = [frame.available for frame in frames if frame.available is not None]
        return Step(
            np.stack([frame.observation for frame in frames]),
            np.array([frame.reward for frame in frames], np.float64),
            np.array([frame.terminated for frame in frames]),
            np.array([frame.truncated and not frame.terminated for frame in frames]),
            np.stack(masks) if masks else None,
        )

    def reseed(self, seed: int) -> None:
        """Draw later episodes from another stream."""
        self.seed = seed

    def state(self) -> State:
        """Return seed, counters and the state of each."""
        games = [dict(game.state()) for game in self.games]
        return {
            "seed": self.seed,
            "episodes": list(self.episodes),
            "ended": list(self.ended),
            "games": games,
        }

    def restore(self, state: State) -> None:
        """Go on from there."""
        said: Any = state
        self.seed, self.episodes = said["seed"], list(said["episodes"])
        self.ended = list(said["ended"])
        for game, its in zip(self.games, said["games"], strict=True):
            game.restore(its)

    def close(self) -> None:
        """Close each."""
        for game in self.games:
            game.close()


class Unsavable:
    """The part of `Single` of a game that cannot say where it is."""

    savable = False

    def state(self) -> State:
        """Say that this is not to be had."""
        raise NotImplementedError(f"{type(self).__name__} cannot be saved: begin episodes anew")

    def restore(self, state: State) -> None:
        """Say that this is not to be had."""
        raise NotImplementedError(f"{type(self).__name__} cannot be saved: begin episodes anew")
