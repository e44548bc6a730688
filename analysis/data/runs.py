"""Read run directories for figures and tables."""

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

# a baseline differs from its run in these settings alone
RULES = ("ready", "exploit", "explore", "inherit", "rescues", "schedule")
STUDY = "study.json"  # a directory that holds it is a study


@dataclass(frozen=True, slots=True)
class RunData:
    """A run that was read: its settings, and its records as columns.

    path: its directory.
    preset: such as "tasks.gan.presets:digits".
    settings: as run.json has them.
    code: the version of the code.
    columns: all records.
    last: the last record by member, with report and error; without members that have no record.
    problems: a sentence about each part that is unreadable; figures are drawn without these parts.
    origin: the rest of run.json: versions, host, machine, when it began.
    id: the identity of the run; a copy of its directory has the same one, no other run has.
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
        """The preset's function, such as "digits", or the arm; "replay of ..." for a replay."""
        function = self.preset.rpartition(":")[2].rpartition("[")[2].removesuffix("]")
        return f"replay of {function}" if self.is_replay else function

    @property
    def seed(self) -> int:
        """The seed of the run."""
        return self.settings.seed

    @property
    def members(self) -> int:
        """The number of members, including those that have published nothing."""
        return self.settings.members

    @property
    def steps(self) -> int:
        """The number of steps that each member trains for."""
        return self.settings.steps

    @property
    def score(self) -> str:
        """The name of the score, with its unit."""
        return self.settings.score

    @property
    def hypers(self) -> list[str]:
        """The names of the hyperparameters."""
        return list(self.settings.priors)

    @property
    def is_baseline(self) -> bool:
        """Whether no member is ever ready or replays a run: random search, fixed, annealed."""
        return self.settings.is_baseline

    @property
    def is_replay(self) -> bool:
        """Whether all members follow a schedule that another run found."""
        return self.settings.is_replay

    def is_baseline_of(self, other: "RunData", *, any_seed: bool = False) -> bool:
        """Whether this run is `other`, but no member is ever ready.

        Args:
            any_seed: whether the seeds may differ.
        """
        apart = (*RULES, "seed") if any_seed else RULES
        return self.is_baseline and not other.is_baseline and not self.different(other, apart)

    def different(self, other: "RunData", apart: Sequence[str] = ()) -> list[str]:
        """Return the settings in which two runs differ, without those in `apart`."""
        names = {*self.settings, *other.settings}.difference(apart)
        return sorted(n for n in names if self.settings.get(n) != other.settings.get(n))

    @property
    def idle(self) -> str:
        """Sentences for a PBT run in which no member copied another; "" for any other run."""
        if self.is_baseline or self.is_replay or self.columns.copied.any():
            return ""
        decisions = int(self.columns.decided.sum())
        then = f"{'' if self.is_done else 'So far '}it is a random search."
        then = then[0].upper() + then[1:]
        if not decisions:
            why = f"no member was ever ready (ready={said(self.settings['ready'])})"
            return f"No member copied another in {self.path}: {why}. {then}"
        times = f"each of the {decisions:,} decisions" if decisions > 1 else "the one decision"
        return f"No member copied another in {self.path}: {times} was to stay. {then}"

    @property
    def silent(self) -> list[int]:
        """The members that have published nothing."""
        return [id for id in range(self.members) if id not in self.last]

    @property
    def late(self) -> list[int]:
        """The members with steps or a decision left, without the silent ones."""
        ends = ((id, record.member) for id, record in self.last.items())
        return [id for id, me in ends if me.step < self.steps or me.waiting]

    @property
    def trained(self) -> int:
        """The steps that all members have trained, summed."""
        return sum(record.member.step for record in self.last.values())

    @property
    def is_done(self) -> bool:
        """Whether every member has done its last step and decided there."""
        return not self.silent and not self.late

    @property
    def state(self) -> str:
        """Why the run is incomplete, as a phrase; empty if it is complete."""
        said = []
        if not self.is_done:
            said.append(f"not done: {self.trained} of {self.members * self.steps} steps")
        if self.silent:
            missing = f"{len(self.silent)} of {self.members} members"
            said.append(f"without {missing}, which have published nothing")
        if self.problems:
            said.append(f"without what is unreadable ({len(self.problems)} records or files)")
        if lost := int(self.columns.origin_lost.sum()):
            said.append(f"without the donor's record of {lost} copies")
        return "; ".join(said)

    def best(self) -> Record:
        """Return the result of the run: the last record of the member with the best last score."""
        return self.last[int(self.columns.member[self.columns.best()])]

    def result(self, number: str | None = None) -> float:
        """Return the last score of the best member, or a number that it reported with it.

        This is never the best reported number. NaN if this member did not report it then.

        Raises:
            RunError: no member has ever reported such a number.
        """
        columns = self.columns
        if number is not None and number not in columns.report:
            there = ", ".join(columns.report) or "nothing"
            raise RunError(f"{self.path} reports no {number!r}; it reports {there}")
        return float((columns.score if number is None else columns.report[number])[columns.best()])

    def history(self, member: int) -> list[Record]:
        """Read the records of a member again; their reports and tracebacks are large."""
        return Members(self.path, lean=True).history(member)


def read_runs(paths: Sequence[Path]) -> list[RunData]:
    """Read run directories.

    Raises:
        RunError: one is not a run directory, or has published nothing.
    """
    return [read_run(path) for path in paths]


def read_run(
    path: Path,
    progress: Callable[[float], None] = lambda _: None,
    see: Callable[[Record], None] = lambda _: None,
) -> RunData:
    """Read one run directory, each record once.

    Args:
        progress: is called now and then with the share that has been read.
        see: is called with each record, member by member, for what the columns lack.

    Raises:
        RunError: it is not a run directory, or has published nothing.
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
    """Return the identity of a run: its id, or for an older run a digest of run.json."""
    if isinstance(found := info.get("id"), str):
        return found
    return hashlib.sha256(json.dumps(info, sort_keys=True).encode()).hexdigest()[:16]


def by_arm(runs: Sequence[RunData]) -> list[list[RunData]]:
    """Return the runs in groups that differ only in their seeds, in the order given."""
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
        ValueError: no run reports such a number; the message lists those that are reported.
    """
    there = dict.fromkeys(name for run in runs for name in run.columns.report)
    for name in names:
        if name not in there:
            said = ", ".join(there) or "nothing"
            raise ValueError(f"no run reports a number {name!r}; they report {said}")


def folders(runs: Sequence[RunData]) -> list[str]:
    """Return what to call each run: its folder, with as many above it as it takes to be unique.

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
    """Return a setting as code: a rule as a call, a function by its name."""
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
    """Return the content of a study's study.json.

    Raises:
        RunError: the file is missing or unreadable.
    """
    about = read_sealed(root / STUDY, "study")
    for name in ("arms", "seeds"):
        if not isinstance(about[name], list):
            raise RunError(f"{STUDY} has {about[name]!r} where a list is needed")
    return about


def runs_of_study(root: Path) -> dict[tuple[str, int], Path]:
    """Return the directory of each run of a study, by arm and seed; it need not exist yet.

    Raises:
        RunError: the directory is not a study.
    """
    about = read_study(root)
    arms, seeds = cast(Sequence[object], about["arms"]), cast(Sequence[object], about["seeds"])
    return {
        (str(arm), int(str(seed))): root / str(arm) / str(seed) for arm in arms for seed in seeds
    }
