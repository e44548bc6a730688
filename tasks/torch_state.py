"""Save and load the state of a trainer with torch."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor


def save_state(state: object, path: Path) -> None:
    """Write what `load_state` reads: tensors, numbers, texts, and dicts and lists of them."""
    with path.open("wb") as file:  # given a path, torch.save would write its name into the file
        torch.save(state, file)


def load_state(path: Path, device: torch.device | str = "cpu") -> Any:
    """Return what `save_state` wrote, with its tensors on a device; no code of the file is run.

    Raises:
        RuntimeError: the file is damaged.
        EOFError: the file is empty.
        pickle.UnpicklingError: the file holds something else.
    """
    return torch.load(path, map_location=device, weights_only=True)


def restore_generator(noise: torch.Generator, state: Tensor, seed: int) -> None:
    """Continue a saved random stream.

    The state of a GPU's generator does not fit a CPU's, and vice versa; between the two, a new
    stream begins.

    Args:
        noise: the generator to set.
        state: what `get_state` of the saved generator returned.
        seed: begins the new stream.
    """
    state = state.cpu()
    if len(state) == len(noise.get_state()):
        noise.set_state(state)
    else:
        noise.manual_seed(seed)
