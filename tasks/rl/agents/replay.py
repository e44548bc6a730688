"""The last moments of N environments, for agents that learn from them again."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from tasks.rl.agents.rollout import Rollout, Seen

FIELDS = ("observations", "first", "actions", "rewards", "terminated", "truncated", "valid")


class Replay:
    """Steps of N environments in a ring: at most `steps` of all of them together.

    A step t is: what was seen, whether it was the first, the action and reward that followed, and
    how the step ended. What was recorded last has no successor yet, and is never drawn alone.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.rings: dict[str, Tensor] = {}  # each [length, N, ...]
        self.taken = 0  # steps of each environment, ever

    def __len__(self) -> int:
        """Return how many steps of each environment are there."""
        return min(self.taken, len(self.rings["first"])) if self.rings else 0

    def add(self, rollout: Rollout) -> None:
        """Record the steps of a rollout."""
        seen = rollout.seen
        rows = {
            "observations": seen.observations[:-1],
            "first": seen.first[:-1],
            "actions": rollout.actions,
            "rewards": rollout.rewards,
            "terminated": rollout.terminated,
            "truncated": rollout.truncated,
            "valid": rollout.valid,
        }
        count = rollout.valid.shape[1]
        length = max(self.steps // count, 2)
        if not self.rings:
            self.rings = {
                name: torch.zeros((length, *row.shape[1:]), dtype=row.dtype, device=row.device)
                for name, row in rows.items()
            }
        steps = len(rollout.rewards)
        places = (self.taken + torch.arange(steps))[-length:] % length
        for name, row in rows.items():
            self.rings[name][places] = row[-length:]
        self.taken += steps

    def draw(self, steps: int, rng: torch.Generator) -> Rollout | None:
        """Return successive steps of all environments, from a random moment; None if too few."""
        here = len(self)
        steps = min(steps, here - 2)
        if steps < 1:
            return None
        begin = int(torch.randint(1, here - steps, (1,), generator=rng, device=rng.device))
        oldest = self.taken - here
        rows = (oldest + begin - 1 + torch.arange(steps + 2)) % len(self.rings["first"])
        part = {name: ring[rows] for name, ring in self.rings.items()}
        old = ~part["first"][1:]  # what was done and received before belongs to the same episode
        seen = Seen(
            part["observations"][1:],
            part["first"][1:],
            part["actions"][:-1] * old.unsqueeze(-1),
            part["rewards"][:-1] * old,
        )
        names = ("actions", "rewards", "terminated", "truncated", "valid")
        return Rollout(seen, (), *(part[name][1:-1] for name in names))

    def before_rewards(self, count: int, rng: torch.Generator) -> tuple[Tensor, Tensor] | None:
        """Return three successive observations each, and the sign of the reward that follows them.

        Half of them before a reward that is not 0, half before none, whatever their share is; all
        of them of one kind where the replay has no other.

        Returns:
            [count, 3, *shape], and classes [count]: 0 none, 1 positive, 2 negative. None as long as
            there is nothing to draw from.
        """
        here = len(self)
        if here < 3:
            return None
        order = torch.arange(here, device=rng.device)
        rows = (self.taken - here + order) % len(self.rings["first"])
        first, valid = self.rings["first"][rows], self.rings["valid"][rows]
        rewards = self.rings["rewards"][rows]
        whole = valid[2:] & ~first[1:-1] & ~first[2:]  # three of one episode, and a real step
        paid = rewards[2:] != 0
        kinds = [torch.nonzero(whole & kind, as_tuple=True) for kind in (paid, ~paid)]
        kinds = [kind for kind in kinds if len(kind[0])]
        if not kinds:
            return None
        chosen = []
        for times, games in kinds:
            share = count // len(kinds)
            pick = torch.randint(len(times), (share,), generator=rng, device=rng.device)
            chosen.append((times[pick] + 2, games[pick]))
        times, games = (torch.cat(parts) for parts in zip(*chosen, strict=True))
        looks = [self.rings["observations"][rows[times - back], games] for back in (2, 1, 0)]
        paid_ = rewards[times, games]
        return torch.stack(looks, 1), torch.where(paid_ > 0, 1, torch.where(paid_ < 0, 2, 0))

    def clear(self) -> None:
        """Forget all."""
        self.rings, self.taken = {}, 0

    def state(self) -> dict[str, object]:
        """Return what `restore` needs."""
        return {"rings": dict(self.rings), "taken": self.taken}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        rings = state["rings"]
        # by names of our own: pickle writes a text that is the same object as another only once,
        # and what is saved again shall be the same bytes
        self.rings = {name: rings[name].clone() for name in FIELDS if rings}
        self.taken = state["taken"]
