"""A batch of environments that step together, by gymnasium's conventions: all that an agent sees.

After an episode's end the next step is the reset: it ignores its action, gives no reward and shows
the first observation of the new episode (gymnasium's autoreset NEXT_STEP). A learner leaves that
transition out. The observation that comes with the end belongs to the old episode, so a learner may
take its value where the episode was only cut off (truncated).
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

State = Mapping[str, object]  # numbers, lists and mappings of them: what torch may save


class EnvironmentLost(RuntimeError):
    """An environment has crashed, or does not answer: the member fails, and starts its anew."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What an environment shows, and what may be done in it.

    shape: of one observation: (C, H, W) of bytes where `pixels`, else of floats.
    heads: how many options each part of an action has; one part for most, for StarCraft II the
        function and then the kinds of its arguments.
    uses: for each option of the first part, the other parts that it needs; () if there is one part.
    masked: whether `Step.available` says which options of the first part may be taken now.
    """

    shape: tuple[int, ...]
    heads: tuple[int, ...]
    pixels: bool = False
    uses: tuple[tuple[int, ...], ...] = ()
    masked: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What N environments answer.

    observations: [N, *shape]. rewards: [N], never clipped. terminated: [N], nothing comes after.
    truncated: [N], cut off by a clock: what would have come after has a value. No environment is
    both. available: [N, heads[0]] if the spec is masked.
    """

    observations: NDArray[Any]
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    available: NDArray[np.bool_] | None = None

    @property
    def ended(self) -> NDArray[np.bool_]:
        """Where an episode is over: the next step is its reset."""
        return self.terminated | self.truncated


class Batch(Protocol):
    """N environments."""

    spec: Spec
    count: int
    savable: bool  # whether `state` can say where all are; else a trainer begins episodes anew

    def reset(self, seed: int) -> Step:
        """Begin N episodes that depend on the seed alone."""
        ...

    def step(self, actions: NDArray[np.int64]) -> Step:
        """Act: [N, number of parts]. Raises EnvironmentLost."""
        ...

    def reseed(self, seed: int) -> None:
        """Let the episodes after the present ones depend on another seed."""
        ...

    def state(self) -> State:
        """Return where all are, so that `restore` can go on exactly from there."""
        ...

    def restore(self, state: State) -> None:
        """Go on from a state that another batch of the same kind has told."""
        ...

    def close(self) -> None:
        """Let go of games and processes."""
        ...


def choose(name: str, names: Iterable[str], kind: str) -> str:
    """Return `name` if it is one of `names`; otherwise raise ValueError with the nearest one."""
    known = sorted(names)
    if name in known:
        return name
    folded = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.5)
    hint = f"Did you mean {folded[near[0]]!r}?" if near else f"There are: {', '.join(known)}."
    raise ValueError(f"{name!r} is no {kind}. {hint}")


def episode_seed(seed: int, place: Sequence[int]) -> int:
    """Return a seed in [0, 2**31) for one episode, by (environment, how many it has had)."""
    state = np.random.SeedSequence(seed, spawn_key=tuple(place)).generate_state(1)
    return int(state[0]) >> 1
