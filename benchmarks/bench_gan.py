"""A GAN member's steps per second inside the engine against a loop written by hand, in turns.

`python -m benchmarks.bench_gan`: same networks, same updates, and the same scores after each step;
the engine writes weights and records besides. Then what gradients written out by hand save. Then a
step of the paper's networks, timed and its floating-point operations counted: `--device cuda` times
it on a GPU, and says what a run costs.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.provenance import say, spread
from core import PBT
from core.directory.run import open_run
from core.workers.worker import work
from tasks.gan import presets
from tasks.gan.losses import autograd as losses
from tasks.gan.networks import dense
from tasks.gan.problems import CIFAR10, DIGITS
from tasks.gan.trainer import WGANGP

STEPS, PAIRS = 10, 7
RATES = {"d_rate": 2e-3, "g_rate": 4e-4}


def one_member() -> PBT:
    """One member that trains and is scored after each step, and nothing else."""
    return replace(presets.digits_random_search(), members=1, steps=STEPS, start=(RATES,))


def by_engine() -> float:
    """Return the seconds that the run takes, all of the engine's work included."""
    with tempfile.TemporaryDirectory(dir=os.environ.get("PBT_BENCH_DIR")) as folder:
        run = open_run(Path(folder) / "run", "benchmarks.bench_gan:one_member")
        began = time.perf_counter()
        work(run)
        return time.perf_counter() - began


def by_hand() -> float:
    """Return the seconds of the same training in a loop of its own."""
    began = time.perf_counter()
    torch.manual_seed(0)
    generator, critic = dense.Generator(), dense.Discriminator()
    g_adam = torch.optim.Adam(generator.parameters(), RATES["g_rate"], (0.5, 0.999), fused=True)
    d_adam = torch.optim.Adam(critic.parameters(), RATES["d_rate"], (0.5, 0.999), fused=True)
    images, batch = DIGITS.images(), DIGITS.batch
    for step in range(1, STEPS + 1):
        for _ in range(DIGITS.updates):
            real = images[torch.randint(len(images), (batch,))]
            with torch.no_grad():
                fake = generator(torch.randn(batch, DIGITS.latent))
            mix = torch.rand(batch, 1)
            between = mix * real + (1 - mix) * fake
            _descend(d_adam, DIGITS.critic_gradients(critic, real, fake, between))
            latent = torch.randn(batch, DIGITS.latent)
            _descend(g_adam, DIGITS.generator_gradients(generator, critic, latent))
        with torch.no_grad():
            DIGITS.score(generator(torch.randn(DIGITS.to_select, DIGITS.latent)))
            if step % 5 == 0:
                DIGITS.report(generator(torch.randn(DIGITS.to_report, DIGITS.latent)))
    return time.perf_counter() - began


def _descend(adam: torch.optim.Adam, gradients: Sequence[Tensor]) -> None:
    for parameter, gradient in zip(adam.param_groups[0]["params"], gradients, strict=True):
        parameter.grad = gradient
    adam.step()


def gradients_by_hand() -> dict[str, float]:
    """Return how many times longer a step takes whose gradients are autograd's, in turns."""
    plain = replace(
        DIGITS,
        critic_gradients=losses.critic_gradients,
        generator_gradients=losses.generator_gradients,
    )
    trainers, ratios = (WGANGP(DIGITS, 0, "cpu"), WGANGP(plain, 0, "cpu")), []
    for _ in range(PAIRS):
        seconds = []
        for trainer in trainers:
            began = time.perf_counter()
            trainer.step(RATES)
            seconds.append(time.perf_counter() - began)
        ratios.append(seconds[1] / seconds[0])
    return spread(ratios)


def paper_step(device: str) -> dict[str, float]:
    """Return what one step of the paper's networks costs: K updates of the critic, one of G.

    On images that are noise: what they show does not change the work.
    """
    noise = torch.randint(0, 256, (1024, 3, 32, 32), dtype=torch.uint8)
    few = 200 if device.startswith("cuda") else 1
    trainer = WGANGP(replace(CIFAR10, images=lambda: noise, updates=few), 0, device)
    with FlopCounterMode(display=False) as counted:
        trainer.step(RATES)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        trainer.step(RATES)
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() - began) / few)
    pbt = presets.table_4_truncation()
    hours = min(seconds) * CIFAR10.updates * pbt.steps * pbt.members / 3600
    return {
        "gflop": counted.get_total_flops() / few / 1e9,
        "seconds": min(seconds),
        "hours_of_table_4_truncation_without_scores": hours,
    }


def main() -> None:
    """Print the ratio of the two, in pairs whose order alternates, and the paper's step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="of the paper's step (default: cpu)")
    device = parser.parse_args().device
    torch.set_num_threads(1)
    by_hand()  # the classifiers are there from now on
    ratios = []
    for pair in range(PAIRS):
        order = (by_engine, by_hand) if pair % 2 else (by_hand, by_engine)
        seconds = {measure: measure() for measure in order}
        ratios.append(seconds[by_hand] / seconds[by_engine])
    say(
        {
            "benchmark": "GAN on digits, steps per second of a member: engine over loop by hand",
            "updates": STEPS * DIGITS.updates,
            "ratio": spread(ratios),
            "step_by_autograd_over_step_by_hand": gradients_by_hand(),
            "paper_step": paper_step(device) | {"device": device, "threads": 1},
        }
    )


if __name__ == "__main__":
    main()
