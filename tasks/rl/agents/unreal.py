"""UNREAL: an A3C agent with an LSTM that also learns from its replayed experience, three ways.

Pixel control (how to change each region of the picture), value replay (the value of old moments
again), reward prediction (what sign the next reward has). They shape the trunk; they do not act.
"""

import torch
from torch import Tensor, nn

from core import Hypers
from tasks.rl.agents.a2c import A2C
from tasks.rl.agents.replay import Replay
from tasks.rl.agents.rollout import Rollout, mean_over_batch, returns
from tasks.rl.environments.batch import Spec

CELL = 4  # pixels of a region's side
CONTROL_DISCOUNT = 0.9
SEQUENCE = 20  # replayed steps


class UNREAL(A2C):
    """A2C with an LSTM that is given the last action and reward, and the three auxiliary losses.

    Args:
        cells: of the LSTM.
        control, value, prediction: the weights of the auxiliary losses; 0 leaves one out.
        replay: steps that are remembered, of all environments together.

    Raises:
        ValueError: pixel control of what has no pixels, or of pictures too small for it.

    Source: Jaderberg et al. 2016 (arXiv:1611.05397); pixel control's weight 0.1 in Jaderberg et al.
        2017 (arXiv:1711.09846), section 4.1.1; a replay of 2,000 steps, 20x20 regions of 4x4.
        Sequences begin with an empty memory: what the LSTM was then is not kept.
    """

    def __init__(
        self,
        spec: Spec,
        *,
        cells: int = 256,
        control: float = 0.1,
        value: float = 1.0,
        prediction: float = 1.0,
        replay: int = 2000,
        discount: float = 0.99,
    ) -> None:
        super().__init__(spec, cells=cells, discount=discount, recall=True)
        self.control, self.value, self.prediction = control, value, prediction
        self.replay = Replay(replay)
        if control:
            self.control_head = ControlHead(cells, spec)
        inputs = self.torso.convolved(torch.zeros(1, *spec.shape)).shape[1]
        self.sign = nn.Sequential(nn.Linear(3 * inputs, 128), nn.ReLU(), nn.Linear(128, 3))

    def loss(self, rollout: Rollout, hypers: Hypers, rng: torch.Generator) -> Tensor:
        """Return A3C's loss, and those of experience drawn from the replay."""
        loss = super().loss(rollout, hypers, rng)
        self.replay.add(rollout)
        if self.control and (old := self.replay.draw(SEQUENCE, rng)):
            loss = loss + self.control * self.control_loss(old)
        if self.value and (old := self.replay.draw(SEQUENCE, rng)):
            loss = loss + self.value * self.value_loss(old)
        count = 2 * rollout.valid.shape[1]
        if self.prediction and (drawn := self.replay.before_rewards(count, rng)):
            loss = loss + self.prediction * self.prediction_loss(*drawn)
        return loss

    def control_loss(self, old: Rollout) -> Tensor:
        """Return ½ Σ (Q - (n-step target))² over regions, for the actions that were taken."""
        x, _ = self.features(old.seen, self.begin(old.valid.shape[1]))
        flat: Tensor = self.control_head(x.flatten(0, 1))
        maps = flat.view(*x.shape[:2], *flat.shape[1:])  # [T + 1, N, A, h, w]
        with torch.no_grad():
            goal = control_targets(old, maps)
        taken = (
            old.actions[..., 0].view(*old.valid.shape, 1, 1, 1).expand(-1, -1, 1, *goal.shape[2:])
        )
        chosen = maps[:-1].gather(2, taken).squeeze(2)  # [T, N, h, w]
        return 0.5 * mean_over_batch(((chosen - goal) ** 2).sum((2, 3)), old.valid)

    def value_loss(self, old: Rollout) -> Tensor:
        """Return ½ Σ (R - V)² of a replayed sequence."""
        values = self.values(old.seen, self.begin(old.valid.shape[1]))
        goal = returns(old, old.rewards, values.detach(), self.discount)
        return 0.5 * mean_over_batch((goal - values[:-1]) ** 2, old.valid)

    def prediction_loss(self, looks: Tensor, classes: Tensor) -> Tensor:
        """Return the cross entropy of the sign of the next reward; looks: [B, 3, *shape]."""
        x = self.torso.convolved(looks.flatten(0, 1)).view(len(looks), -1)
        return nn.functional.cross_entropy(self.sign(x), classes)


def regions(height: int, width: int) -> tuple[slice, slice]:
    """Return the middle of a picture that is whole regions, an even number of them each way."""
    sides = []
    for full in (height, width):
        inner = full // (2 * CELL) * 2 * CELL
        sides.append(slice((full - inner) // 2, (full - inner) // 2 + inner))
    return sides[0], sides[1]


def changes(pictures: Tensor) -> Tensor:
    """Return the mean change of the pixels of each region between pictures, in [0, 1].

    Args:
        pictures: [T + 1, N, C, H, W], bytes.

    Returns:
        [T, N, h, w]; 84 pixels are 20 regions: the outer two pixels are left out.
    """
    rows, columns = regions(*pictures.shape[-2:])
    inner = pictures[..., rows, columns].float() / 255
    moved = (inner[1:] - inner[:-1]).abs().mean(2)  # over channels
    return nn.functional.avg_pool2d(moved, CELL)


def control_targets(old: Rollout, maps: Tensor) -> Tensor:
    """Return n-step Q targets of the pixel changes, [T, N, h, w].

    R_t = change + γ R_{t+1}, R_T = max_a Q(s_T, a); cut off as `returns` does, with max_a Q.

    Args:
        maps: Q, [T + 1, N, A, h, w].
    """
    best = maps.amax(2)
    paid = changes(old.seen.observations)
    ahead = best[-1]
    found = []
    for t in reversed(range(len(paid))):
        cut, over = (flags[t].view(-1, 1, 1) for flags in (old.truncated, old.terminated))
        ahead = torch.where(cut, best[t + 1], ahead)
        ahead = paid[t] + CONTROL_DISCOUNT * ahead.masked_fill(over, 0.0)
        found.append(ahead)
    return torch.stack(found[::-1])


class ControlHead(nn.Module):
    """Q of each region and action, [B, cells] -> [B, A, h, w]: a duel of value and advantage."""

    def __init__(self, cells: int, spec: Spec) -> None:
        super().__init__()
        if not spec.pixels or min(spec.shape[1:]) < 4 * CELL:
            raise ValueError(
                f"pixel control needs pictures of at least {4 * CELL} pixels a side, got "
                f"observations of shape {spec.shape}: set its weight to 0"
            )
        rows, columns = regions(*spec.shape[1:])
        self.small = [
            (side.stop - side.start) // CELL // 2 - 1 for side in (rows, columns)
        ]  # a transposed convolution of 4x4 at stride 2 makes 2 n + 2 of n
        self.dense = nn.Linear(cells, 32 * self.small[0] * self.small[1])
        self.value = nn.ConvTranspose2d(32, 1, 4, 2)
        self.advantage = nn.ConvTranspose2d(32, spec.heads[0], 4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Return V + A - mean A."""
        maps = self.dense(x).relu().view(-1, 32, *self.small)
        advantage = self.advantage(maps)
        q: Tensor = self.value(maps) + advantage - advantage.mean(1, keepdim=True)
        return q
