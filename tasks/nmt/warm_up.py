"""The hand-made schedule of Transformers: warm up linearly, then fall with the root of time."""

from dataclasses import dataclass

from core import Hypers


@dataclass(frozen=True, slots=True)
class WarmUp:
    """A schedule by which `name` begins low, comes to its start, and falls.

    Args:
        name: the learning rate; what a member starts with is the highest value.
        steps: until it is reached.

    Source: Vaswani et al. 2017 (arXiv:1706.03762), section 5.3. There it changes with each update;
        here once in a step of the run, to the value at the middle of it.
    """

    name: str
    steps: float

    def __post_init__(self) -> None:
        if not self.steps > 0:
            raise ValueError(f"steps of a warm-up must be above 0, got {self.steps}")

    def __call__(self, start: Hypers, step: int) -> Hypers:
        passed = (step + 0.5) / self.steps
        return {**start, self.name: float(start[self.name]) * min(passed, passed**-0.5)}
