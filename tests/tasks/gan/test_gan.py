"""The GAN: its scores against values by hand, its fast penalty against autograd, its contract."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from core.audits.check import check
from core.audits.verify import verify
from core.directory.members import Members
from core.directory.run import open_run
from core.settings import PBT
from core.space import LogUniform, Space
from core.strategies.exploit import Truncation
from core.strategies.explore import keep
from core.strategies.schedules import Anneal
from core.workers.worker import work
from tasks.gan import presets, problems
from tasks.gan.classifier.classifiers import classifier, probabilities
from tasks.gan.classifier.digits import SEEDS, accuracy
from tasks.gan.data.digits import digits, split
from tasks.gan.losses import autograd as losses
from tasks.gan.losses import dense as dense_losses
from tasks.gan.losses.autograd import gradient_penalty, reference_penalty
from tasks.gan.networks import dcgan, dense
from tasks.gan.scores.inception import inception_score
from tasks.gan.trainer import WGANGP, Problem

RATES = {"d_rate": 2e-3, "g_rate": 4e-4}


SHORT = replace(problems.DIGITS, updates=6)
SQUARE = replace(problems.DIGITS_CONVOLUTIONAL, updates=3, critic_updates=2)


def _gan(problem: Problem = SHORT) -> WGANGP:
    return WGANGP(problem, 1, "cpu")


def test_the_digits_are_real_and_scaled() -> None:
    """1,797 of them in [-1, 1], ten classes, and no image on both sides of a split."""
    images, classes = digits()
    train, unseen = split(1)

    assert images.shape == (1797, 64)
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    assert set(classes.tolist()) == set(range(10))
    assert len(set(train.tolist()) & set(unseen.tolist())) == 0
    assert (len(train), len(unseen)) == (1400, 397)


@pytest.mark.parametrize(
    ("critic", "shape"),
    [
        (dense.Discriminator, (64,)),
        (partial(dcgan.Discriminator, (8, 16), 1, 8), (1, 8, 8)),
        (partial(dcgan.Discriminator, (4, 6, 8), 3, 32), (3, 32, 32)),
    ],
)
def test_the_gradient_penalty_equals_the_one_by_double_backward(
    critic: Callable[[], nn.Module], shape: tuple[int, ...]
) -> None:
    """The value and every gradient, in double precision."""
    torch.manual_seed(0)
    network = critic().double()
    between = torch.randn(7, *shape, dtype=torch.float64)

    fast = gradient_penalty(network, between)  # type: ignore[arg-type]  # it is a Critic
    fast_gradients = torch.autograd.grad(fast, list(network.parameters()), allow_unused=True)
    slow = reference_penalty(network, between)  # type: ignore[arg-type]
    slow_gradients = torch.autograd.grad(slow, list(network.parameters()), allow_unused=True)

    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=0)
    for a, b in zip(fast_gradients, slow_gradients, strict=True):
        zero = torch.zeros(1, dtype=torch.float64)
        torch.testing.assert_close(
            (zero if a is None else a).abs().sum(), (zero if b is None else b).abs().sum()
        )
        if a is not None and b is not None:
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("scale", [1.0, 0.0])
def test_gradients_by_hand_equal_those_by_autograd(scale: float) -> None:
    """Of every parameter of both dense networks; and where the critic is flat, so none is NaN."""
    torch.manual_seed(0)
    generator, critic = dense.Generator().double(), dense.Discriminator().double()
    with torch.no_grad():
        critic.last.weight.mul_(scale)
    real, between = torch.randn(2, 7, 64, dtype=torch.float64)
    latent = torch.randn(7, dense.LATENT, dtype=torch.float64)
    fake = generator(latent).detach()

    by_hand = [
        *dense_losses.critic_gradients(critic, real, fake, between),
        *dense_losses.generator_gradients(generator, critic, latent),
    ]

    expected = [
        *losses.critic_gradients(critic, real, fake, between),
        *losses.generator_gradients(generator, critic, latent),
    ]
    parameters = [*critic.parameters(), *generator.parameters()]
    for one, other, parameter in zip(by_hand, expected, parameters, strict=True):
        assert one.shape == parameter.shape
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(
    ("problem", "ups", "downs"),
    [
        (problems.CIFAR10, (256, 128, 64, 3), (3, 128, 256, 512)),
        (problems.DIGITS_CONVOLUTIONAL, (16, 8, 1), (1, 8, 16)),
    ],
)
def test_convolutional_networks_are_the_papers(
    problem: Problem, ups: tuple[int, ...], downs: tuple[int, ...]
) -> None:
    """Kernels of 4x4, sides that double; batch normalisation in the generator alone."""
    generator, critic = problem.generator(), problem.critic()
    side = {3: 32, 1: 8}[ups[-1]]  # by the colours

    images = generator(torch.randn(5, problem.latent)).detach()

    layers = [part for part in generator.modules() if isinstance(part, nn.ConvTranspose2d)]
    norms = [part for part in generator.modules() if isinstance(part, nn.BatchNorm2d)]
    halves = [part for part in critic.modules() if isinstance(part, nn.Conv2d)]
    assert tuple(layer.in_channels for layer in layers) == ups[:-1]
    assert tuple(norm.num_features for norm in norms) == ups[:-1]
    assert tuple(layer.out_channels for layer in halves) == downs[1:]
    assert {layer.kernel_size for layer in (*layers, *halves)} == {(4, 4)}
    assert images.shape == (5, ups[-1], side, side)
    assert float(images.abs().max()) <= 1
    assert critic(images).shape == (5,)
    assert not any(isinstance(part, nn.BatchNorm2d) for part in critic.modules())


def test_sides_that_cannot_be_halved_are_refused() -> None:
    """Before a shape error of torch's."""
    with pytest.raises(ValueError, match="3 layers halve the sides, which 12 pixels do not allow"):
        dcgan.Discriminator((8, 16, 32), 1, 12)


