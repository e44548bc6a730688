"""The paper's GAN from files in CIFAR-10's format to a run's records, with small stand-ins."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from core.audits.verify import verify
from core.directory.members import Members
from core.directory.run import open_run
from core.settings import PBT
from core.task import TaskError
from core.workers.worker import work
from tasks.gan import presets, problems
from tasks.gan.classifier.cifar10 import keep, path_of_classifier
from tasks.gan.classifier.classifiers import classifier, fingerprint
from tasks.gan.classifier.resnet import resnet
from tasks.gan.data import cifar10 as data
from tasks.gan.scores import imagenet
from tasks.gan.scores.imagenet import Seen
from tasks.gan.trainer import WGANGP
from tests.tasks.gan.cifar import make, random_files

SMALL = replace(problems.CIFAR10, updates=1, batch=4, to_select=20, to_report=70)


class Glance(nn.Module):
    """In place of Inception v3: five features of an image, and three classes."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = nn.Conv2d(3, 5, 32)
        self.last = nn.Linear(5, 3)

    def forward(self, images: Tensor) -> Seen:
        """Return what it makes of images [B, 3, 32, 32]."""
        features = self.eye(images).flatten(1)
        return Seen(self.last(features).softmax(1), features)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that a run needs: data, a classifier, and what stands in for ImageNet's network."""
    folder = tmp_path / "data"
    monkeypatch.setenv("PBT_DATA", str(folder))
    archive = make(folder, random_files(20))
    torch.manual_seed(0)
    keep(resnet(4), {"width": 4}, 0.95, path_of_classifier())
    glance = Glance().requires_grad_(False)
    monkeypatch.setattr(problems, "cifar10", partial(data.cifar10, archive=archive))
    monkeypatch.setattr(imagenet, "inception", lambda device: glance)
    for cached in (classifier, fingerprint, problems._real_moments):
        cached.cache_clear()
    return folder


def small() -> PBT:
    """Three of the paper's 45 members, for two rounds."""
    run = presets.table_4_truncation()
    task = replace(run.task, trainer=partial(WGANGP, SMALL))
    return replace(run, task=task, members=3, start=run.start[:3], steps=2, mode="lockstep")


def test_a_run_from_files_to_records(folder: Path, tmp_path: Path) -> None:
    """Selected by one network, reported by another, with a picture in colour."""
    run = open_run(tmp_path / "run", "tests.tasks.gan.test_gan_on_cifar10:small")

    work(run, durable=False)

    assert verify(run).problems == []
    last = Members(run.root).history(0)[-1]
    assert 1 <= last.member.score <= 10  # ten classes
    report = dict(last.report)
    assert 1 <= float(str(report["held_out"])) <= 3  # the stand-in's three
    assert {"held_out_sd", "fresh", "fid"} <= {*report}
    assert str(report["samples"]).startswith("data:image/png;base64,")
    assert report["judge"] == fingerprint("cifar10")


def test_the_images_are_bytes_on_the_device_and_floats_in_a_batch(folder: Path) -> None:
    """A quarter of the memory; in [-1, 1] as the generator's."""
    gan = WGANGP(SMALL, 0, "cpu")

    batch = gan._real()

    assert (gan.images.dtype, gan.images.shape) == (torch.uint8, (100, 3, 32, 32))
    assert batch.shape == (4, 3, 32, 32)
    assert -1 <= float(batch.min()) < -0.9
    assert 0.9 < float(batch.max()) <= 1


@pytest.mark.parametrize(
    ("lost", "sentence"),
    [
        (data.CIFAR10.folder, "python -m tasks.gan.data --download"),
        ("cifar10-classifier.pt", "python -m tasks.gan.classifier cifar10"),
    ],
)
def test_what_is_missing_stops_the_run_before_it_trains(
    folder: Path, tmp_path: Path, lost: str, sentence: str
) -> None:
    """With what to type; no member is at fault."""
    (folder / lost).rename(tmp_path / "elsewhere")
    run = open_run(tmp_path / "run", "tests.tasks.gan.test_gan_on_cifar10:small")

    with pytest.raises(TaskError, match=sentence):
        work(run, durable=False)

    assert Members(run.root).history(0)[-1].member.failures == 0
