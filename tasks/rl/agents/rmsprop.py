"""RMSProp as A3C has it: not centred, ε under the root, a gradient of limited norm."""

import torch
from torch import Tensor, nn

DECAY, EPSILON = 0.99, 1e-5


class RMSProp:
    """g ← α g + (1 - α) Δθ²; θ ← θ - η Δθ / √(g + ε), for all weights of a module at once.

    The module's parameters become views of one vector: an update is four operations, however many
    layers there are.

    Args:
        limit: the largest norm of the gradient; it is scaled down to that.

    Source: Mnih et al. 2016 (arXiv:1602.01783), equations S2 and S3; α = 0.99. ε is unstated there.
    """

    def __init__(
        self, module: nn.Module, *, limit: float, decay: float = DECAY, epsilon: float = EPSILON
    ) -> None:
        self.parameters = list(module.parameters())
        self.weights = torch.cat([p.detach().reshape(-1) for p in self.parameters])
        self.squares = torch.zeros_like(self.weights)
        self.limit, self.decay, self.epsilon = limit, decay, epsilon
        begin = 0
        for parameter in self.parameters:
            end = begin + parameter.numel()
            parameter.data = self.weights[begin:end].view_as(parameter)
            begin = end

    def descend(self, loss: Tensor, rate: float) -> None:
        """Take one step down the loss."""
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        pairs = zip(gradients, self.parameters, strict=True)
        gradient = torch.cat(
            [(torch.zeros_like(p) if g is None else g).reshape(-1) for g, p in pairs]
        )
        gradient *= (self.limit / (gradient.norm() + 1e-12)).clamp(max=1.0)
        self.squares.mul_(self.decay).addcmul_(gradient, gradient, value=1 - self.decay)
        self.weights.addcdiv_(gradient, (self.squares + self.epsilon).sqrt_(), value=-rate)