def _slow_updates(gan: WGANGP, d_rate: float, g_rate: float) -> None:
    """One update of the critic K times, and one of the generator, written from the papers."""
    problem, noise = gan.problem, gan.noise
    networks = ((gan.critic, d_rate), (gan.generator, g_rate))
    d_adam, g_adam = (
        torch.optim.Adam(network.parameters(), lr=rate, betas=(0.5, 0.999), eps=1e-8)
        for network, rate in networks
    )
    real_images = problem.images()
    for _ in range(problem.critic_updates):
        rows = torch.randint(len(real_images), (problem.batch,), generator=noise)
        real = real_images[rows]
        z = torch.randn(problem.batch, problem.latent, generator=noise)
        fake = gan.generator(z).detach()
        mix = torch.rand(problem.batch, *[1] * (real.dim() - 1), generator=noise)
        wasserstein = gan.critic(fake).mean() - gan.critic(real).mean()
        loss = wasserstein + 10 * reference_penalty(
            gan.critic,  # type: ignore[arg-type]
            mix * real + (1 - mix) * fake,
        )
        d_adam.zero_grad()
        torch.autograd.backward(loss)
        d_adam.step()
    z = torch.randn(problem.batch, problem.latent, generator=noise)
    g_adam.zero_grad()
    torch.autograd.backward(-gan.critic(gan.generator(z)).mean())
    g_adam.step()


@pytest.mark.parametrize(
    "problem", [replace(SHORT, updates=1, critic_updates=2), replace(SQUARE, updates=1)]
)
def test_a_step_is_the_papers(problem: Problem) -> None:
    """Against a plain loop: after one step all weights are the same, up to rounding.

    In double precision, as Adam divides a gradient near zero by itself.
    """
    images = problem.images().double()
    problem = replace(problem, images=partial(torch.clone, images))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        fast, slow = _gan(problem), _gan(problem)
        fast.step(RATES)
        _slow_updates(slow, RATES["d_rate"], RATES["g_rate"])
    finally:
        torch.set_default_dtype(before)

    for a, b in ((fast.generator, slow.generator), (fast.critic, slow.critic)):
        for one, other in zip(a.parameters(), b.parameters(), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-9)


