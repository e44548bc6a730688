"""Distributions over actions of one part or of several: to draw, log-probability, entropy."""

import torch
from torch import Tensor

from tasks.rl.environments.batch import Spec


class Policy:
    """How the logits [..., all options] of an agent become actions [..., parts].

    The parts are independent, given the function; those that the function does not use count for
    nothing. What is not available has no probability.

    Source: Vinyals et al. 2017 (StarCraft II learning environment), for actions of several parts.
    """

    def __init__(self, spec: Spec) -> None:
        self.heads = list(spec.heads)
        self.options = sum(spec.heads)
        self.uses = torch.zeros(spec.heads[0], len(spec.heads))
        self.uses[:, 0] = 1
        for function, parts in enumerate(spec.uses):
            self.uses[function, list(parts)] = 1

    def _split(self, logits: Tensor, available: Tensor | None) -> tuple[Tensor, ...]:
        first, *others = torch.split(logits, self.heads, dim=-1)
        if available is not None:
            first = first.masked_fill(~available, -1e9)  # not -inf: 0 * inf has no gradient
        return (first, *others)

    @torch.no_grad()
    def draw(self, logits: Tensor, available: Tensor | None, rng: torch.Generator) -> Tensor:
        """Return an action for each row, [..., parts]."""
        parts = []
        for part in self._split(logits, available):
            # argmax(p / e) with e exponential has the distribution p
            race = torch.empty_like(part).exponential_(generator=rng).log_()
            parts.append((part - race).argmax(-1))
        return torch.stack(parts, -1)

    def look(
        self, logits: Tensor, actions: Tensor, available: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Return log π(a) and the entropy, each [...]: of the parts that the function uses."""
        one = len(self.heads) == 1
        uses = None if one else self.uses.to(logits.device)[actions[..., 0]]  # [..., parts]
        chances, entropies = [], []
        for i, part in enumerate(self._split(logits, available)):
            logs = part.log_softmax(-1)
            chances.append(logs.gather(-1, actions[..., i : i + 1]).squeeze(-1))
            entropies.append(-(logs.exp() * logs).sum(-1))
        if uses is None:
            return chances[0], entropies[0]
        return (torch.stack(chances, -1) * uses).sum(-1), (torch.stack(entropies, -1) * uses).sum(
            -1
        )
