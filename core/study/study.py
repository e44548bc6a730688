"""A study: named runs that are to be compared, each with the same seeds, worked on as one.

    OUT/study.json          preset, seeds, baseline, what distinguishes the arms
    OUT/<arm>/<seed>/       a run directory like any other

Its workers are like those of a run: each takes the run that is not done and has the fewest of
them, works on it until it is done, and takes the next. So what was interrupted is resumed, and
workers may come and go.
"""

import itertools
import math
import os
import re
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from core.directory.anew import clear, is_untouched
from core.directory.files import Files
from core.directory.lease import FREE, read_lease
from core.directory.members import Members
from core.directory.run import (
    Run,
    RunError,
    check_rules,
    code_version,
    differences,
    open_run,
    read_info,
    read_sealed,
    resolve_any,
)
from core.directory.sealed import FORMAT, seal
from core.rules import RuleError
from core.settings import PBT
from core.status.places import STUDY as FILE
from core.status.progress import View
from core.study.found_schedule import Along, schedule_of
from core.task import TaskError
from core.workers.blame import AllFailed
from core.workers.worker import work

Level = str | float  # what an arm has on an axis, as a table shows it
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
WAIT = 1.0  # seconds before one looks again, if all that is left waits for another run
TAKEN = (FILE, "workers")  # names in the directory of a study that are not of an arm


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """An arm that trains along what the winner of another arm, with the same seed, has found.

    of: the other arm. use: its "schedule", or its "final" values from the start (the paper's figure
    5 d). along: the lineage of the winner's weights, or what its member itself did.
    members: how many train along it, each from a start of its own; None for as many as `of` has,
        which makes the budgets equal.
    """

    of: str
    use: Literal["schedule", "final"] = "schedule"
    along: Along = "lineage"
    members: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """Runs to be compared. A preset is a function that returns one.

    arms: by name. seeds: of every arm. baseline: the arm that the others are measured against.
    levels: of each arm, by axis, what it has there: {"truncation-8": {"exploit": "truncation",
        "members": 8}}; for tables and for the interaction of two axes.

    Raises:
        ValueError: names or numbers that cannot be used, each named.
    """

    arms: Mapping[str, PBT | Replay]
    seeds: Sequence[int]
    baseline: str = ""
    levels: Mapping[str, Mapping[str, Level]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, arm in self.arms.items():
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise ValueError(f"{name!r} is no name for an arm: letters, digits, _ . + - only")
            if name.lower() in TAKEN:
                raise ValueError(f"{name!r} is no name for an arm: a study has a {name} of its own")
            if not isinstance(arm, PBT | Replay):
                hint = f": give {name}=... the run, not its preset" if callable(arm) else ""
                raise ValueError(f"arm {name} is {arm!r}, and no PBT or Replay{hint}")
            if isinstance(arm, Replay) and not isinstance(self.arms.get(arm.of), PBT):
                raise ValueError(f"arm {name} replays {arm.of!r}, which is no arm that finds one")
        if not self.arms or not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"a study needs arms, and seeds each once; got {list(self.seeds)}")
        for name in [*self.levels, *filter(None, [self.baseline])]:
            if name not in self.arms:
                raise ValueError(f"there is no arm {name!r}; there are {', '.join(self.arms)}")


def grid(
    base: PBT, **axes: Mapping[str, object]
) -> tuple[dict[str, PBT], dict[str, dict[str, Level]]]:
    """Return an arm for each combination of the axes, and its levels.

    Args:
        axes: by the name of a setting of PBT, its values by what to call them:
            exploit={"truncation": Truncation(0.2), "tournament": binary_tournament}.

    Source: the paper's section 4.4 varies one axis at a time; so does a grid with one axis.
    """
    arms: dict[str, PBT] = {}
    levels: dict[str, dict[str, Level]] = {}
    for names in itertools.product(*axes.values()):
        chosen = dict(zip(axes, names, strict=True))
        name = "-".join(str(level) for level in names)
        values = {axis: axes[axis][level] for axis, level in chosen.items()}
        arms[name] = replace(base, **values)  # type: ignore[arg-type]  # checked by PBT itself
        levels[name] = {axis: _level(level) for axis, level in chosen.items()}
    return arms, levels


