"""torchvision, also beside a torch without CUDA, where a plain `import torchvision` fails."""

import functools
import importlib
from types import ModuleType
from typing import Any

import torch

from core import TaskError

_schemas: list[torch.library.Library] = []  # what is declared lasts as long as its library


@functools.cache
def torchvision() -> ModuleType:
    """Return the package; its `datasets` and `models` are loaded.

    The wheels of package indexes hold operators in C++ that were compiled for CUDA. Beside a torch
    for the CPU they cannot be loaded; torchvision passes over that, and then fails to register
    shapes for two operators, nms and qnms, that those libraries would have declared. So we declare
    them and import again: datasets and models work, while operators and image files, which nothing
    here uses, still raise. Seen in torchvision 0.28.0; not a documented interface.

    Raises:
        TaskError: it is not installed, or fails in another way.
    """
    try:
        try:
            package = importlib.import_module("torchvision")
        except RuntimeError as error:
            if "operator torchvision::nms does not exist" not in str(error):
                raise
            library: Any = torch.library.Library("torchvision", "FRAGMENT")  # type: ignore[no-untyped-call]
            for name in ("nms", "qnms"):
                library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _schemas.append(library)
            package = importlib.import_module("torchvision")
    except ModuleNotFoundError as error:
        raise TaskError(
            f"there is no {error.name}, which reads CIFAR-10 and holds the Inception network: "
            "pip install -c constraints.txt torchvision"
        ) from error
    except (ImportError, RuntimeError) as error:
        raise TaskError(
            f"torchvision cannot be imported beside torch {torch.__version__} ({error}): each "
            "release fits one release of torch; pip install -c constraints.txt torch torchvision"
        ) from error
    return package
