"""Run directories, as figures and tables need them."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from analysis.data.columns import Columns, columns
from analysis.data.names import file_name
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import RunError, read_info, read_sealed
from core.directory.settings_file import Settings

# all else is the same in a baseline
RULES = ("ready", "exploit", "explore", "inherit", "rescues", "schedule")
STUDY = "study.json"  # what a directory is a study by


@dataclass(frozen=True, slots=True)
class RunData:
    """A run, read: its settings, and its records as columns.

    preset: such as "tasks.gan.presets:digits".
    last: by member, its last record, with report and error; members without any are not in it.
    problems: what could not be read, a sentence each; the figures are drawn without it.
    origin: what else run.json says: versions, host, machine, when it began.
    id: what a copy of its directory has, too, and no other run.
    """

    path: Path
    preset: str
    settings: Settings
    code: str
    columns: Columns
    last: Mapping[int, Record]
    problems: Sequence[str] = ()
    origin: Mapping[str, object] = field(default_factory=dict)
    id: str = ""

    @property
    def name(self) -> str:
        """The preset's function, as "digits", or the arm of a study; of a replay, that it is."""
        function = self.preset.rpartition(":")[2].rpartition("[")[2].removesuffix("]")
        return f"replay of {function}" if self.is_replay else function

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.settings.seed

    @property
    def members(self) -> int:
        """How many members the run has, those included that have published nothing."""
        return self.settings.members

    @property
    def steps(self) -> int:
        """How many steps each member is to train for."""
        return self.settings.steps

    @property
    def score(self) -> str:
        """What the score is, with its unit."""
        return self.settings.score

    @property
    def hypers(self) -> list[str]:
        """The names of the hyperparameters."""
        return list(self.settings.priors)

    @property
    def is_baseline(self) -> bool:
        """Whether nobody is ever ready, nor replays another run: random search, fixed, annealed."""
        return self.settings.is_baseline

    @property
    def is_replay(self) -> bool:
        """Whether all go along what another run has found; a rule of one's own is none."""
        return self.settings.is_replay

    def is_baseline_of(self, other: "RunData", *, any_seed: bool = False) -> bool:
        """Whether it differs from `other` in nothing but that nobody is ever ready.

        Args:
            any_seed: it may also be the baseline of another seed of `other`.
        """
        apart = (*RULES, "seed") if any_seed else RULES
        return self.is_baseline and not other.is_baseline and not self.different(other, apart)

    def different(self, other: "RunData", apart: Sequence[str] = ()) -> list[str]:
        """Return the settings in which two runs differ, but for those that are `apart`."""
        names = {*self.settings, *other.settings}.difference(apart)
        return sorted(n for n in names if self.settings.get(n) != other.settings.get(n))

    @property
    def idle(self) -> str:
        """What is to be said of PBT in which nobody copied anybody; "" of any other run."""
        if self.is_baseline or self.is_replay or self.columns.copied.any():
            return ""
        decisions = int(self.columns.decided.sum())
        then = f"{'' if self.is_done else 'So far '}it is a random search."
        then = then[0].upper() + then[1:]
        if not decisions:
            why = f"nobody was ever ready (ready={said(self.settings['ready'])})"
            return f"Nobody copied anybody in {self.path}: {why}. {then}"
        times = f"each of the {decisions:,} decisions" if decisions > 1 else "the one decision"
        return f"Nobody copied anybody in {self.path}: {times} was to stay. {then}"

    @property
    def silent(self) -> list[int]:
        """The members that have published nothing."""
        return [id for id in range(self.members) if id not in self.last]

    @property
    def late(self) -> list[int]:
        """The members that have steps to go, or a decision; the silent ones are not among them."""
        ends = ((id, record.member) for id, record in self.last.items())
        return [id for id, me in ends if me.step < self.steps or me.waiting]

    @property
    def trained(self) -> int:
        """The steps that all members have behind them."""
        return sum(record.member.step for record in self.last.values())

    @property
    def is_done(self) -> bool:
        """Whether every member has come to its last step and decided there."""
        return not self.silent and not self.late

    @property
    def state(self) -> str:
        """What is to be said of a run that is not whole, after "it is"; "" of one that is."""
        said = []
        if not self.is_done:
            said.append(f"not done: {self.trained} of {self.members * self.steps} steps")
        if self.silent:
            missing = f"{len(self.silent)} of {self.members} members"
            said.append(f"without {missing}, which have published nothing")
        if self.problems:
            said.append(f"without what cannot be read ({len(self.problems)} records or files)")
        if lost := int(self.columns.origin_lost.sum()):
            said.append(f"without the record that was copied in {lost} of its copies")
        return "; ".join(said)

    def best(self) -> Record:
        """Return the last record of the member whose last score is best: the result of the run."""
        return self.last[int(self.columns.member[self.columns.best()])]

    def result(self, number: str | None = None) -> float:
        """Return the last score of the best member, or a number that it reported with it.

        Never the best of what was reported. NaN where this member did not report it then.

        Raises:
            RunError: nobody has ever reported such a number.
        """
        columns = self.columns
        if number is not None and number not in columns.report:
            there = ", ".join(columns.report) or "nothing"
            raise RunError(f"{self.path} reports no {number!r}; it reports {there}")
        return float((columns.score if number is None else columns.report[number])[columns.best()])

    def history(self, member: int) -> list[Record]:
        """Return the records of a member, read once more: reports and tracebacks are large."""
        return Members(self.path, lean=True).history(member)


