"""Batched advantage actor-critic: the synchronous form of A3C, feed-forward and with an LSTM.

A3C's threads each send gradients of their own rollout as they come; here N environments step
together and their gradients are averaged. Loss and optimiser are A3C's.
"""

import torch
from torch import Tensor, nn

from core import Hypers
from tasks.rl.agents.networks import Torso, head, over_time
from tasks.rl.agents.policy import Policy
from tasks.rl.agents.rollout import Memory, Rollout, Seen, mean_over_batch, returns
from tasks.rl.environments.batch import Spec

VALUE_WEIGHT = 0.5  # the critic's share of the loss, as A3C's reference code has it


class A2C(nn.Module):
    """A policy and a value on one trunk.

    Args:
        cells: of the LSTM between trunk and heads; 0 for a feed-forward agent.
        discount: γ.
        recall: whether the LSTM is also given the last action and reward (UNREAL's is).

    Source: Mnih et al. 2016 (arXiv:1602.01783), algorithm S3 and section 5.1: 256 cells, γ = 0.99.
    """

    def __init__(
        self, spec: Spec, *, cells: int = 0, discount: float = 0.99, recall: bool = False
    ) -> None:
        super().__init__()
        self.spec, self.policy, self.discount, self.recall = spec, Policy(spec), discount, recall
        self.cells = cells
        self.torso = Torso(spec)
        inputs = self.torso.features + (spec.heads[0] + 1 if recall else 0)
        self.lstm = nn.LSTMCell(inputs, cells) if cells else None
        width = cells or inputs
        self.actor = head(width, self.policy.options, 0.01)
        self.critic = head(width, 1)

    def begin(self, count: int) -> Memory:
        """Return an LSTM's state of zeros, h and c; nothing of a feed-forward agent."""
        zeros = self.actor.weight.new_zeros(count, self.cells)
        return (zeros, zeros) if self.cells else ()

    def features(self, seen: Seen, memory: Memory) -> tuple[Tensor, Memory]:
        """Return what the heads are given, [T, N, width], and the memory behind the last moment."""
        shape = seen.first.shape  # T, N
        x = self.torso(seen.observations.flatten(0, 1)).unflatten(0, shape)
        if self.recall:
            last = nn.functional.one_hot(seen.actions[..., 0], self.spec.heads[0]).to(x.dtype)
            last = last * (~seen.first).unsqueeze(-1)
            x = torch.cat((x, last, seen.rewards.unsqueeze(-1)), -1)
        if self.lstm is None:
            return x, ()
        h, c = memory
        return over_time(self.lstm, x, seen.first, (h, c))

    def act(self, seen: Seen, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the logits at the one moment that is seen."""
        x, memory = self.features(seen, memory)
        return self.actor(x[0]), memory

    def values(self, seen: Seen, memory: Memory) -> Tensor:
        """Return V of each moment, [T, N]."""
        x, _ = self.features(seen, memory)
        return self.critic(x).squeeze(-1)  # type: ignore[no-any-return]

    def loss(self, rollout: Rollout, hypers: Hypers, rng: torch.Generator) -> Tensor:
        """Return A3C's loss of the rollout."""
        steps = len(rollout.rewards)
        x, memory = self.features(rollout.seen.part(0, steps), rollout.memory)
        with torch.no_grad():  # what follows is looked at for its value alone
            after, _ = self.features(rollout.seen.part(steps, steps + 1), memory)
            ahead = self.critic(after).squeeze(-1)
        logits, values = self.actor(x), self.critic(x).squeeze(-1)  # [T, N, ...]
        seen = torch.cat((values.detach(), ahead))
        goal = returns(rollout, rollout.rewards, seen, self.discount)
        cost = float(hypers["entropy_cost"])
        return actor_critic(self.policy, rollout, logits, goal, values, cost)


def actor_critic(
    policy: Policy, rollout: Rollout, logits: Tensor, goal: Tensor, values: Tensor, cost: float
) -> Tensor:
    """Return -log π(a) (R - V) - β H + ½ (R - V)², summed over time, averaged over environments.

    Args:
        logits: [T, N, options]. goal: the returns R, [T, N]. values: V, [T, N]. cost: β.
    """
    seen = rollout.seen.part(0, -1)
    chances, entropies = policy.look(logits, rollout.actions, seen.available)
    advantages = goal - values
    terms = -chances * advantages.detach() - cost * entropies + VALUE_WEIGHT * advantages**2
    return mean_over_batch(terms, rollout.valid)