def _level(text: str) -> Level:
    try:
        return float(text) if math.isfinite(float(text)) else text
    except ValueError:
        return text


# ------------------------------------------------------------------------- the directory


def resolve_study(name: str) -> Study:
    """Return the study that the preset `module:function` describes; raise RunError if none."""
    found = resolve_any(name)
    if not isinstance(found, Study):
        raise RunError(f"{name} returned a {type(found).__name__}, where a study returns a Study")
    return found


def open_study(
    root: Path, preset: str | None = None, seeds: Sequence[int] | None = None
) -> "StudyDirectory":
    """Begin a study in a directory, or go on with the one that is there.

    Args:
        preset: what to study; None for what the directory says.
        seeds: others than the study's own; more of them than before may be given later.

    Raises:
        RunError: the directory is something else, or holds a study with other arms.
    """
    root = Path(os.path.abspath(root))
    path = root / FILE
    if preset is None or path.exists():
        info = read_sealed(path, "study")
        untouched = preset is not None and all(map(is_untouched, root.glob("*/*/")))
        if preset not in (None, info["preset"]) and not untouched:
            raise RunError(f"{root} holds a study of {info['preset']}, not of {preset}")
        preset = preset or str(info["preset"])
    study = resolve_study(preset)
    if not path.exists():
        for name, arm in study.arms.items():  # a broken rule is found before the others are trained
            if isinstance(arm, PBT):
                check_rules(f"{preset}[{name}]", arm)
    if seeds is not None:
        study = replace(study, seeds=tuple(seeds))
    about = {
        "preset": preset,
        "baseline": study.baseline,
        "arms": list(study.arms),
        "levels": {name: dict(levels) for name, levels in study.levels.items()},
        "replays": {n: arm.of for n, arm in study.arms.items() if isinstance(arm, Replay)},
    }
    if path.exists():
        said = read_sealed(path, "study")
        different = differences({key: said[key] for key in about}, about)
        if different and all(map(is_untouched, root.glob("*/*/"))):
            for folder in root.glob("*/*/"):  # nothing is trained in any of its runs
                clear(folder)
                (folder / "run.json").unlink(missing_ok=True)
            _write(root, about | {"seeds": list(study.seeds)})
            return StudyDirectory(root, preset, code_version(), study)
        if different:
            raise RunError(
                f"{root} holds another study, and stays as it is:\n  " + "\n  ".join(different)
            )
        known = [int(str(seed)) for seed in said["seeds"]]  # type: ignore[attr-defined]
        wanted = known if seeds is None else sorted({*known, *study.seeds})
        if wanted != known:
            _write(root, about | {"code": said["code"], "seeds": wanted})
        return StudyDirectory(root, preset, str(said["code"]), replace(study, seeds=tuple(wanted)))
    root.mkdir(parents=True, exist_ok=True)
    if strange := sorted(name for name in os.listdir(root) if not name.endswith(".tmp")):
        raise RunError(f"{root} is not a study: it has no {FILE}, but holds {strange[0]!r}")
    _write(root, about | {"seeds": list(study.seeds)})
    return StudyDirectory(root, preset, code_version(), study)


def _write(root: Path, about: Mapping[str, object]) -> None:
    info = {"format": FORMAT, "code": code_version()} | dict(about)
    Files().replace(root / FILE, seal(info))


