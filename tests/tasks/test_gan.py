"""The GAN: its scores against values by hand, its fast penalty against autograd, its contract."""

import math
from pathlib import Path

import pytest
import torch

from core.check import check
from tasks.gan import presets
from tasks.gan import trainer as module
from tasks.gan.classifier import SEEDS, accuracy, classifier, probabilities
from tasks.gan.digits import digits, split
from tasks.gan.inception import inception_score
from tasks.gan.networks import Discriminator, gradient_penalty
from tasks.gan.trainer import DigitsGAN

RATES = {"d_rate": 2e-3, "g_rate": 4e-4}


@pytest.fixture(autouse=True)
def _short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "UPDATES", 6)


def test_the_digits_are_real_and_scaled() -> None:
    """1,797 of them in [-1, 1], ten classes, and no image on both sides of a split."""
    images, classes = digits()
    train, unseen = split(1)

    assert images.shape == (1797, 64)
    assert (float(images.min()), float(images.max())) == (-1.0, 1.0)
    assert set(classes.tolist()) == set(range(10))
    assert len(set(train.tolist()) & set(unseen.tolist())) == 0
    assert (len(train), len(unseen)) == (1400, 397)


def test_the_gradient_penalty_equals_the_one_by_double_backward() -> None:
    """The value and every gradient, in double precision."""
    torch.manual_seed(0)
    critic = Discriminator().double()
    real, fake = torch.randn(2, 32, 64, dtype=torch.float64).unbind()
    mix = torch.rand(32, 1, dtype=torch.float64)

    fast = gradient_penalty(critic, real, fake, mix)
    fast_gradients = torch.autograd.grad(fast, list(critic.parameters()), allow_unused=True)
    between = (mix * real + (1 - mix) * fake).requires_grad_()
    [input_gradient] = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    slow = ((input_gradient.norm(dim=1) - 1) ** 2).mean()
    slow_gradients = torch.autograd.grad(slow, list(critic.parameters()), allow_unused=True)

    torch.testing.assert_close(fast, slow, rtol=1e-12, atol=0)
    for a, b in zip(fast_gradients, slow_gradients, strict=True):
        zero = torch.zeros(1, dtype=torch.float64)
        torch.testing.assert_close(
            (zero if a is None else a).abs().sum(), (zero if b is None else b).abs().sum()
        )
        if a is not None and b is not None:
            torch.testing.assert_close(a, b)


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


def test_the_trainer_keeps_the_contract() -> None:
    """Exactly: the learning rates of a restored Adam among it."""
    broken = [f.sentence for f in check(presets.digits(), steps=2) if f.kept is False]

    assert broken == []


def test_the_rates_in_the_optimisers_are_those_of_the_step() -> None:
    """After a load too, which brings back those that were saved."""
    trainer = DigitsGAN(1, "cpu")
    trainer.step(RATES)
    [d_group], [g_group] = trainer.d_adam.param_groups, trainer.g_adam.param_groups
    assert (d_group["lr"], g_group["lr"]) == (2e-3, 4e-4)

    trainer.step({"d_rate": 7e-3, "g_rate": 9e-4})

    assert (d_group["lr"], g_group["lr"]) == (7e-3, 9e-4)
    assert d_group["betas"] == (0.5, 0.999)


def test_a_diverged_generator_is_not_a_number() -> None:
    """Neither in the score nor in the report."""
    trainer = DigitsGAN(1, "cpu")
    with torch.no_grad():
        trainer.generator.last.bias.fill_(math.nan)

    assert math.isnan(trainer.eval())
    assert all(math.isnan(float(str(value))) for value in trainer.report().values())


def test_selection_and_report_look_at_other_samples() -> None:
    """What is reported is no second look at what was selected by."""
    trainer = DigitsGAN(1, "cpu")

    assert not torch.equal(trainer.samples(10, purpose=0), trainer.samples(10, purpose=1))
    assert torch.equal(trainer.samples(10, purpose=0), trainer.samples(10, purpose=0))


def test_weights_are_loaded_without_running_code(tmp_path: Path) -> None:
    """A pickle that calls something is refused by torch's weights-only loading."""
    import pickle

    (tmp_path / "evil").write_bytes(b"\x80\x02cos\nsystem\n(S'false'\ntR.")

    with pytest.raises((pickle.UnpicklingError, RuntimeError)):
        DigitsGAN(1, "cpu").load(tmp_path / "evil")
