"""fairseq 0.12.2 on today's Python and torch: the one place that knows what it takes.

What stands in the way, and what is done about it, no more:

- Python 3.11 refuses a dataclass field whose default has no hash, as fairseq's configurations have.
  While it is imported, its own dataclasses are given the hash by identity that they had in 3.10.
- On import it gives the root logger a handler and a level. Both are put back.
- A model's encoder layers choose a fused path of torch that fails on padded batches: `slow_path`.
- It gives torch masks of two types: `mixed_masks`.
- Its iterators pin memory and draw from torch's global generator: `batches.py` goes without them.
"""

import contextlib
import dataclasses
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

MISSING = (
    "the translation task needs fairseq 0.12.2 and what is in the extra nmt; type: python -m pip "
    "install -c constraints.txt -e '.[nmt]', and then: python -m pip install --no-deps "
    "fairseq==0.12.2"
)


@contextlib.contextmanager
def _importable() -> Iterator[None]:
    """Let fairseq be imported, and leave no trace of how."""
    original: Any = dataclasses.dataclass

    def dataclass(cls: type | None = None, /, **options: Any) -> Any:
        def decorated(cls: type) -> type:
            if cls.__module__.partition(".")[0] == "fairseq" and "__hash__" not in vars(cls):
                setattr(cls, "__hash__", object.__hash__)  # noqa: B010  # mypy knows better
            return original(cls, **options)  # type: ignore[no-any-return]

        return decorated if cls is None else decorated(cls)

    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    disabled, logging.root.manager.disable = logging.root.manager.disable, logging.WARNING
    dataclasses.dataclass = dataclass
    try:
        with warnings.catch_warnings():
            # it scripts functions at import; a release of torch without torch.jit ends this
            warnings.filterwarnings("ignore", r"`torch\.jit\.script` is deprecated")
            yield
    finally:
        dataclasses.dataclass = original
        logging.root.manager.disable = disabled
        root.handlers[:] = handlers
        root.setLevel(level)


try:
    with _importable():
        from fairseq.criterions.label_smoothed_cross_entropy import (
            LabelSmoothedCrossEntropyCriterion,
        )
        from fairseq.data import Dictionary, LanguagePairDataset, ListDataset
        from fairseq.data.indexed_dataset import MMapIndexedDataset, MMapIndexedDatasetBuilder
        from fairseq.models.transformer import TransformerModel
        from fairseq.optim.adam import FairseqAdam, FairseqAdamConfig
        from fairseq.tasks.translation import TranslationConfig, TranslationTask
        from fairseq.utils import move_to_cuda
except ImportError as error:
    raise ImportError(f"{MISSING} ({error})") from error
logging.getLogger("fairseq").setLevel(logging.WARNING)  # it tells of every dictionary and iterator

__all__ = [
    "Dictionary",
    "FairseqAdam",
    "FairseqAdamConfig",
    "LabelSmoothedCrossEntropyCriterion",
    "LanguagePairDataset",
    "ListDataset",
    "MMapIndexedDataset",
    "MMapIndexedDatasetBuilder",
    "TransformerModel",
    "TranslationConfig",
    "TranslationTask",
    "mixed_masks",
    "on_device",
    "slow_path",
    "used_parameters",
]


def slow_path(model: nn.Module) -> None:
    """Keep the encoder of a model off torch's fused path: it fails on padding (torch >= 1.13).

    ("Mask Type should be defined", fairseq's issues 4858 and 4899.)
    """
    for layer in model.encoder.layers:  # type: ignore[union-attr]
        layer.can_use_fastpath = False


def used_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that take part: encoder layers carry copies for the fused path."""
    ends = tuple(
        f".{layer}_{kind}"
        for layer in ("in_proj", "out_proj", "fc1", "fc2")
        for kind in ("weight", "bias")
    )
    return {
        name: parameter for name, parameter in model.named_parameters() if not name.endswith(ends)
    }


@contextlib.contextmanager
def mixed_masks() -> Iterator[None]:
    """Let fairseq give attention masks of two types, which torch deprecates, without a word."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask and attn_mask")
        yield


def on_device(batch: Any, device: torch.device) -> Any:
    """Return the batch on the device."""
    return move_to_cuda(batch, device) if device.type == "cuda" else batch
