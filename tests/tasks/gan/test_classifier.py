"""The classifiers that judge images: how they are trained, kept, refused, asked."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tasks.gan.classifier import cifar10 as cifar_classifier
from tasks.gan.classifier import cifar10_training as cifar_training
from tasks.gan.classifier.cifar10 import keep, load
from tasks.gan.classifier.cifar10_training import Settings, Training, accuracy, augmented, train
from tasks.gan.classifier.classifiers import classifier, features, fingerprint, main, probabilities
from tasks.gan.classifier.resnet import resnet
from tasks.gan.data.cifar10 import CIFAR10, Archive, DataError, cifar10, scaled
from tasks.gan.data.digits import digits
from tests.tasks.gan.cifar import make

TINY = Settings(width=4, epochs=3, batch=20)
CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that PBT_DATA names, and no classifier in memory."""
    monkeypatch.setenv("PBT_DATA", str(tmp_path))
    classifier.cache_clear()
    return tmp_path


@pytest.fixture
def archive(folder: Path) -> Archive:
    """Two hundred noisy images to train on and forty to test on: reddish or bluish, 0 or 1."""
    rng = np.random.default_rng(1)
    files = {}
    for name, _ in (*CIFAR10.train, *CIFAR10.test):
        classes = rng.integers(2, size=40)
        images = rng.integers(150, size=(40, 3, 32, 32), dtype=np.uint8)
        images[np.arange(40), 2 * classes] += 100  # plane 0 is red, plane 2 is blue
        files[name] = (images, classes)
    return make(folder, files)


