"""The run of bench_toy_against_ray.py."""

from dataclasses import replace

from core.pbt import PBT
from core.strategies import Every
from tasks.toy.presets import pbt


def toy() -> PBT:
    """The toy with eight members that decide at every step, as Ray's must to copy as often."""
    return replace(pbt(), members=8, steps=400, ready=Every(1))
