"""The settings of a run as run.json has them, for code that reads a run and does not train it.

A reader asks here what a run is, and never looks at how a rule or a prior is spelled.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from core.directory.described import name_of
from core.space import Fixed, LogUniform
from core.strategies.ready import never


@dataclass(frozen=True, slots=True)
class Settings(Mapping[str, object]):
    """A described `PBT` (core/directory/described.py): a mapping, and what follows from it.

    described: by the name of a setting, its value as JSON.
    """

    described: Mapping[str, object]

    def __getitem__(self, name: str) -> object:
        return self.described[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.described)

    def __len__(self) -> int:
        return len(self.described)

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return cast(int, self["seed"])

    @property
    def members(self) -> int:
        """The size of the population."""
        return cast(int, self["members"])

    @property
    def steps(self) -> int:
        """How many steps each member is trained for."""
        return cast(int, self["steps"])

    @property
    def score(self) -> str:
        """What the score is, with its unit."""
        return str(cast(Mapping[str, object], self["task"])["score"])

    @property
    def priors(self) -> Mapping[str, Mapping[str, object]]:
        """The prior of each hyperparameter, described."""
        task = cast(Mapping[str, Mapping[str, object]], self["task"])
        return cast(Mapping[str, Mapping[str, object]], task["space"]["priors"])

    @property
    def inherit(self) -> tuple[str, ...]:
        """What a copy takes: "weights", "hypers", both, or nothing."""
        return tuple(cast(Sequence[str], self["inherit"]))

    @property
    def is_replay(self) -> bool:
        """Whether all members follow one schedule that another run has found."""
        schedule = self.get("schedule")  # of a rule such as Anneal, its name or its settings
        return isinstance(schedule, list) and schedule != []

    @property
    def is_baseline(self) -> bool:
        """Whether no member is ever ready, and none follows another run: random search, say."""
        return self.get("ready") == name_of(never) and not self.is_replay

    @property
    def is_search(self) -> bool:
        """Whether each member goes on with the hyperparameters that it started with."""
        return self.is_baseline and not self.get("schedule")

    def is_logarithmic(self, hyper: str) -> bool:
        """Whether the prior of a hyperparameter is uniform in its logarithm."""
        return self.priors[hyper].get("is") == name_of(LogUniform)

    def is_fixed(self, hyper: str) -> bool:
        """Whether a hyperparameter has one value, which no rule explores."""
        return self.priors[hyper].get("is") == name_of(Fixed)
