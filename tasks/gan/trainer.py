"""WGAN-GP: the trainer of the GAN task, for any networks, data and scores."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from core import Hypers
from core.task import Report
from tasks.gan.data.cifar10 import scaled
from tasks.gan.losses.autograd import (
    CriticGradients,
    GeneratorGradients,
    critic_gradients,
    generator_gradients,
)
from tasks.torch_state import load_state, restore_generator, save_state


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """What differs between the paper's experiment and its small forms.

    generator, critic: untrained networks, drawn from torch's global generator: [B, latent] ->
        [B, ...] in [-1, 1], and [B, ...] -> [B]; see dense.py and dcgan.py.
    latent: numbers of a latent point.
    images: all real ones, [N, ...]: uint8, or floats in [-1, 1].
    batch: images in an update. critic_updates: of the critic for one of the generator, the K of
        Gulrajani et al. updates: of the generator in one step.
    score: images [B, ...] in [-1, 1] -> what selects. report: the same -> what selection must not
        see. to_select, to_report: how many samples each is given.
    critic_gradients, generator_gradients: of the losses, as in losses.py, or faster.
    """

    generator: Callable[[], nn.Module]
    critic: Callable[[], nn.Module]
    latent: int
    images: Callable[[], Tensor]
    batch: int
    critic_updates: int
    updates: int
    score: Callable[[Tensor], float]
    report: Callable[[Tensor], Report]
    to_select: int
    to_report: int
    critic_gradients: CriticGradients = critic_gradients
    generator_gradients: GeneratorGradients = generator_gradients


class WGANGP:
    """A generator and a critic that learn from each other.

    Hyperparameters: `d_rate` and `g_rate`, the learning rates of the two Adam optimisers. The real
    images lie on the device once; a batch is drawn from them with replacement.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), section 4.3 and appendix A.3: WGAN-GP, Adam
        with betas 0.5 and 0.999 and epsilon 1e-8.
    """

    def __init__(self, problem: Problem, seed: int, device: str) -> None:
        self.problem, self.device = problem, torch.device(device)
        # networks draw from torch's global generator of the CPU; those of GPUs are left alone: to
        # save their states would occupy a part of every GPU that there is
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.generator = problem.generator().to(self.device)
            self.critic = problem.critic().to(self.device)
        self.g_adam = _adam(self.generator)
        self.d_adam = _adam(self.critic)
        self.images = problem.images().to(self.device)
        self.stream, self.steps = seed, 0
        self.noise = torch.Generator(self.device).manual_seed(seed)

    def step(self, hypers: Hypers) -> None:
        """Update the generator `updates` times with these rates, and the critic K times each."""
        for optimizer, name in ((self.d_adam, "d_rate"), (self.g_adam, "g_rate")):
            for group in optimizer.param_groups:
                group["lr"] = float(hypers[name])
        for _ in range(self.problem.updates):
            for _ in range(self.problem.critic_updates):
                self._update_critic()
            self._update_generator()
        self.steps += 1

    def _update_critic(self) -> None:
        real = self._real()  # [B, ...]
        with torch.no_grad():
            fake = self.generator(self._latent(len(real), self.noise))  # [B, ...]
        one_each = (len(real), *[1] * (real.dim() - 1))  # [B, 1, ...]
        mix = torch.rand(one_each, generator=self.noise, device=self.device)
        between = mix * real + (1 - mix) * fake
        _descend(self.d_adam, self.problem.critic_gradients(self.critic, real, fake, between))

    def _update_generator(self) -> None:
        latent = self._latent(self.problem.batch, self.noise)
        gradients = self.problem.generator_gradients(self.generator, self.critic, latent)
        _descend(self.g_adam, gradients)

    def _real(self) -> Tensor:
        size = (self.problem.batch,)
        rows = torch.randint(len(self.images), size, generator=self.noise, device=self.device)
        return scaled(self.images[rows])

    def _latent(self, count: int, noise: torch.Generator) -> Tensor:
        return torch.randn(count, self.problem.latent, generator=noise, device=self.device)

    def eval(self) -> float:
        """Return the problem's score of new samples; NaN if one of them is not a number."""
        images = self.samples(self.problem.to_select, purpose=0)
        return self.problem.score(images) if images.isfinite().all() else math.nan

    def report(self) -> Report:
        """Return what selection must not see, of samples that it has not seen; {} if NaN."""
        images = self.samples(self.problem.to_report, purpose=1)
        return self.problem.report(images) if images.isfinite().all() else {}

    @torch.no_grad()
    def samples(self, count: int, purpose: int) -> Tensor:
        """Return images [count, ...] from a stream of their own: to look changes nothing."""
        noise = torch.Generator(self.device).manual_seed(self._seed(purpose))
        latent = self._latent(count, noise)
        parts = torch.tensor_split(latent, -(-count // AT_ONCE))  # of nearly equal size
        return torch.cat([self.generator(points) for points in parts])

    def _seed(self, purpose: int) -> int:
        state = np.random.SeedSequence((self.stream, self.steps, purpose)).generate_state(2)
        return int(state[0]) << 31 | int(state[1]) >> 1

    def reseed(self, seed: int) -> None:
        """Draw batches and latent points from a new stream from now on."""
        self.stream = seed
        self.noise.manual_seed(seed)

    def save(self, path: Path) -> None:
        """Write networks, optimisers and the state of the random stream."""
        state = {
            "generator": self.generator.state_dict(),
            "critic": self.critic.state_dict(),
            "g_adam": self.g_adam.state_dict(),
            "d_adam": self.d_adam.state_dict(),
            "noise": self.noise.get_state(),
            "stream": self.stream,
            "steps": self.steps,
        }
        save_state(state, path)

    def load(self, path: Path) -> None:
        """Continue exactly where the trainer that wrote `path` stood.

        Between a GPU and a CPU the random stream is a new one.
        """
        state = load_state(path, self.device)
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        self.g_adam.load_state_dict(state["g_adam"])
        self.d_adam.load_state_dict(state["d_adam"])
        self.stream, self.steps = state["stream"], state["steps"]
        # purposes 0 and 1 are those of samples
        restore_generator(self.noise, state["noise"], self._seed(purpose=2))


AT_ONCE = 5000  # samples, at most, that are made at once


def _adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)


def _descend(adam: torch.optim.Adam, gradients: Sequence[Tensor]) -> None:
    """Take a step of the optimiser down these gradients of its own weights."""
    parameters = adam.param_groups[0]["params"]
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    adam.step()