def read_runs(paths: Sequence[Path]) -> list[RunData]:
    """Read run directories.

    Raises:
        RunError: one of them is none, or has published nothing at all.
    """
    return [read_run(path) for path in paths]


def read_run(
    path: Path,
    progress: Callable[[float], None] = lambda _: None,
    see: Callable[[Record], None] = lambda _: None,
) -> RunData:
    """Read one run directory, each record once.

    Args:
        progress: told now and then which share has been read.
        see: given each record, member by member, for what is not in the columns.

    Raises:
        RunError: it is none, or has published nothing at all.
    """
    info = read_info(path)
    settings = Settings(cast(Mapping[str, object], info["settings"]))
    members = settings.members
    problems: list[str] = []
    last: dict[int, Record] = {}
    population = Members(path, warn=problems.append, lean=True)

    def histories() -> Iterator[Sequence[Record]]:
        for id in range(members):
            said = len(problems)
            history = population.history(id)
            for record in history:
                see(record)
            if history:
                last[id] = history[-1]
                lost = history[-1].member.n + 1 - len(history)
                if lost and len(problems) == said:  # else the reason has been given
                    problems.append(f"{path}: {lost} records of member {id} are not there")
            yield history
            progress((id + 1) / members)

    found = columns(histories(), weights="weights" in settings.inherit)
    if not last:
        raise RunError(f"{path} has nothing to show: no member has published anything yet")
    return RunData(
        path,
        str(info["preset"]),
        settings,
        str(info["code"]),
        found,
        last,
        problems,
        {name: value for name, value in info.items() if name not in ("preset", "settings", "code")},
        identity(info),
    )


def identity(info: Mapping[str, object]) -> str:
    """Return what tells a run from all others: its id, or of an older run a digest of run.json."""
    if isinstance(found := info.get("id"), str):
        return found
    return hashlib.sha256(json.dumps(info, sort_keys=True).encode()).hexdigest()[:16]


def by_arm(runs: Sequence[RunData]) -> list[list[RunData]]:
    """Return the runs in groups that differ in nothing but their seeds, in the order given."""
    groups: list[list[RunData]] = []
    for run in runs:
        for group in groups:
            if group[0].preset == run.preset and not run.different(group[0], ("seed",)):
                group.append(run)
                break
        else:
            groups.append([run])
    return [sorted(group, key=lambda run: run.seed) for group in groups]


def check_reported(runs: Sequence[RunData], names: Sequence[str]) -> None:
    """Refuse the name of a number that no run reports.

    Raises:
        ValueError: one is not there; the message says what is.
    """
    there = dict.fromkeys(name for run in runs for name in run.columns.report)
    for name in names:
        if name not in there:
            said = ", ".join(there) or "nothing"
            raise ValueError(f"no run reports a number {name!r}; they report {said}")


def folders(runs: Sequence[RunData]) -> list[str]:
    """Return what to call each run: its folder, and as many above it as tell the runs apart.

    Raises:
        ValueError: a run is given twice.
    """
    paths = [run.path.resolve() for run in runs]
    if twice := next((path for path in paths if paths.count(path) > 1), None):
        raise ValueError(f"{twice} is given twice: so would its figures be")
    for depth in range(1, max((len(path.parts) for path in paths), default=1) + 1):
        names = ["-".join(path.parts[-depth:]).strip("/") for path in paths]
        if len({file_name(name).casefold() for name in names}) == len(names):
            return names
    return [f"{name} {place}" for place, name in enumerate(names, start=1)]


def said(value: object) -> str:
    """Return a setting as a person would write it: a rule as a call, a function by its name."""
    if isinstance(value, Mapping):
        what = value.get("is")  # (a hyperparameter may have this name, too)
        is_call = isinstance(what, str) and (":" in what or what == "partial")
        rest = ", ".join(f"{k}={said(v)}" for k, v in value.items() if k != "is" or not is_call)
        return f"{str(what).rpartition(':')[2]}({rest})" if is_call else f"{{{rest}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(said, value))}]"
    if isinstance(value, float):
        return f"{value:.6g}"
    text = str(value)
    return text.removeprefix("core:")  # what a user imports of `core` needs no more than its name


# ----------------------------------------------------------------------------- studies


def read_study(root: Path) -> Mapping[str, object]:
    """Return what the study.json of a study says.

    Raises:
        RunError: there is none, or it cannot be read.
    """
    about = read_sealed(root / STUDY, "study")
    for name in ("arms", "seeds"):
        if not isinstance(about[name], list):
            raise RunError(f"{STUDY} has {about[name]!r} where a list is needed")
    return about


def runs_of_study(root: Path) -> dict[tuple[str, int], Path]:
    """Return where each run of a study is, or is to be, by arm and seed.

    Raises:
        RunError: it is no study.
    """
    about = read_study(root)
    arms, seeds = cast(Sequence[object], about["arms"]), cast(Sequence[object], about["seeds"])
    return {
        (str(arm), int(str(seed))): root / str(arm) / str(seed) for arm in arms for seed in seeds
    }
