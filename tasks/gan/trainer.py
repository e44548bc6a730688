"""WGAN-GP on the digits: the trainer of the GAN task."""

import base64
import functools
import io
import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from core.member import Hypers
from core.task import Report
from tasks.gan.classifier import SEEDS, classifier, probabilities
from tasks.gan.digits import digits
from tasks.gan.frechet import frechet_distance, principal_components
from tasks.gan.inception import inception_score
from tasks.gan.networks import LATENT, Discriminator, Generator, gradient_penalty

BATCH = 32
PENALTY = 10.0  # weight of the gradient penalty (Gulrajani et al. 2017)
UPDATES = 240  # of the generator in one step, each with one of the discriminator
TO_SELECT = 2000  # samples; the score's standard deviation is then about 0.05
TO_REPORT = 5000
COMPONENTS = 20  # principal components of the pixels, for the Fréchet distance


class DigitsGAN:
    """A generator and a discriminator that learn from each other.

    Hyperparameters: `d_rate` and `g_rate`, the learning rates of the two Adam optimisers.
    The score is the Inception score of 2,000 samples under the convolutional classifier.

    Source: Jaderberg et al. 2017, section 4.3 and appendix A.3: WGAN-GP, Adam with betas 0.5 and
        0.999. Differs in data, size, batch (32 for 128) and in one discriminator update per
        generator update (for five).
    """

    def __init__(self, seed: int, device: str) -> None:
        self.device = torch.device(device)
        with torch.random.fork_rng():  # nn.Linear draws from torch's global generator
            torch.manual_seed(seed)
            self.generator = Generator().to(self.device)
            self.critic = Discriminator().to(self.device)
        self.g_adam = _adam(self.generator)
        self.d_adam = _adam(self.critic)
        self.images = digits()[0].to(self.device)
        for kind in SEEDS:  # now, once in a process, and not within somebody's first score
            classifier(kind)
        self.stream, self.steps = seed, 0
        self.noise = torch.Generator(self.device).manual_seed(seed)

    def step(self, hypers: Hypers) -> None:
        """Update both networks 240 times with these learning rates."""
        for optimizer, name in ((self.d_adam, "d_rate"), (self.g_adam, "g_rate")):
            for group in optimizer.param_groups:
                group["lr"] = float(hypers[name])
        for _ in range(UPDATES):
            self._update_critic()
            self._update_generator()
        self.steps += 1

    def _update_critic(self) -> None:
        rows = torch.randint(len(self.images), (BATCH,), generator=self.noise, device=self.device)
        real = self.images[rows]  # [B, 64]
        with torch.no_grad():
            fake = self.generator(self._latent(BATCH, self.noise))  # [B, 64]
        mix = torch.rand(BATCH, 1, generator=self.noise, device=self.device)
        values = self.critic(torch.cat((real, fake)))  # [2 B]
        loss = values[BATCH:].mean() - values[:BATCH].mean()
        loss = loss + PENALTY * gradient_penalty(self.critic, real, fake, mix)
        self.d_adam.zero_grad()
        torch.autograd.backward(loss)
        self.d_adam.step()

    def _update_generator(self) -> None:
        fake = self.generator(self._latent(BATCH, self.noise))
        loss = -self.critic(fake).mean()
        gradients = torch.autograd.grad(loss, list(self.generator.parameters()))
        for parameter, gradient in zip(self.generator.parameters(), gradients, strict=True):
            parameter.grad = gradient
        self.g_adam.step()

    def _latent(self, count: int, noise: torch.Generator) -> Tensor:
        return torch.randn(count, LATENT, generator=noise, device=self.device)

    def eval(self) -> float:
        """Return the Inception score of 2,000 samples; NaN if a sample is not a number."""
        images = self.samples(TO_SELECT, purpose=0)
        if not images.isfinite().all():
            return math.nan
        return inception_score(probabilities("convolutional", images.cpu())).mean

    def report(self) -> Report:
        """Return what selection must not see, of 5,000 samples that it has not seen.

        held_out: their Inception score under the dense classifier; fresh: under the convolutional
        one; frechet: their distance to all digits; samples: 64 of them, as a PNG.
        """
        images = self.samples(TO_REPORT, purpose=1).cpu()
        if not images.isfinite().all():
            return {"held_out": math.nan, "fresh": math.nan, "frechet": math.nan}
        mean, axes = _components()
        real = (digits()[0] - mean) @ axes
        return {
            "held_out": inception_score(probabilities("dense", images)).mean,
            "fresh": inception_score(probabilities("convolutional", images)).mean,
            "frechet": frechet_distance(real, (images - mean) @ axes),
            "samples": _png(images[:64]),
        }

    @torch.no_grad()
    def samples(self, count: int, purpose: int) -> Tensor:
        """Return images [count, 64] from a stream of their own: to look changes nothing."""
        state = np.random.SeedSequence((self.stream, self.steps, purpose)).generate_state(2)
        noise = torch.Generator(self.device).manual_seed(int(state[0]) << 31 | int(state[1]) >> 1)
        images: Tensor = self.generator(self._latent(count, noise))
        return images

    def reseed(self, seed: int) -> None:
        """Draw batches and latent points from a new stream from now on."""
        self.stream = seed
        self.noise.manual_seed(seed)

    def save(self, path: Path) -> None:
        """Write networks, optimisers and the state of the random stream."""
        with path.open("wb") as file:  # given a path, torch.save would write its name into the file
            torch.save(
                {
                    "generator": self.generator.state_dict(),
                    "critic": self.critic.state_dict(),
                    "g_adam": self.g_adam.state_dict(),
                    "d_adam": self.d_adam.state_dict(),
                    "noise": self.noise.get_state(),
                    "stream": self.stream,
                    "steps": self.steps,
                },
                file,
            )

    def load(self, path: Path) -> None:
        """Go on exactly from where the trainer that wrote `path` was."""
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.generator.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        self.g_adam.load_state_dict(state["g_adam"])
        self.d_adam.load_state_dict(state["d_adam"])
        self.noise.set_state(state["noise"].cpu())
        self.stream, self.steps = state["stream"], state["steps"]


def _adam(network: nn.Module) -> torch.optim.Adam:
    return torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.999), fused=True)


@functools.cache
def _components() -> tuple[Tensor, Tensor]:
    return principal_components(digits()[0], COMPONENTS)


def _png(images: Tensor) -> str:
    """Return 64 images as one picture of 8 rows, a PNG in base64 as browsers read it."""
    tiles = nn.functional.pad(images.view(8, 8, 8, 8), (1, 1, 1, 1), value=-1.0)  # [8, 8, 10, 10]
    grid = tiles.transpose(1, 2).reshape(80, 80)  # [row, y, column, x] -> [Y, X]
    pixels = ((grid.clamp(-1, 1) + 1) * 127.5).round().byte().numpy()
    file = io.BytesIO()
    Image.fromarray(255 - pixels).save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
