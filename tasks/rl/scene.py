"""Where a batch of environments is between two steps, and what the agent has in mind."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from tasks.rl.agents.rollout import Memory, Seen
from tasks.rl.environments.batch import Step


@dataclass(frozen=True, slots=True)
class Scene:
    """One moment: what is seen of it [1, N, ...], the memory, and whose next step is a reset."""

    seen: Seen
    memory: Memory
    ended: Tensor  # [N]

    def after(self, step: Step, actions: Tensor, memory: Memory, clip: float) -> "Scene":
        """Return the moment that follows the actions [N, parts]."""
        device = actions.device
        kept = ~self.ended  # where the step was no reset
        rewards = torch.from_numpy(step.rewards).float().to(device).clamp(-clip, clip)
        seen = _seen(step, self.ended, actions * kept.unsqueeze(-1), rewards * kept)
        return Scene(seen, memory, torch.from_numpy(step.ended).to(device))

    def state(self) -> dict[str, object]:
        """Return tensors that `scene_of` takes."""
        named = {field.name: getattr(self.seen, field.name) for field in fields(Seen)}
        return named | {"memory": list(self.memory), "ended": self.ended}


def first_scene(step: Step, parts: int, memory: Memory, device: torch.device) -> Scene:
    """Return the moment behind a reset."""
    count = len(step.rewards)
    begins = torch.ones(count, dtype=torch.bool, device=device)
    actions = torch.zeros(count, parts, dtype=torch.long, device=device)
    seen = _seen(step, begins, actions, torch.zeros(count, device=device))
    return Scene(seen, memory, ~begins)


def scene_of(state: Mapping[str, Any]) -> Scene:
    """Return the moment that `state` told of."""
    said = dict(state)
    memory, ended = tuple(said.pop("memory")), said.pop("ended")
    return Scene(Seen(**said), memory, ended)


def _seen(step: Step, first: Tensor, actions: Tensor, rewards: Tensor) -> Seen:
    observations = torch.from_numpy(step.observations).to(first.device)
    available = None
    if step.available is not None:
        available = torch.from_numpy(step.available).to(first.device)[None]
    return Seen(observations[None], first[None], actions[None], rewards[None], available)


def joined(moments: list[Seen]) -> Seen:
    """Return successive moments as one, [T, N, ...]."""
    masks = [moment.available for moment in moments if moment.available is not None]
    return Seen(
        torch.cat([moment.observations for moment in moments]),
        torch.cat([moment.first for moment in moments]),
        torch.cat([moment.actions for moment in moments]),
        torch.cat([moment.rewards for moment in moments]),
        torch.cat(masks) if masks else None,
    )