def test_the_classifiers_know_digits_and_the_score_knows_noise() -> None:
    """Real digits score near ten, one class near one, noise far below what is called learned."""
    images, classes = digits()
    for kind in SEEDS:
        assert accuracy(classifier(kind), kind) > 0.97

        real = inception_score(probabilities(kind, images)).mean
        one = inception_score(probabilities(kind, images[classes == 3])).mean
        noise = inception_score(probabilities(kind, torch.rand(2000, 64) * 2 - 1)).mean

        assert real > 9.5
        assert one < 1.3
        assert noise < 6


def test_a_classifier_file_that_is_not_ours_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Garbage in the cache folder costs seconds, and runs no code."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    classifier.cache_clear()
    classifier("dense")
    [path] = (tmp_path / "pbt-repro").iterdir()
    path.write_bytes(b"\x80\x02cos\nsystem\n(S'false'\ntR.")
    classifier.cache_clear()

    assert accuracy(classifier("dense"), "dense") > 0.97
    assert path.stat().st_size > 100_000
    classifier.cache_clear()


@pytest.mark.parametrize("problem", [SHORT, SQUARE])
def test_the_trainer_keeps_the_contract(problem: Problem) -> None:
    """Exactly: the learning rates of a restored Adam among it."""
    task = replace(presets.digits().task, trainer=partial(WGANGP, problem))

    findings = check(replace(presets.digits(), task=task), steps=2)

    broken = [finding.sentence for finding in findings if finding.kept is False]

    assert broken == []


def test_the_rates_in_the_optimisers_are_those_of_the_step() -> None:
    """After a load too, which brings back those that were saved."""
    trainer = _gan()
    trainer.step(RATES)
    [d_group], [g_group] = trainer.d_adam.param_groups, trainer.g_adam.param_groups
    assert (d_group["lr"], g_group["lr"]) == (2e-3, 4e-4)

    trainer.step({"d_rate": 7e-3, "g_rate": 9e-4})

    assert (d_group["lr"], g_group["lr"]) == (7e-3, 9e-4)
    assert d_group["betas"] == (0.5, 0.999)


def test_a_diverged_generator_is_not_a_number() -> None:
    """Neither in the score nor in the report."""
    trainer = _gan()
    with torch.no_grad():
        next(trainer.generator.parameters()).fill_(math.nan)

    assert math.isnan(trainer.eval())
    assert trainer.report() == {}


def test_selection_and_report_look_at_other_samples() -> None:
    """What is reported is no second look at what was selected by."""
    trainer = _gan()

    assert not torch.equal(trainer.samples(10, purpose=0), trainer.samples(10, purpose=1))
    assert torch.equal(trainer.samples(10, purpose=0), trainer.samples(10, purpose=0))


def test_what_was_saved_on_a_gpu_goes_on_on_a_cpu(tmp_path: Path) -> None:
    """A GPU's random state has 16 bytes; a stream of the place's own follows, not the start's."""
    saved, path = _gan(), tmp_path / "saved"
    saved.step(RATES)
    saved.save(path)
    state = torch.load(path, weights_only=True)
    torch.save(state | {"noise": torch.zeros(16, dtype=torch.uint8)}, path)

    one, other = _gan(), WGANGP(SHORT, 2, "cpu")
    for trainer in (one, other):
        trainer.load(path)

    drawn = [trainer._latent(3, trainer.noise) for trainer in (one, other, _gan())]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(one.samples(3, purpose=0), saved.samples(3, purpose=0))


