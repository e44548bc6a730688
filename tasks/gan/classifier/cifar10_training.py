"""How the CIFAR-10 classifier is trained: interrupted, it goes on from its last whole epoch."""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from tasks.gan.classifier.cifar10 import COMMAND, keep, path_of_classifier, read, write
from tasks.gan.classifier.resnet import resnet
from tasks.gan.data.cifar10 import CIFAR10, Archive, DataError, cifar10, scaled

PADDING = 4  # pixels that a crop may be off the centre
AT_ONCE = 1000  # images, where no gradient is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a classifier is trained; its file holds them.

    width: channels at full resolution. batch: images in an update. rate: the learning rate at its
    peak, after a quarter of the updates; it begins at a 25th of it and ends at nothing. decay: of
    the weights. smoothing: the share of a label that is spread over all classes.
    """

    width: int = 64
    epochs: int = 30
    batch: int = 128
    rate: float = 0.1
    decay: float = 5e-4
    smoothing: float = 0.1
    seed: int = 1

    def __post_init__(self) -> None:
        if min(self.width, self.epochs, self.batch) < 1:
            raise ValueError(f"need a width, epochs and a batch of 1 or more, got {self}")


class Training:
    """A classifier in the making: saved after an epoch, it goes on exactly from there.

    Args:
        images: uint8 [N, 3, 32, 32]; they lie on the device once. classes: [N].
    """

    def __init__(
        self, settings: Settings, images: Tensor, classes: Tensor, device: torch.device
    ) -> None:
        self.settings = settings
        self.images, self.classes = images.to(device), classes.to(device)
        with torch.random.fork_rng(devices=[]):  # layers draw from torch's global generator
            torch.default_generator.manual_seed(settings.seed)
            self.model = resnet(settings.width).to(device)
        self.optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=settings.rate,
            momentum=0.9,
            nesterov=True,
            weight_decay=settings.decay,
        )
        self.updates = math.ceil(len(images) / settings.batch)  # in an epoch
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer,
            settings.rate,
            total_steps=settings.epochs * self.updates,
            pct_start=0.25,
            cycle_momentum=False,
        )
        self.noise = torch.Generator(device).manual_seed(settings.seed)
        self.epochs = 0

    def epoch(self, updated: Callable[[], object]) -> None:
        """Learn from every image once; call `updated` after each update."""
        self.model.train()
        order = torch.randperm(len(self.images), generator=self.noise, device=self.images.device)
        for rows in torch.split(order, self.settings.batch):
            x = augmented(scaled(self.images[rows]), self.noise)  # [B, 3, 32, 32]
            loss = nn.functional.cross_entropy(
                self.model(x), self.classes[rows], label_smoothing=self.settings.smoothing
            )
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
            self.schedule.step()
            updated()
        self.epochs += 1

    def save(self, path: Path) -> None:
        """Write all that `load` needs."""
        state = {
            "settings": asdict(self.settings),
            "epochs": self.epochs,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "noise": self.noise.get_state(),
        }
        write(state, path)

    def load(self, path: Path) -> None:
        """Go on from where the training that wrote `path` was.

        Raises:
            DataError: the file is no such training, or one with other settings.
        """
        remedy = f"delete it, and type {COMMAND} to begin anew"
        state = read(path, remedy)
        if state.get("settings") != asdict(self.settings):
            raise DataError(
                f"{path} was begun with {state.get('settings')}, and not with "
                f"{asdict(self.settings)}: go on with those, or {remedy}"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.noise.set_state(state["noise"].cpu())
        self.epochs = state["epochs"]


def augmented(images: Tensor, noise: torch.Generator) -> Tensor:
    """Return images [B, 3, H, W], half of them mirrored, each cropped out of a grey border."""
    count, _, height, width = images.shape
    device = images.device
    mirrored = torch.rand(count, 1, 1, 1, generator=noise, device=device) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    images = nn.functional.pad(images, (PADDING,) * 4)  # [B, 3, H + 8, W + 8]
    corner = torch.randint(2 * PADDING + 1, (2, count, 1), generator=noise, device=device)
    rows = corner[0] + torch.arange(height, device=device)  # [B, H]
    columns = corner[1] + torch.arange(width, device=device)  # [B, W]
    which = torch.arange(count, device=device)[:, None, None]  # [B, 1, 1]
    crops = images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]]  # [B, H, W, 3]
    return crops.permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    """Return the share of images, uint8 [N, 3, 32, 32], that a model names rightly."""
    device = next(model.parameters()).device
    model.eval()
    right = 0
    for x, y in zip(torch.split(images, AT_ONCE), torch.split(classes, AT_ONCE), strict=True):
        right += int((model(scaled(x.to(device))).argmax(1) == y.to(device)).sum())
    return right / len(images)


def train(
    settings: Settings, device: torch.device, path: Path | None = None, archive: Archive = CIFAR10
) -> float:
    """Train a classifier, or go on where an interrupted training was; keep it in `path`.

    Returns:
        The share of the test images that it names rightly; nothing was chosen by it.

    Raises:
        DataError: CIFAR-10 is not there, or what was begun cannot be gone on with.
    """
    path = path or path_of_classifier()
    images, classes = cifar10("train", archive=archive)
    training = Training(settings, images, classes, device)
    begun = path.with_name(f"{path.name}.begun")
    if begun.is_file():
        training.load(begun)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("still"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=settings.epochs * training.updates)
        progress.update(bar, completed=training.epochs * training.updates)
        while training.epochs < settings.epochs:
            name = f"epoch {training.epochs + 1} of {settings.epochs}"
            progress.update(bar, description=name)
            training.epoch(lambda: progress.advance(bar))
            training.save(begun)
    reached = accuracy(training.model, *cifar10("test", archive=archive))
    keep(training.model, asdict(settings), reached, path)
    begun.unlink(missing_ok=True)
    return reached
