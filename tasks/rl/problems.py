"""What is learned: the paper's games, and the small ones that run here."""

from collections.abc import Callable
from functools import partial

from tasks.rl.agents.a2c import A2C
from tasks.rl.agents.fun import FuN
from tasks.rl.agents.unreal import UNREAL
from tasks.rl.environments.atari import Atari
from tasks.rl.environments.batch import Batch
from tasks.rl.environments.catch import Catch
from tasks.rl.environments.classic import Classic
from tasks.rl.environments.doom import Doom
from tasks.rl.environments.lab import Lab
from tasks.rl.environments.recall import Recall
from tasks.rl.environments.remote import Remote
from tasks.rl.environments.singles import Single, Singles
from tasks.rl.environments.starcraft import StarCraft
from tasks.rl.trainer import Problem

READY = 2_500_000  # agent steps between two looks, of the paper's 1e6 to 1e7
GAMES = 16  # that a member plays at once, of 32 threads in FuN


def _apart(single: Callable[[], Single], count: int) -> Callable[[], Batch]:
    """Return what makes `count` games in a process of their own, as they may crash or hang."""
    return partial(Remote, partial(Singles, single, count))


def _atari(game: str, count: int, size: int = 84) -> Callable[[], Batch]:
    """Return the same of an Atari game, whose batch is its own."""
    return partial(Remote, partial(Atari, game, count, size=size))


def atari(game: str) -> Problem:
    """FuN on an Atari game, as table 1; rewards clipped to [-1, 1] for the learner.

    Unrolls of 100 steps, of 400 in FuN's paper: 16 games together learn from 1,600 steps at once.
    """
    environment = _atari(game, GAMES)
    return Problem(environment=environment, agent=FuN, steps=READY, unroll=100, clip=1.0)


def lab(level: str) -> Problem:
    """UNREAL on a level of DeepMind Lab, as table 2; the unroll is a hyperparameter."""
    environment = _apart(partial(Lab, level), 8)
    return Problem(environment=environment, agent=UNREAL, steps=READY, epsilon=0.1)


def starcraft(map_name: str) -> Problem:
    """A3C, feed-forward, on a mini-game of StarCraft II, as table 3; unrolls of 40 steps."""
    environment = _apart(partial(StarCraft, map_name), 4)
    return Problem(environment=environment, agent=A2C, steps=READY, unroll=40)


CART_POLE = Problem(
    environment=partial(Singles, partial(Classic, "CartPole-v1"), 8),
    agent=A2C,
    steps=2000,
    limit=40.0,
    judged=24,
)
RECALL = Problem(
    environment=partial(Singles, Recall, 16),
    agent=partial(A2C, cells=32),
    steps=4000,
    unroll=8,
)
CATCH = Problem(
    environment=partial(Singles, Catch, 8),
    agent=partial(UNREAL, cells=64),
    steps=2000,
)
# Pictures of 42x42, a quarter of the pixels: two cores have the time for three such pairs. Few
# games, each for long: what has not ended with a step of the trainer is begun anew.
SMALL = 42
MS_PACMAN = Problem(
    environment=_atari("ms_pacman", 4, SMALL),
    agent=partial(A2C, cells=0),
    steps=4_000,
    clip=1.0,
    judged=16,
)
# Each step that one survives is rewarded there, and only death is not: the sign of the next reward
# is nearly constant, and to predict it would teach nothing.
HEALTH_GATHERING = Problem(
    environment=_apart(partial(Doom, "health_gathering", size=SMALL), 4),
    agent=partial(UNREAL, cells=128, prediction=0.0),
    steps=2_500,
    clip=1.0,
    judged=16,
)
