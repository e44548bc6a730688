"""FeUdal Networks: a manager sets directions in a space of its own, a worker acts along them.

Left out of the paper's: goals that are random with a small chance (it is unstated). The manager
learns from the steps whose horizon lies in the rollout: a shorter one teaches it no goals, and the
trainer refuses it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, normalize

from core import Hypers
from tasks.rl.agents.a2c import VALUE_WEIGHT, actor_critic
from tasks.rl.agents.networks import Torso, head, over_time
from tasks.rl.agents.policy import Policy
from tasks.rl.agents.rollout import Memory, Rollout, Seen, mean_over_batch, returns
from tasks.rl.environments.batch import Spec


class DilatedLSTM(nn.Module):
    """`groups` LSTMs that share weights; at time t group t mod r is updated, and all are pooled.

    Source: Vezhnevets et al. 2017 (arXiv:1703.01161), section 3.3, r = 10.
    """

    def __init__(self, inputs: int, cells: int, groups: int) -> None:
        super().__init__()
        self.cell, self.groups = nn.LSTMCell(inputs, cells), groups

    def forward(
        self, x: Tensor, h: Tensor, c: Tensor, age: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Take one step: x [N, inputs], h and c [N, r, cells], age [N] = t.

        Returns:
            The mean over the groups [N, cells], and the new h and c.
        """
        turn = nn.functional.one_hot(age % self.groups, self.groups).to(x.dtype).unsqueeze(-1)
        new_h, new_c = self.cell(x, ((h * turn).sum(1), (c * turn).sum(1)))
        h = h + turn * (new_h.unsqueeze(1) - h)
        c = c + turn * (new_c.unsqueeze(1) - c)
        return h.mean(1), h, c


