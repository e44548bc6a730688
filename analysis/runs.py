"""Run directories, as figures and tables need them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from analysis.columns import Columns, columns
from core.population import Population
from core.record import Record
from core.run import RunError, read_info

NEVER = "core.strategies:never"  # the ready rule of random search
RULES = ("ready", "exploit", "explore", "inherit", "rescues")  # all else is the same in a baseline


@dataclass(frozen=True, slots=True)
class RunData:
    """A run, read: its settings, and its records as columns.

    preset: such as "tasks.gan.presets:digits".
    last: by member, its last record, with report and error; members without any are not in it.
    problems: what could not be read, a sentence each; the figures are drawn without it.
    """

    path: Path
    preset: str
    settings: Mapping[str, object]
    code: str
    columns: Columns
    last: Mapping[int, Record]
    problems: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The preset's function, such as "digits"."""
        return self.preset.rpartition(":")[2]

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return cast(int, self.settings["seed"])

    @property
    def members(self) -> int:
        """How many members the run has, those included that have published nothing."""
        return cast(int, self.settings["members"])

    @property
    def steps(self) -> int:
        """How many steps each member is to train for."""
        return cast(int, self.settings["steps"])

    @property
    def score(self) -> str:
        """What the score is, with its unit."""
        return str(cast(Mapping[str, object], self.settings["task"])["score"])

    @property
    def priors(self) -> Mapping[str, Mapping[str, object]]:
        """The priors of the hyperparameters, by name, as the run's settings describe them."""
        task = cast(Mapping[str, Mapping[str, object]], self.settings["task"])
        return cast(Mapping[str, Mapping[str, object]], task["space"]["priors"])

    @property
    def hypers(self) -> list[str]:
        """The names of the hyperparameters."""
        return list(self.priors)

    @property
    def inherits(self) -> tuple[str, ...]:
        """What a copy takes: "weights", "hypers", both, or nothing."""
        return tuple(cast(Sequence[str], self.settings["inherit"]))

    @property
    def is_baseline(self) -> bool:
        """Whether nobody is ever ready: random search, or fixed values."""
        return self.settings["ready"] == NEVER

    def is_baseline_of(self, other: "RunData") -> bool:
        """Whether it differs from `other` in nothing but that nobody is ever ready."""
        mine = {key: value for key, value in self.settings.items() if key not in RULES}
        theirs = {key: value for key, value in other.settings.items() if key not in RULES}
        return self.is_baseline and not other.is_baseline and mine == theirs

    @property
    def is_done(self) -> bool:
        """Whether every member has come to its last step and decided there."""
        return len(self.last) == self.members and all(
            record.member.step >= self.steps and not record.member.waiting
            for record in self.last.values()
        )

    @property
    def state(self) -> str:
        """What is to be said of a run that is not whole, in a sentence; "" of one that is."""
        said = []
        if not self.is_done:
            done = sum(record.member.step for record in self.last.values())
            said.append(f"not done: {done} of {self.members * self.steps} steps")
        if missing := self.members - len(self.last):
            said.append(f"{missing} of {self.members} members have published nothing")
        if self.problems:
            said.append(f"{len(self.problems)} records or files cannot be read and are left out")
        return "; ".join(said)

    def best(self) -> Record:
        """Return the last record of the member whose last score is best: the result of the run."""
        return self.last[int(self.columns.member[self.columns.best()])]

    def history(self, member: int) -> list[Record]:
        """Return the records of a member, read once more: reports and tracebacks are large."""
        return Population(self.path, lean=True).history(member)


def read_runs(
    paths: Sequence[Path], progress: Callable[[float], None] = lambda _: None
) -> list[RunData]:
    """Read run directories; what lies beside one for its jobs, as RUN.slurm, is passed over.

    Args:
        progress: told now and then which share has been read.

    Raises:
        RunError: one of them is none, or has published nothing at all.
    """
    beside = [p for p in paths if p.suffix == ".slurm" and not (p / "run.json").exists()]
    wanted = [path for path in paths if path not in beside]
    return [
        _read(path, lambda done, i=i: progress((i + done) / len(wanted)))  # type: ignore[misc]
        for i, path in enumerate(wanted)
    ]


def _read(path: Path, progress: Callable[[float], None]) -> RunData:
    info = read_info(path)
    settings = cast(Mapping[str, object], info["settings"])
    members = cast(int, settings["members"])
    problems: list[str] = []
    last: dict[int, Record] = {}
    population = Population(path, warn=problems.append, lean=True)

    def histories() -> Iterator[Sequence[Record]]:
        for id in range(members):
            said = len(problems)
            history = population.history(id)
            if history:
                last[id] = history[-1]
                lost = history[-1].member.n + 1 - len(history)
                if lost and len(problems) == said:  # else the reason has been given
                    problems.append(f"{path}: {lost} records of member {id} are not there")
            yield history
            progress((id + 1) / members)

    weights = "weights" in cast(Sequence[str], settings["inherit"])
    found = columns(histories(), weights=weights)
    if not last:
        raise RunError(f"{path} is not ready to be drawn: no member has published anything yet")
    return RunData(path, str(info["preset"]), settings, str(info["code"]), found, last, problems)