def _kept(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_whole_path_on_a_small_set(folder: Path, archive: Archive) -> None:
    """Trained, kept with what it is and reached, loaded, and asked."""
    reached = train(TINY, CPU, archive=archive)
    images, classes = cifar10("test", archive=archive)

    p = probabilities("cifar10", scaled(images))
    seen = features("cifar10", scaled(images))

    assert reached == 1
    assert p.shape == (40, 10)
    assert p.sum(1).tolist() == pytest.approx([1] * 40)
    assert torch.equal(p.argmax(1), classes)
    assert seen.shape == (40, 16)
    torch.testing.assert_close(classifier("cifar10")[-1](seen).softmax(1), p)
    kept = torch.load(folder / "cifar10-classifier.pt", weights_only=True)
    assert (kept["architecture"], kept["accuracy"]) == ("ResNet-14", 1)
    assert kept["settings"]["epochs"] == 3
    sum_line = (folder / "cifar10-classifier.pt.sha256").read_text()
    assert sum_line == f"{_kept(folder / 'cifar10-classifier.pt')}  cifar10-classifier.pt\n"
    assert {path.name for path in folder.iterdir()} == {
        CIFAR10.folder,
        "cifar10-classifier.pt",
        "cifar10-classifier.pt.sha256",
    }


def test_training_that_was_interrupted_is_training_that_was_not(
    folder: Path, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped by Ctrl-C in the second epoch and typed again: the same file, byte for byte."""
    train(TINY, CPU, folder / "straight.pt", archive)
    whole_epoch, epochs = Training.epoch, []

    def stopped(self: Training, updated: Callable[[], object]) -> None:
        epochs.append(self.epochs)
        if len(epochs) == 2:
            raise KeyboardInterrupt
        whole_epoch(self, updated)

    monkeypatch.setattr(Training, "epoch", stopped)
    before = torch.random.get_rng_state()

    with pytest.raises(KeyboardInterrupt):
        train(TINY, CPU, folder / "stopped.pt", archive)
    assert not (folder / "stopped.pt").exists()
    train(TINY, CPU, folder / "stopped.pt", archive)

    assert epochs == [0, 1, 1, 2]
    assert _kept(folder / "stopped.pt") == _kept(folder / "straight.pt")
    assert torch.equal(torch.random.get_rng_state(), before)


def test_training_does_not_go_on_with_other_settings(folder: Path, archive: Archive) -> None:
    """Both are named, and what to do; a damaged file is not gone on with either."""
    images, classes = torch.zeros(4, 3, 32, 32, dtype=torch.uint8), torch.zeros(4, dtype=torch.long)
    begun = folder / "cifar10-classifier.pt.begun"
    Training(Settings(width=4, epochs=5), images, classes, CPU).save(begun)

    with pytest.raises(DataError, match=r"'epochs': 5.*'epochs': 3.*delete it"):
        train(TINY, CPU, archive=archive)
    begun.write_bytes(begun.read_bytes()[:1000])
    with pytest.raises(DataError, match="cannot be read: delete it"):
        train(TINY, CPU, archive=archive)


def test_a_training_without_epochs_is_refused() -> None:
    """Before anything is read."""
    with pytest.raises(ValueError, match="epochs=0"):
        Settings(epochs=0)


def test_crops_and_mirrors_are_those_of_a_loop() -> None:
    """Each image against every crop of itself and its mirror image; all of them occur."""
    noise = torch.Generator().manual_seed(1)
    image = torch.rand(3, 32, 32, generator=noise)
    bordered = torch.zeros(2, 3, 40, 40)
    bordered[0, :, 4:36, 4:36] = image
    bordered[1, :, 4:36, 4:36] = image.flip(2)
    crops = {
        (m, y, x): bordered[m, :, y : y + 32, x : x + 32]
        for m in range(2)
        for y in range(9)
        for x in range(9)
    }

    made = augmented(image.expand(200, 3, 32, 32), noise)

    found = [[place for place, crop in crops.items() if torch.equal(crop, one)] for one in made]
    assert all(len(places) == 1 for places in found)
    for axis, values in enumerate((range(2), range(9), range(9))):
        assert {places[0][axis] for places in found} == set(values)


def test_bytes_become_numbers_around_nought() -> None:
    """The range of the generator's images."""
    assert scaled(torch.tensor([0, 255], dtype=torch.uint8)).tolist() == [-1, 1]


def test_accuracy_is_the_share_of_images_that_are_named_rightly() -> None:
    """By a model that names the brightest plane: red, unless it may normalise what it is shown."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3))
    noise = torch.Generator().manual_seed(1)
    images = torch.randint(100, (20, 3, 32, 32), generator=noise, dtype=torch.uint8)
    images[:, 0] += 100
    classes = torch.tensor([0] * 15 + [1] * 5)

    assert accuracy(model.train(), images, classes) == 0.75


def test_the_network_has_the_shapes_that_it_says() -> None:
    """At full width: features are four times as wide, and the last layer is the only dense one."""
    network = resnet(64).eval()

    with torch.no_grad():
        seen = network[:-1](torch.zeros(2, 3, 32, 32))

    assert seen.shape == (2, 256)
    assert network[-1](seen).shape == (2, 10)
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    assert len([c for c in convolutions if c.kernel_size == (3, 3)]) + 1 == 14  # and the dense one


@pytest.fixture
def trained(folder: Path) -> Path:
    """A file as of a classifier that names 95 % rightly."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        keep(resnet(4), {"width": 4}, 0.95, folder / "cifar10-classifier.pt")
    return folder / "cifar10-classifier.pt"


def _rewrite(path: Path, **changes: object) -> None:
    """Change what is in the file, and its checksum with it."""
    content: dict[str, Any] = torch.load(path, weights_only=True) | changes
    cifar_classifier.write(content, path)
    path.with_name(f"{path.name}.sha256").write_text(f"{_kept(path)}  {path.name}\n")


def test_a_kept_classifier_is_the_one_that_was_trained(trained: Path) -> None:
    """Weight by weight, fit to judge, and without a gradient."""
    before = torch.random.get_rng_state()

    model = load()

    assert torch.equal(torch.random.get_rng_state(), before)
    with torch.random.fork_rng():
        torch.manual_seed(1)
        original = resnet(4).state_dict()
    assert model.state_dict().keys() == original.keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, original[name])
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _without_sum(path: Path) -> None:
    path.with_name(f"{path.name}.sha256").unlink()


def _evil(path: Path) -> None:
    path.write_bytes(f"cbuiltins\nopen\n(S'{path.parent / 'ran'}'\nS'w'\ntR.".encode())
    path.with_name(f"{path.name}.sha256").write_text(f"{_kept(path)}  {path.name}\n")


def _of(**changes: object) -> Callable[[Path], None]:
    return lambda path: _rewrite(path, **changes)


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (Path.unlink, r"there is no \S+classifier\.pt, of a trained"),
        (_without_sum, r"there is no \S+\.sha256, of a trained"),
        (_cut, "is damaged: its sha256 should be [0-9a-f]{64} and is [0-9a-f]{64}"),
        (_evil, "cannot be read"),
        (_of(architecture="VGG-11"), r"holds a VGG-11, where a ResNet-14 is needed"),
        (_of(accuracy=0.8123), r"only 81\.2% of the test images rightly, where 90%"),
        (_of(accuracy=float("nan")), "only nan%"),
        (_of(settings={"width": 8}), "no weights of a ResNet-14"),
        (_of(weights={}), "no weights of a ResNet-14"),
        (_of(settings={}), "no classifier"),
    ],
)
def test_a_classifier_that_is_not_fit_to_judge_is_refused(
    trained: Path, damage: Callable[[Path], None], sentence: str
) -> None:
    """With what is wrong, and how to come by another; and no code of a stranger runs."""
    damage(trained)

    with pytest.raises(DataError, match=sentence) as error:
        probabilities("cifar10", torch.zeros(1, 3, 32, 32))

    assert "python -m tasks.gan.classifier cifar10" in str(error.value)
    assert not (trained.parent / "ran").exists()