def test_weights_are_loaded_without_running_code(tmp_path: Path) -> None:
    """A pickle that calls something is refused by torch's weights-only loading."""
    import pickle

    (tmp_path / "evil").write_bytes(b"\x80\x02cos\nsystem\n(S'false'\ntR.")

    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        _gan().load(tmp_path / "evil")


def one_diverges() -> PBT:
    """Three members, the first with a learning rate at which nothing survives."""
    rates = Space({"d_rate": LogUniform(1e-3, 1e9), "g_rate": LogUniform(1e-4, 1e9)})
    return replace(
        presets.digits(),
        task=replace(presets.digits().task, trainer=partial(WGANGP, SHORT), space=rates),
        members=3,
        steps=3,
        start=({"d_rate": 1e9, "g_rate": 1e9}, RATES, RATES),
        explore=keep,
        exploit=Truncation(0.4),
    )


def test_a_diverged_member_is_rescued(tmp_path: Path) -> None:
    """It goes on with weights and rates of one that has not diverged."""
    run = open_run(tmp_path / "run", "tests.tasks.gan.test_gan:one_diverges")

    work(run, durable=False)

    history = Members(run.root).history(0)
    dropped = [record.member.dropped for record in history]
    assert any(found is not None and math.isnan(found.score) for found in dropped)
    assert history[-1].member.healthy
    assert history[-1].member.hypers == RATES
    assert verify(run).problems == []


def test_the_papers_starts_are_nine_settings_with_five_seeds_each() -> None:
    """A million updates of the generator, a round after each 5,000 (table of settings)."""
    run = presets.table_4_truncation()

    pairs = [(start["d_rate"], start["g_rate"]) for start in run.start]
    assert (run.members, run.steps, problems.CIFAR10.updates) == (45, 200, 5000)
    assert {pairs.count(pair) for pair in pairs} == {5}
    assert set(pairs) == {(d, g) for d in (1e-4, 2e-4, 5e-4) for g in (1e-4, 2e-4, 5e-4)}
    assert problems.CIFAR10.critic_updates == 5


def test_the_rehearsal_is_the_papers_run_with_less_of_it() -> None:
    """Networks, data, scores and starts are the same: what it finds missing, the run would."""
    run, rehearsal = presets.table_4_truncation(), presets.table_4_rehearsal()

    [problem] = rehearsal.task.trainer.args  # type: ignore[attr-defined]
    whole = replace(
        problem,
        updates=problems.CIFAR10.updates,
        to_select=problems.CIFAR10.to_select,
        to_report=problems.CIFAR10.to_report,
    )
    assert whole == problems.CIFAR10
    assert problem.updates < 10
    assert problem.to_report % problems.SPLITS == 0
    assert replace(rehearsal, task=run.task, steps=run.steps) == run


def test_the_papers_baseline_falls_to_a_hundredth_and_stays() -> None:
    """Fixed for 1e5 updates, falling for as many, and kept to the end of a million."""
    run = presets.table_4_baseline()
    assert isinstance(run.schedule, Anneal)
    begun = {"d_rate": 2e-4, "g_rate": 1e-4}

    rates = [run.schedule(begun, step)["d_rate"] for step in (0, 20, 30, 40, 199)]

    assert rates == pytest.approx([2e-4, 2e-4, 2e-5, 2e-6, 2e-6])


def test_the_search_for_the_papers_baseline_has_six_arms_of_twice_n() -> None:
    """Two ways to fall, three N; the linear one ends with nothing."""
    study = presets.table_4_baseline_search()

    arms = {name: arm for name, arm in study.arms.items() if isinstance(arm, PBT)}
    assert {name: arm.steps for name, arm in arms.items()} == {
        f"{shape}_{n}": 2 * n // 5000
        for shape in ("exponential", "linear")
        for n in (50_000, 100_000, 200_000)
    }
    linear = arms["linear_50000"].schedule
    assert isinstance(linear, Anneal)
    assert linear({"d_rate": 1e-4, "g_rate": 1e-4}, 20) == {"d_rate": 0.0, "g_rate": 0.0}
