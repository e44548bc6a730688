"""What an agent learns from: T steps of N environments, and the returns that follow from them."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from core import Hypers

Memory = tuple[Tensor, ...]  # what an agent carries from step to step: each [N, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """What an agent sees at T moments: each [T, N, ...].

    observations: [T, N, *shape], bytes or floats. first: whether an episode begins here, so that
    nothing of before may be remembered. actions: [T, N, parts], the one taken before; 0 at first.
    rewards: [T, N], the one received before, as learned from; 0 at first. available: as `Step`.
    """

    observations: Tensor
    first: Tensor
    actions: Tensor
    rewards: Tensor
    available: Tensor | None = None

    def part(self, begin: int, end: int) -> "Seen":
        """Return the moments from `begin` up to `end`."""
        rows = slice(begin, end)
        return Seen(
            self.observations[rows],
            self.first[rows],
            self.actions[rows],
            self.rewards[rows],
            None if self.available is None else self.available[rows],
        )


@dataclass(frozen=True, slots=True)
class Rollout:
    """T steps of N environments.

    seen: T + 1 moments, the last one what follows. memory: of the agent at the first of them.
    actions: [T, N, parts]. rewards: [T, N], as learned from. terminated, truncated: [T, N], whether
    the step ended an episode. valid: [T, N], false where the step was a reset.
    """

    seen: Seen
    memory: Memory
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    valid: Tensor


class Agent(Protocol):
    """A network that acts and says what it would lose. Its parameters are those of a Module."""

    def begin(self, count: int) -> Memory:
        """Return the memory of `count` environments before anything was seen."""
        ...

    def act(self, seen: Seen, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the logits [N, all options] at the one moment that is seen, and the memory."""
        ...

    def loss(self, rollout: Rollout, hypers: Hypers, rng: torch.Generator) -> Tensor:
        """Return what to descend on, summed over time and averaged over environments."""
        ...


def returns(rollout: Rollout, rewards: Tensor, values: Tensor, discount: float) -> Tensor:
    """Return the n-step returns [T, N], n as large as the rollout and the episode allow.

    R_t = r_t + γ R_{t+1} with R_T = V(s_T); after an end there is nothing, after a truncation the
    value of what was seen last. (Where a step was a reset, the number means nothing.)

    Args:
        rewards: [T, N]. values: [T + 1, N], of what is seen; no gradient flows through them.

    Source: Mnih et al. 2016 (arXiv:1602.01783), algorithm S3.
    """
    ahead = values[-1]
    found = []
    for t in reversed(range(len(rewards))):
        ahead = torch.where(rollout.truncated[t], values[t + 1], ahead)
        ahead = rewards[t] + discount * ahead.masked_fill(rollout.terminated[t], 0.0)
        found.append(ahead)
    return torch.stack(found[::-1])


def mean_over_batch(terms: Tensor, valid: Tensor) -> Tensor:
    """Return [T, N] terms summed over time and averaged over environments; resets count 0.

    A sum over time as in A3C, whose gradients accumulate over the unroll: its learning rates are
    for that.
    """
    return (terms * valid).sum() / valid.shape[1]