def test_images_are_judged_in_parts_that_do_not_matter(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More images than go through at once give what each gives alone."""
    monkeypatch.setattr("tasks.gan.classifier.classifiers.AT_ONCE", 4 * 3072)
    images = torch.rand(10, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1

    p, seen = probabilities("cifar10", images), features("cifar10", images)

    alone = [probabilities("cifar10", image[None]) for image in images]
    torch.testing.assert_close(p, torch.cat(alone))
    assert seen.shape == (10, 16)


@pytest.mark.parametrize(("kind", "width"), [("convolutional", 1024), ("dense", 128)])
def test_digits_are_judged_as_rows_and_as_pictures(kind: Any, width: int) -> None:
    """64 numbers or 8x8 pixels are the same digits; features are what the last layer sees."""
    rows: Tensor = digits()[0][:20]

    p = probabilities(kind, rows)

    assert torch.equal(p, probabilities(kind, rows.view(20, 1, 8, 8)))
    assert torch.equal(p, classifier(kind)(rows).softmax(1))
    seen = features(kind, rows)
    assert seen.shape == (20, width)
    torch.testing.assert_close(classifier(kind)[-1](seen).softmax(1), p)


def test_the_command_says_what_was_reached(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And fails where it is too little for a score, or was stopped."""
    answers: list[float | KeyboardInterrupt] = [0.94, 0.5, KeyboardInterrupt()]

    def answer(settings: Settings, device: torch.device) -> float:
        assert (settings.epochs, device) == (7, CPU)
        if isinstance(reached := answers.pop(0), KeyboardInterrupt):
            raise reached
        return reached

    monkeypatch.setattr(cifar_training, "train", answer)
    words = ["cifar10", "--epochs", "7", "--device", "cpu"]

    statuses = [main(words), main(words), main(words)]

    assert statuses == [0, 1, 130]
    said = capsys.readouterr()
    assert f"0.9400 of the test images; kept in {folder}" in said.out
    assert "0.9 are needed" in said.err
    assert "type the same again" in said.err


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["cifar10", "--device", "cpu"], 1, "there is no CIFAR-10 in"),
        (["cifar10", "--device", "cpu", "--epochs", "0"], 1, "epochs=0"),
        (["cifar10", "--device", "abacus"], 2, "abacus is no device here"),
    ],
)
def test_the_command_refuses_in_a_sentence(
    words: list[str], status: int, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Missing data, a training of nothing, a device that is not there."""
    try:
        found = main(words)
    except SystemExit as stop:  # argparse's own way
        found = int(str(stop.code))

    assert found == status
    assert sentence in capsys.readouterr().err


def test_the_command_does_not_replace_a_sound_classifier(
    trained: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs may be judged by it; with --again it does."""
    monkeypatch.setattr(cifar_training, "train", lambda *settings: 0.95)

    assert main(["cifar10", "--device", "cpu"]) == 0
    assert "there is one already" in capsys.readouterr().out
    assert main(["cifar10", "--device", "cpu", "--again"]) == 0
    assert "there is one already" not in capsys.readouterr().out


def test_other_weights_have_another_fingerprint(trained: Path) -> None:
    """Of what is in memory, not of what a file may have become."""
    fingerprint.cache_clear()
    before = fingerprint("cifar10")
    fingerprint.cache_clear()

    next(classifier("cifar10").parameters()).flatten()[0] += 1

    assert fingerprint("cifar10") != before
    fingerprint.cache_clear()


def test_the_command_trains_the_digits(capsys: pytest.CaptureFixture[str]) -> None:
    """Both of them, and says how many unseen ones each names rightly."""
    assert main(["digits"]) == 0

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["convolutional", "dense"]
    assert all("of 397 unseen digits" in line for line in lines)
