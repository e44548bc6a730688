"""fairseq's Transformer at any size, and its dropouts, which change while it trains."""

from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from tasks.nmt.fairseq_compat import (
    TransformerModel,
    TranslationConfig,
    TranslationTask,
    slow_path,
)
from tasks.nmt.subwords import Subwords

DROPOUTS = ("attention_dropout", "layer_dropout", "relu_dropout")


@dataclass(frozen=True, slots=True)
class Network:
    """The size of a Transformer; encoder and decoder are alike, and all embeddings are one.

    width: of embeddings and layers. inner: of the feed-forward layers. heads: of attention.
    layers: of either side. pre_norm: whether layers are normalised before rather than after.
    longest: pieces of the longest sentence.

    Source: Vaswani et al. 2017 (arXiv:1706.03762).
    """

    width: int
    inner: int
    heads: int
    layers: int
    pre_norm: bool = False
    longest: int = 1024


def translation_task(subwords: Subwords) -> Any:
    """Return fairseq's task: what knows the dictionary of both sides."""
    return TranslationTask(TranslationConfig(), subwords.dictionary, subwords.dictionary)


def build(network: Network, task: Any) -> nn.Module:
    """Return an untrained model, drawn from torch's global generator."""
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {
            "embed_dim": network.width,
            "ffn_embed_dim": network.inner,
            "attention_heads": network.heads,
            "layers": network.layers,
            "normalize_before": network.pre_norm,
        }.items()
    }
    arguments = Namespace(
        **sides,
        share_all_embeddings=True,
        max_source_positions=network.longest,
        max_target_positions=network.longest,
        dropout=0.0,  # these three are hyperparameters: see `set_dropouts`
        attention_dropout=0.0,
        activation_dropout=0.0,
    )
    model: nn.Module = TransformerModel.build_model(arguments, task)
    slow_path(model)
    return model


def set_dropouts(model: nn.Module, rates: Mapping[str, float]) -> None:
    """Put dropout rates in force, by the names in DROPOUTS."""
    for name, module in _dropouts(model):
        module.p = float(rates[kind(name)])


def dropouts(model: nn.Module) -> dict[str, set[float]]:
    """Return the rates that are in force; each a set of one, unless something is wrong."""
    found: dict[str, set[float]] = {name: set() for name in DROPOUTS}
    for name, module in _dropouts(model):
        found[kind(name)].add(module.p)
    return found


def kind(module: str) -> str:
    """Return which of the paper's three dropouts a module of this name is.

    attention: of the softmax; relu: of the units of the feed-forward layers; layer: of the output
    of each layer, and of the embeddings, as in tensor2tensor.
    """
    if module.endswith("activation_dropout_module"):
        return "relu_dropout"
    if "attn.dropout_module" in module:
        return "attention_dropout"
    return "layer_dropout"


def _dropouts(model: nn.Module) -> list[tuple[str, Any]]:
    return [
        (name, module)
        for name, module in model.named_modules()
        if name.endswith("dropout_module") and hasattr(module, "p")
    ]
