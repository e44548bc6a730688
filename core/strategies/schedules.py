"""Hand-made schedules, which each member follows from its own start: PBT's strongest baseline."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from core.member import Hypers

Rule = Callable[[Hypers, int], Hypers]
"""(start, step) -> the hypers that hold for the training after this step; of the same names.

They may leave the domain of the space, which bounds a search: a rate that falls to 0 is legal here.
"""


@dataclass(frozen=True, slots=True)
class Anneal:
    """Hold the start, let some of it fall, then keep what it has come to.

    Args:
        names: what falls. hold: steps before it does. fall: steps that it takes.
        to: which share of the start is left in the end; 0 only if linear.
        shape: an "exponential" fall, or a "linear" one.

    Source: Jaderberg et al. 2017 (arXiv:1711.09846), appendix A.3: N steps with fixed learning
        rates, then N more in which they fall, exponentially to 1e-2 or linearly to 0. Here they
        change once in a step of the run, to the value at its beginning.
    """

    names: tuple[str, ...]
    hold: int
    fall: int
    to: float = 0.01
    shape: Literal["exponential", "linear"] = "exponential"

    def __post_init__(self) -> None:
        if not self.names or self.hold < 0 or self.fall < 1:
            raise ValueError(
                "an annealing needs names, a hold of at least 0 steps and a fall of at least 1, "
                f"got {self.names}, {self.hold} and {self.fall}"
            )
        if self.shape not in ("exponential", "linear"):
            raise ValueError(f"shape must be exponential or linear, got {self.shape!r}")
        if not 0 <= self.to <= 1 or (self.to == 0 and self.shape == "exponential"):
            raise ValueError(
                f"to must be in [0, 1], and above 0 for an exponential fall, got {self.to}"
            )

    def __call__(self, start: Hypers, step: int) -> Hypers:
        share = min(max(step - self.hold, 0) / self.fall, 1.0)
        factor = self.to**share if self.shape == "exponential" else 1 + share * (self.to - 1)
        return {**start, **{name: float(start[name]) * factor for name in self.names}}
