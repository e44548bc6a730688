"""Inception score and Fréchet distance: by hand, by the definitions; ImageNet's network."""

import hashlib
import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import linalg

from tasks.gan.data.cifar10 import DataError
from tasks.gan.data.vision import torchvision
from tasks.gan.scores import imagenet
from tasks.gan.scores.frechet import frechet_distance, moments
from tasks.gan.scores.inception import inception_score


def _random_rows(count: int, classes: int, seed: int) -> torch.Tensor:
    noise = torch.Generator().manual_seed(seed)
    return (3 * torch.randn(count, classes, generator=noise)).softmax(1)


def _by_definition(p: list[list[float]], splits: int) -> tuple[float, float]:
    size = len(p) // splits
    scores = []
    for k in range(splits):
        part = p[k * size : (k + 1) * size]
        marginal = [sum(row[y] for row in part) / size for y in range(len(p[0]))]
        total = 0.0
        for row in part:
            for y, share in enumerate(row):
                if share > 0:  # x log x goes to 0
                    total += share * math.log(share / marginal[y])
        scores.append(math.exp(total / size))
    mean = sum(scores) / splits
    return mean, math.sqrt(sum((score - mean) ** 2 for score in scores) / splits)


@pytest.mark.parametrize(
    ("p", "score"),
    [
        (torch.eye(10), 10.0),  # certain, and all classes equally
        (torch.eye(10)[[3] * 7], 1.0),  # certain, one class only
        (torch.full((5, 10), 0.1), 1.0),  # never certain
    ],
)
def test_the_inception_score_has_its_known_extremes(p: torch.Tensor, score: float) -> None:
    """From 1 to the number of classes."""
    assert tuple(inception_score(p)) == pytest.approx((score, 0), rel=1e-6)


def test_the_inception_score_is_that_of_two_images_by_hand() -> None:
    """The marginal is [3/4, 1/4]."""
    first = math.log(1 / 0.75)
    second = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)

    mean, sd = inception_score(torch.tensor([[1.0, 0.0], [0.5, 0.5]]))

    assert mean == pytest.approx(math.exp((first + second) / 2), rel=1e-12)
    assert sd == 0


def test_splits_are_consecutive_and_their_spread_is_of_all_of_them() -> None:
    """Two splits by hand: two classes score 2, one class scores 1; the deviation is 1/2."""
    p = torch.eye(2)[[0, 1, 0, 0]]

    assert tuple(inception_score(p, splits=2)) == pytest.approx((1.5, 0.5))
    assert tuple(inception_score(p[[0, 0, 0, 1]], splits=2)) == pytest.approx((1.5, 0.5))
    assert tuple(inception_score(p[[0, 1, 1, 0]], splits=2)) == pytest.approx((2, 0))
    assert tuple(inception_score(p, splits=4)) == pytest.approx((1, 0))


@pytest.mark.parametrize("splits", [1, 2, 10, 120])
def test_the_inception_score_is_that_of_the_definition(splits: int) -> None:
    """Against a loop over splits, images and classes, zeros among the probabilities."""
    p = _random_rows(120, 7, seed=1).double()
    p[::3, 2] = 0

    assert tuple(inception_score(p, splits)) == pytest.approx(_by_definition(p.tolist(), splits))


@pytest.mark.parametrize(("samples", "splits"), [(5, 6), (10, 3), (10, 0), (10, -1), (0, 1)])
def test_samples_that_cannot_be_split_are_refused(samples: int, splits: int) -> None:
    """With both numbers in the sentence."""
    with pytest.raises(ValueError, match=f"^{samples} samples .* {splits} equal splits"):
        inception_score(torch.full((samples, 10), 0.1), splits)


def test_a_prediction_that_is_not_a_number_gives_none() -> None:
    """Of one image in one split: the whole is not a number, rather than a score without it."""
    p = _random_rows(20, 10, seed=2)
    p[13] = math.nan

    assert math.isnan(inception_score(p, splits=2).mean)


def _frechet_by_svd(a: np.ndarray, b: np.ndarray) -> float:
    """By another way: tr (C1 C2)^½ is the sum of the singular values of A Bᵀ."""
    centred_a = (a - a.mean(0)) / math.sqrt(len(a) - 1)
    centred_b = (b - b.mean(0)) / math.sqrt(len(b) - 1)
    cross = linalg.svdvals(centred_a @ centred_b.T).sum()
    mean = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(mean + (centred_a**2).sum() + (centred_b**2).sum() - 2 * cross)


def test_the_frechet_distance_is_scipys() -> None:
    """Against the formula with scipy's matrix square root; 0 of a sample to itself."""
    rng = np.random.default_rng(0)
    a = rng.normal(size=(500, 6)) @ rng.normal(size=(6, 6))
    b = rng.normal(size=(400, 6)) * 2 + 1
    ca, cb = np.cov(a.T), np.cov(b.T)
    root = linalg.sqrtm(ca @ cb).real
    by_scipy = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root)

    assert frechet_distance(moments(torch.tensor(a)), moments(torch.tensor(b))) == pytest.approx(
        by_scipy
    )
    assert _frechet_by_svd(a, b) == pytest.approx(by_scipy)
    assert frechet_distance(moments(torch.tensor(a)), moments(torch.tensor(a))) == pytest.approx(
        0, abs=1e-8
    )


