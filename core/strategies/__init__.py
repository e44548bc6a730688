"""The rules: when a member is ready, which one it copies, and how it explores."""

from core.strategies.exploit import Among, Exploit, Truncation, TTest, binary_tournament
from core.strategies.explore import (
    Chain,
    Explore,
    Noise,
    Perturb,
    Resample,
    SymmetricPerturb,
    keep,
)
from core.strategies.ready import Every, Ready, SinceLastReady, never
from core.strategies.schedules import Anneal

__all__ = [
    "Among",
    "Anneal",
    "Chain",
    "Every",
    "Exploit",
    "Explore",
    "Noise",
    "Perturb",
    "Ready",
    "Resample",
    "SinceLastReady",
    "SymmetricPerturb",
    "TTest",
    "Truncation",
    "binary_tournament",
    "keep",
    "never",
]