class FuN(nn.Module):
    """The manager and the worker.

    Its memory: the manager's h and c [N, r, cells], the worker's h and c [N, cells], the last
    `horizon` states and goals of the manager [N, c, cells], and the age of the episode [N, 1].

    Args:
        cells: of either LSTM, and the size of the manager's space.
        horizon: c, of the manager; also the number r of groups of its LSTM.
        embedding: k, the size of the worker's space of actions.
        worker_discount, manager_discount: γ of each.

    Source: Vezhnevets et al. 2017 (arXiv:1703.01161): 256 cells, c = r = 10, k = 16; discounts 0.95
        and 0.99 in Jaderberg et al. 2017, section 4.1.2.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        cells: int = 256,
        horizon: int = 10,
        embedding: int = 16,
        worker_discount: float = 0.95,
        manager_discount: float = 0.99,
    ) -> None:
        super().__init__()
        self.policy, self.cells, self.horizon = Policy(spec), cells, horizon
        self.worker_discount, self.manager_discount = worker_discount, manager_discount
        self.torso = Torso(spec)  # z = f_percept(x)
        self.space = head(self.torso.features, cells)  # s = f_Mspace(z)
        self.manager = DilatedLSTM(cells, cells, horizon)
        self.manager_critic = head(cells, 1)
        self.worker = nn.LSTMCell(self.torso.features, cells)
        self.worker_critic = head(cells, 1)
        self.options = head(cells, self.policy.options * embedding, 0.1)  # U
        self.phi = nn.Linear(cells, embedding, bias=False)

    def begin(self, count: int) -> Memory:
        """Return zeros."""
        zeros = self.phi.weight.new_zeros
        groups, one = zeros(count, self.horizon, self.cells), zeros(count, self.cells)
        return (groups, groups, one, one, groups, groups, zeros(count, 1))

    def act(self, seen: Seen, memory: Memory) -> tuple[Tensor, Memory]:
        """Return the logits at the one moment that is seen."""
        run = self._run(seen, memory)
        return run.logits[0], run.memory

    def _run(self, seen: Seen, memory: Memory) -> "_Run":
        shape = seen.first.shape  # T, N
        z = self.torso(seen.observations.flatten(0, 1)).unflatten(0, shape)
        states = self.space(z).relu()  # [T, N, d]
        h, c, worker_h, worker_c, old_states, old_goals, age = memory
        outputs, ages = [], []
        for state, begins in zip(states, seen.first, strict=True):
            keep = (~begins).to(state.dtype).view(-1, 1)
            age = age * keep
            output, h, c = self.manager(
                state, h * keep.unsqueeze(-1), c * keep.unsqueeze(-1), age.squeeze(1).long()
            )
            outputs.append(output)
            ages.append(age.squeeze(1))
            age = age + 1
        pooled = torch.stack(outputs)
        goals = normalize(pooled, dim=-1)  # [T, N, d]
        worker, (worker_h, worker_c) = over_time(
            self.worker, z, seen.first, (worker_h, worker_c)
        )  # [T, N, d]
        all_goals = torch.cat((old_goals.transpose(0, 1), goals.detach()))  # [c + T, N, d]
        all_states = torch.cat((old_states.transpose(0, 1), states.detach()))
        ages_ = torch.stack(ages)  # [T, N]
        w = self.phi(self._recent(all_goals, ages_))  # [T, N, k]
        u = self.options(worker).unflatten(-1, (self.policy.options, -1))  # [T, N, options, k]
        logits = (u @ w.unsqueeze(-1)).squeeze(-1)
        last = slice(-self.horizon, None)
        memory = (
            *(h, c, worker_h, worker_c),
            *(all_states[last].transpose(0, 1), all_goals[last].transpose(0, 1)),
            age,
        )
        return _Run(logits, worker, pooled, states, goals, all_states, all_goals, ages_, memory)

    def _recent(self, goals: Tensor, ages: Tensor) -> Tensor:
        """Return the sum of the present goal and those of the c - 1 moments before: [T, N, d].

        Args:
            goals: [c + T, N, d], the first c of them from before. ages: [T, N]; what is older than
                the episode does not count.
        """
        total = torch.zeros_like(goals[self.horizon :])
        for back in range(self.horizon):
            there = (ages >= back).to(goals.dtype).unsqueeze(-1)
            total = total + there * goals[self.horizon - back : len(goals) - back]
        return total

    def intrinsic(self, states: Tensor, goals: Tensor, ages: Tensor) -> Tensor:
        """Return r^I_t = 1/c Σ_{i=1..c} cos(s_t - s_{t-i}, g_{t-i}), [T, N].

        Args:
            states, goals: [c + T, N, d], the first c of them from before. ages: [T, N]; terms that
                are older than the episode are 0.
        """
        total = torch.zeros_like(ages)
        now = states[self.horizon :]
        for back in range(1, self.horizon + 1):
            rows = slice(self.horizon - back, len(states) - back)
            term = cosine_similarity(now - states[rows], goals[rows], dim=-1)
            total = total + term * (ages >= back)
        return total / self.horizon

    def loss(self, rollout: Rollout, hypers: Hypers, rng: torch.Generator) -> Tensor:
        """Return the worker's actor-critic loss plus the manager's.

        The intrinsic reward of arriving at t + 1 is paid for the action at t.
        """
        run = self._run(rollout.seen, rollout.memory)
        with torch.no_grad():
            paid = self.intrinsic(run.all_states, run.all_goals, run.ages)[1:]  # [T, N]
        rewards = rollout.rewards + float(hypers["intrinsic_cost"]) * paid
        values = self.worker_critic(run.worker).squeeze(-1)  # [T + 1, N]
        goal = returns(rollout, rewards, values.detach(), self.worker_discount)
        cost = float(hypers["entropy_cost"])
        loss = actor_critic(self.policy, rollout, run.logits[:-1], goal, values[:-1], cost)
        return loss + self._manager_loss(rollout, run)

    def _manager_loss(self, rollout: Rollout, run: "_Run") -> Tensor:
        """Return -A^M cos(s_{t+c} - s_t, g_t) + ½ (R - V^M)², the first where t + c is known."""
        values = self.manager_critic(run.pooled).squeeze(-1)
        goal = returns(rollout, rollout.rewards, values.detach(), self.manager_discount)
        advantages = goal - values[:-1]
        loss = VALUE_WEIGHT * mean_over_batch(advantages**2, rollout.valid)
        count = len(goal) - self.horizon + 1  # of t with t + c among the T + 1 moments
        if count <= 0:
            return loss
        moved = (run.states[self.horizon :] - run.states[:count]).detach()
        along = cosine_similarity(moved, run.goals[:count], dim=-1)
        same = run.ages[self.horizon :] == run.ages[:count] + self.horizon  # episode
        terms = -advantages[:count].detach() * along
        return loss + mean_over_batch(terms, rollout.valid[:count] & same)


@dataclass(frozen=True, slots=True)
class _Run:
    """What the network says over T moments; `all_*` have the c moments before them in front."""

    logits: Tensor
    worker: Tensor
    pooled: Tensor
    states: Tensor
    goals: Tensor
    all_states: Tensor
    all_goals: Tensor
    ages: Tensor
    memory: Memory
