"""Run directories, as figures and tables need them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from core.member import rank
from core.population import Population
from core.record import Record
from core.run import RunError, read_info

NEVER = "core.strategies:never"  # the ready rule of random search
RULES = ("ready", "exploit", "explore", "inherit", "rescues")  # all else is the same in a baseline


@dataclass(frozen=True, slots=True)
class RunData:
    """A run, read: its settings, and the records of each member, oldest first."""

    path: Path
    preset: str  # such as "tasks.gan.presets:digits"
    settings: Mapping[str, object]
    code: str
    histories: Sequence[Sequence[Record]]

    @property
    def name(self) -> str:
        """The preset's function, such as "digits"."""
        return self.preset.rpartition(":")[2]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return cast(int, self.settings["seed"])

    @property
    def steps(self) -> int:
        """How many steps each member is to train for."""
        return cast(int, self.settings["steps"])

    @property
    def score(self) -> str:
        """What the score is, with its unit."""
        return str(cast(Mapping[str, object], self.settings["task"])["score"])

    @property
    def hypers(self) -> list[str]:
        """The names of the hyperparameters."""
        task = cast(Mapping[str, Mapping[str, Mapping[str, object]]], self.settings["task"])
        return list(task["space"]["priors"])

    @property
    def is_baseline(self) -> bool:
        """Whether nobody is ever ready: random search, or fixed values."""
        return self.settings["ready"] == NEVER

    def is_baseline_of(self, other: "RunData") -> bool:
        """Whether it differs from `other` in nothing but that nobody is ever ready."""
        mine = {key: value for key, value in self.settings.items() if key not in RULES}
        theirs = {key: value for key, value in other.settings.items() if key not in RULES}
        return self.is_baseline and not other.is_baseline and mine == theirs

    def best(self) -> Record:
        """Return the last record of the member whose last score is best: the result of the run."""
        return min(
            (history[-1] for history in self.histories), key=lambda record: rank(record.member)
        )


def read_runs(paths: Sequence[Path]) -> list[RunData]:
    """Read run directories; what lies beside one for its jobs, as RUN.slurm, is passed over.

    Raises:
        RunError: one of them is none, has published nothing, or has a record that is unreadable.
    """
    beside = [p for p in paths if p.suffix == ".slurm" and not (p / "run.json").exists()]
    return [_read(path) for path in paths if path not in beside]


def _read(path: Path) -> RunData:
    info = read_info(path)
    problems: list[str] = []
    population = Population(path, warn=problems.append)
    settings = cast(Mapping[str, object], info["settings"])
    histories = [population.history(id) for id in range(cast(int, settings["members"]))]
    if problems:
        raise RunError(f"{path} has unreadable records: {problems[0]}")
    if not all(histories):
        raise RunError(f"{path} is not ready to be drawn: some members have published nothing yet")
    return RunData(path, str(info["preset"]), settings, str(info["code"]), histories)


def trained(history: Sequence[Record]) -> list[Record]:
    """Return the record with which a member came to each step, before any decision there."""
    first: dict[int, Record] = {}
    for record in history:
        if record.member.step > 0:
            first.setdefault(record.member.step, record)
    return list(first.values())


def decided(history: Sequence[Record]) -> list[Record]:
    """Return the record with which a member left each step, after any copy there."""
    return list({record.member.step: record for record in history}.values())
