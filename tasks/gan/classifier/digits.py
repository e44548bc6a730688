"""The two digit classifiers: a convolutional one that selects, and a dense one that only reports.

Each is trained when it is first needed, in seconds, and kept in the user's cache folder, named
after all that determines it.
"""

import hashlib
import inspect
import os
import pickle
import tempfile
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from tasks.download import cache_folder
from tasks.gan.data.digits import CLASSES, PIXELS, digits, split
from tasks.torch_state import load_state, save_state

Kind = Literal["convolutional", "dense"]
SEEDS: dict[Kind, int] = {"convolutional": 1, "dense": 2}
LEAST_ACCURACY = 0.96  # on unseen digits; less is a broken file or a broken training


def network(kind: Kind) -> nn.Sequential:
    """Return an untrained classifier: images [B, 64] -> logits [B, 10]."""
    if kind == "convolutional":
        return nn.Sequential(
            nn.Unflatten(1, (1, 8, 8)),  # [B, 1, 8, 8]
            nn.Conv2d(1, 32, 3, padding=1),  # [B, 32, 8, 8]
            nn.ReLU(),
            nn.MaxPool2d(2),  # [B, 32, 4, 4]
            nn.Conv2d(32, 64, 3, padding=1),  # [B, 64, 4, 4]
            nn.ReLU(),
            nn.Flatten(),  # [B, 1024]
            nn.Dropout(0.3),
            nn.Linear(1024, CLASSES),
        )
    return nn.Sequential(
        nn.Linear(PIXELS, 256),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(256, 128),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(128, CLASSES),
    )


@torch.enable_grad()  # whoever asks for a score does so without
def train(kind: Kind, epochs: int = 30) -> nn.Sequential:
    """Train a classifier on 1,400 digits, from its own seed."""
    seed = SEEDS[kind]
    images, classes = digits()
    rows, _ = split(seed)
    with torch.random.fork_rng():  # dropout and initialisation use torch's global generator
        torch.manual_seed(seed)
        model = network(kind)
        optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        for _ in range(epochs):
            for batch in torch.split(rows[torch.randperm(len(rows))], 64):
                loss = nn.functional.cross_entropy(model(images[batch]), classes[batch])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
    return model.eval().requires_grad_(False)


@torch.no_grad()
def accuracy(model: nn.Module, kind: Kind) -> float:
    """Return the share of the classifier's 397 unseen digits that it names rightly."""
    images, classes = digits()
    _, rows = split(SEEDS[kind])
    device = next(model.parameters()).device
    right: Tensor = model(images[rows].to(device)).argmax(1).cpu() == classes[rows]
    return float(right.float().mean())


def trained(kind: Kind) -> nn.Sequential:
    """Return the trained classifier, from the cache folder if it is there and sound."""
    path = cache_folder() / f"digits-{kind}-{_fingerprint()}.pt"
    model = network(kind).eval().requires_grad_(False)
    try:
        model.load_state_dict(load_state(path))
        if accuracy(model, kind) >= LEAST_ACCURACY:
            return model
    except (OSError, RuntimeError, pickle.UnpicklingError, EOFError):
        pass  # not there, or not ours: train it
    model = train(kind)
    reached = accuracy(model, kind)
    if reached < LEAST_ACCURACY:
        raise RuntimeError(
            f"the {kind} classifier names only {reached:.1%} of unseen digits rightly, where "
            f"{LEAST_ACCURACY:.0%} are needed for a score that means something"
        )
    _keep(model, path)
    return model


def _fingerprint() -> str:
    """Return a hash of what determines a trained classifier."""
    source = inspect.getsource(network) + inspect.getsource(train) + inspect.getsource(split)
    return hashlib.sha256(f"{torch.__version__} {SEEDS} {source}".encode()).hexdigest()[:12]


def _keep(model: nn.Module, path: Path) -> None:
    """Save the classifier for the next process; do without where that is not possible."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            save_state(model.state_dict(), Path(file.name))
        os.replace(file.name, path)
    except OSError:
        pass  # a read-only home: seconds are lost in each process, nothing else