@pytest.mark.parametrize(("features", "real", "fake"), [(64, 30, 20), (256, 100, 400)])
def test_the_frechet_distance_of_fewer_samples_than_features(
    features: int, real: int, fake: int
) -> None:
    """Singular covariances, where a matrix square root fails: against singular values."""
    rng = np.random.default_rng(1)
    a = rng.normal(size=(real, features)) ** 2
    b = rng.normal(size=(fake, features)) * 1.3 + 0.1

    distance = frechet_distance(moments(torch.tensor(a)), moments(torch.tensor(b)))
    to_itself = frechet_distance(moments(torch.tensor(a)), moments(torch.tensor(a)))

    assert distance == pytest.approx(_frechet_by_svd(a, b), rel=1e-6)
    assert to_itself == pytest.approx(0, abs=1e-6 * np.trace(np.cov(a.T)))


@pytest.mark.parametrize(
    ("real", "fake", "sentence"),
    [
        ((0, 4), (9, 4), "need two samples or more, got features of (0, 4)"),
        ((9, 4), (1, 4), "need two samples or more, got features of (1, 4)"),
        ((9, 4), (9, 5), "of 4 features and of 5: need the same"),
    ],
)
def test_samples_without_a_distance_are_refused(
    real: tuple[int, int], fake: tuple[int, int], sentence: str
) -> None:
    """Too few, or of other features."""
    with pytest.raises(ValueError, match=re.escape(sentence)):
        frechet_distance(moments(torch.zeros(real)), moments(torch.zeros(fake)))


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Random weights of torchvision's network in torchvision's format, and their checksum."""
    path = tmp_path_factory.mktemp("inception") / imagenet.NAME
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = torchvision().models.inception_v3(weights=None, init_weights=False)
    for parameter in network.parameters():
        if parameter.ndim == 4:  # torch's default would let the signal die out
            parameter.data *= math.sqrt(6)
    network.fc.weight.data *= 10
    torch.save(network.state_dict(), path)
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def test_inception_v3_sees_what_torchvisions_own_path_sees(weights: tuple[Path, str]) -> None:
    """Against the stock network, with its normalisation, and features caught behind its pool."""
    path, sha256 = weights
    images = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    vision = torchvision()
    before = torch.random.get_rng_state()

    probabilities, features = imagenet.look(images, imagenet.load(path, sha256[:8]), batch=2)

    assert torch.equal(torch.random.get_rng_state(), before)
    stock = vision.models.inception_v3(weights=None, init_weights=False, transform_input=True)
    stock.load_state_dict(torch.load(path, weights_only=True))
    caught = []
    stock.avgpool.register_forward_hook(lambda *seen: caught.append(seen[2].flatten(1)))
    large = torch.stack(
        [
            vision.transforms.functional.resize(image, [299, 299], antialias=True)
            for image in (images + 1) / 2
        ]
    )
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    with torch.no_grad():
        logits = stock.eval()(vision.transforms.functional.normalize(large, mean, std))
    torch.testing.assert_close(features, caught[0], rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(probabilities, logits.softmax(1), rtol=1e-2, atol=1e-5)
    assert (probabilities.shape, features.shape) == ((3, 1000), (3, 2048))
    assert probabilities.sum(1).tolist() == pytest.approx([1, 1, 1])
    assert float((probabilities[0] - probabilities[1]).abs().max()) > 1e-3


def test_weights_that_are_not_there_are_said_with_where_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In PBT_INCEPTION, or else beside the data."""
    monkeypatch.setenv("PBT_DATA", str(tmp_path))
    monkeypatch.delenv("PBT_INCEPTION", raising=False)
    assert imagenet.weights_path() == tmp_path / "inception_v3_google-0cc3c7bd.pth"
    monkeypatch.setenv("PBT_INCEPTION", str(tmp_path / "mine.pth"))

    with pytest.raises(DataError, match=r"mine\.pth: fetch https://\S+-0cc3c7bd\.pth"):
        imagenet.look(torch.zeros(1, 3, 32, 32))


def test_weights_of_wrong_checksum_are_not_opened(tmp_path: Path) -> None:
    """A pickle that would write a file is refused, with both checksums."""
    path = tmp_path / imagenet.NAME
    path.write_bytes(f"cbuiltins\nopen\n(S'{tmp_path / 'ran'}'\nS'w'\ntR.".encode())
    found = hashlib.sha256(path.read_bytes()).hexdigest()

    with pytest.raises(DataError, match=f"begin with 0cc3c7bd and begins with {found[:8]}"):
        imagenet.load(path)
    with pytest.raises(DataError, match="holds no Inception v3"):
        imagenet.load(path, found)

    assert not (tmp_path / "ran").exists()


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    """Though they are whole: their names or shapes do not fit."""
    path = tmp_path / imagenet.NAME
    torch.save(torch.nn.Linear(3, 2).state_dict(), path)

    with pytest.raises(DataError, match=r"holds no Inception v3: .*Missing key"):
        imagenet.load(path, hashlib.sha256(path.read_bytes()).hexdigest())
