"""From the paths of a command line to run directories: runs, studies and folders of runs."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from analysis.data.names import some
from analysis.data.runs import STUDY, RunData, by_arm, read_run, runs_of_study
from core.directory.run import RunError
from core.status.places import DEPTH, runs_in

MOST = 8  # arms that a sentence names

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """A run directory that a command is about.

    path: where it is.
    within: the study or the folder that was given instead of it; None if it was given itself.
    """

    path: Path
    within: Path | None = None


def note(sentence: str) -> None:
    """Print a sentence to stderr."""
    print(f"note: {sentence}", file=sys.stderr)


def run_directories(paths: Sequence[Path], say: Say = lambda _: None) -> list[Place]:
    """Return the runs at some paths, without the folders that jobs keep beside a run (RUN.slurm).

    Args:
        say: is called with a sentence about each part of a study that is missing.

    Raises:
        RunError: a path is neither a run nor a study, and there is no run in it.
    """
    found: list[Place] = []
    for path in paths:
        if (path / "run.json").exists():
            found.append(Place(path))
        elif path.suffix != ".slurm" or runs_in(path):
            found += [Place(run, path) for run in _inside(path, say)]
    given = {place.path.resolve() for place in found if place.within is None}
    kept: dict[object, Place] = {}  # what a glob and a folder both name is meant once
    for i, place in enumerate(found):
        here = place.path.resolve()
        if place.within is None:
            kept[i] = place
        elif here not in given:
            kept.setdefault(here, place)
    return list(kept.values())


def _inside(path: Path, say: Say) -> list[Path]:
    found = runs_in(path)
    if (path / STUDY).exists():
        missing = [str(p) for p in runs_of_study(path).values() if p not in set(found)]
        if missing:
            what = "1 run has" if len(missing) == 1 else f"{len(missing)} runs have"
            say(f"of the study {path}, {what} not begun, left out here: {some(missing)}")
        if not found:
            raise RunError(f"{path} is a study of which no run has begun yet: nothing to show")
    if not found:
        raise RunError(_nothing(path))
    return found


def _nothing(path: Path) -> str:
    if not path.exists():
        return f"{path} is not a run directory: there is no such directory"
    for above in path.resolve().parents:
        if (above / "run.json").exists():
            return f"{path} is not a run directory: it lies in one; give {above}"
    return (
        f"{path} is not a run directory: it has no run.json, nor has any folder in it, "
        f"{DEPTH} levels deep; give the directory of a run, of a study, or a folder of runs"
    )


def read_places(
    places: Sequence[Place],
    say: Say,
    progress: Callable[[float], None] = lambda _: None,
) -> list[RunData]:
    """Read the runs of a command line.

    Args:
        say: is called with a sentence about each run of a study or folder that is left out.
        progress: is called now and then with the share that has been read.

    Raises:
        RunError: a run that was given itself is unreadable, or all others are.
    """
    found: list[RunData] = []
    for i, place in enumerate(places):

        def tell(done: float, i: int = i) -> None:
            progress((i + done) / len(places))

        try:
            found.append(read_run(place.path, tell))
        except RunError as error:
            if place.within is None:
                raise
            say(f"left out: {error}")
    if places and not found:
        within = some(list(dict.fromkeys(str(place.within) for place in places)))
        raise RunError(f"no run in {within} has published anything yet: nothing to show")
    return found


def one_arm(places: Iterable[Place], runs: Sequence[RunData]) -> None:
    """Refuse a study or a folder that holds several arms, and name the directories of each.

    Raises:
        ValueError: a study or a folder holds several arms, and one is needed.
    """
    given = list(dict.fromkeys(str(place.within) for place in places if place.within))
    groups = by_arm(runs)
    if given and len(groups) > 1:
        arms = list(dict.fromkeys(_directories(group, runs) for group in groups))
        raise ValueError(
            f"{some(given)} holds runs of {len(arms)} arms, and an arm is several seeds of one "
            f"run: give the runs of one, which are {'; or '.join(arms[:MOST])}"
            + ("; or others" if len(arms) > MOST else "")
        )


def _directories(group: Sequence[RunData], runs: Sequence[RunData]) -> str:
    """Return what to type for the runs of an arm: FOLDER/* where nothing else lies there."""
    folder = group[0].path.parent
    if (folder.parent / STUDY).exists():  # of which replays differ in more than their seed
        return f"{folder}/*"
    there = {run.path for run in runs if run.path.parent == folder}
    if there == {run.path for run in group} and len(there) > 1:
        return f"{folder}/*"
    return " ".join(str(run.path) for run in group)