@dataclass(slots=True)
class StudyDirectory:
    """A study in its directory."""

    root: Path
    preset: str
    code: str
    study: Study
    _views: dict[Path, View] = field(default_factory=dict)
    _done: set[Path] = field(default_factory=set)

    def places(self) -> Iterator[tuple[str, int, Path]]:
        """Yield arm, seed and directory of each run: all arms of a seed before the next seed."""
        for seed in self.study.seeds:
            for name in self.study.arms:
                yield name, seed, self.root / name / str(seed)

    def begin(self, name: str, seed: int) -> Run | None:
        """Return a run, begun if it was not; None for a replay of what is not done yet."""
        arm, root = self.study.arms[name], self.root / name / str(seed)
        if isinstance(arm, PBT):
            return open_run(root, f"{self.preset}[{name}]", {"seed": seed})
        if (root / "run.json").exists():
            return open_run(root)
        source = self.root / arm.of / str(seed)
        if not self.is_done(source):
            return None
        found = open_run(source)
        schedule = schedule_of(found, along=arm.along)
        chosen = schedule.final() if arm.use == "final" else schedule
        overrides = {
            "seed": seed,
            "members": arm.members or found.pbt.members,
            "schedule": chosen.as_override(),
        }
        return open_run(root, f"{self.preset}[{arm.of}]", overrides)

    def view(self, root: Path) -> View | None:
        """Return a run as it is seen from outside; None if it was not begun."""
        if root not in self._views:
            try:
                self._views[root] = View(root, read_info(root))
            except RunError:
                return None
        return self._views[root]

    def is_done(self, root: Path) -> bool:
        """Whether a run is done; what was done once is."""
        if root not in self._done:
            view = self.view(root)
            if view is not None and view.is_done(view.rows()):
                self._done.add(root)
        return root in self._done

    def budget(self, name: str) -> int:
        """Return the steps of all members of a run of an arm."""
        return self.members(name) * self._source(name).steps

    def members(self, name: str) -> int:
        """Return how many members a run of an arm has."""
        arm = self.study.arms[name]
        given = arm.members if isinstance(arm, Replay) else None
        return given or self._source(name).members

    def _source(self, name: str) -> PBT:
        arm = self.study.arms[name]
        source = self.study.arms[arm.of] if isinstance(arm, Replay) else arm
        assert isinstance(source, PBT), "checked by Study"
        return source


def busy(root: Path, members: int) -> int:
    """Return how many members of a run somebody trains now."""
    population = Members(root)
    held = (read_lease(population.folder(id)) for id in range(members))
    return sum(lease is not None and lease.holder != FREE for lease in held)


def work_study(
    study: StudyDirectory,
    on: Callable[[Run], bool] = work,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Be a worker of a study until all of its runs are done, or until told to stop.

    Args:
        on: works on one run until it is done, and says whether it is; as `work` of a worker does.
        stop: asked between runs.

    Returns:
        Whether all runs are done.

    Raises:
        AllFailed, RuleError, TaskError: a run that cannot go on; after all others are done.
    """
    broken: dict[Path, Exception] = {}
    while not stop():
        run = _next(study, broken)
        if run is None:
            if all(study.is_done(root) or root in broken for _, _, root in study.places()):
                break
            if broken and not any(_moves(study, root) for _, _, root in study.places()):
                break  # what is left replays a run that cannot go on
            time.sleep(WAIT)  # others train what these replay
            continue
        try:
            if not on(run) and not stop():
                return False  # its time is over
        except (AllFailed, RuleError, TaskError) as error:
            broken[run.root] = error
    if broken and not stop():
        raise next(iter(broken.values()))
    return not stop() or all(study.is_done(root) for _, _, root in study.places())


def _next(study: StudyDirectory, broken: Container[Path]) -> Run | None:
    """Return the run that is not done and has the fewest workers; None if there is none."""
    best: tuple[int, Run] | None = None
    for name, seed, root in study.places():
        if root in broken or study.is_done(root):
            continue
        run = study.begin(name, seed)
        if run is None:
            continue
        workers = busy(run.root, run.pbt.members)
        if best is None or workers < best[0]:
            best = workers, run
        if not workers:
            break
    return None if best is None else best[1]


def _moves(study: StudyDirectory, root: Path) -> bool:
    """Whether somebody works on a run."""
    view = study.view(root)
    return view is not None and busy(root, view.members) > 0
