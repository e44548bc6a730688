"""Directories as a person names them: which runs are in one, and what to say where none is."""

import contextlib
import difflib
import os
import re
import shlex
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from core.directory.machine import STARTED_IN
from core.directory.run import OVERRIDES, RunError, read_sealed

STUDY = "study.json"  # what a directory is a study by
DEPTH = 3  # levels below a folder that are searched for runs: a folder of studies has so many
OURS = ("members", "workers", "weights")  # folders that hold no runs, and may hold very much
NAMED = 8  # runs that a sentence names


def shown(path: Path) -> str:
    """Return a path as one would type it here: relative if it lies below."""
    try:  # a preset may have changed the directory since the command was typed
        return str(path.absolute().relative_to(STARTED_IN or Path.cwd()))
    except (ValueError, OSError):  # it lies elsewhere; or the current directory was removed
        return str(path)


def typed(*words: str | Path) -> str:
    """Return a command of this program as one types it."""
    parts = [shown(word) if isinstance(word, Path) else word for word in words]
    return f"python -m {shlex.join(parts)}"


# ------------------------------------------------------------------------- what is there


def is_run(path: Path) -> bool:
    """Whether a directory holds a run."""
    return _holds(path, "run.json")


def is_study(path: Path) -> bool:
    """Whether a directory holds a study."""
    return _holds(path, STUDY)


def _holds(path: Path, name: str) -> bool:
    try:
        return (path / name).exists()
    except OSError:  # it is another user's, or too long for a name
        return False


def runs_in(path: Path) -> list[Path]:
    """Return the runs of a study that have begun, or those below a folder; of a run, itself.

    Links are not followed, and the folders of a run are not searched.
    """
    if is_run(path):
        return [path]
    if is_study(path):
        with contextlib.suppress(RunError):
            return [place for place in _runs_of_study(path) if is_run(place)]
    return sorted(_below(path, DEPTH), key=_natural)


def not_begun(path: Path) -> list[Path]:
    """Return the runs of a study that have not begun; none of what is no study."""
    with contextlib.suppress(RunError):
        return [place for place in _runs_of_study(path) if not is_run(place)]
    return []


def _runs_of_study(root: Path) -> list[Path]:
    said = read_sealed(root / STUDY, "study")
    arms, seeds = said.get("arms"), said.get("seeds")
    if not isinstance(arms, list) or not isinstance(seeds, list):
        return []
    names = [str(arm) for arm in arms if Path(str(arm)).name == str(arm)]
    return [root / name / str(seed) for name in names for seed in seeds if type(seed) is int]


def _below(folder: Path, levels: int) -> Iterator[Path]:
    for place in _folders(folder):
        if is_run(place):
            yield place
        elif levels > 1 and place.name not in OURS:
            yield from _below(place, levels - 1)


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return []
    return [folder / name for name in found if not name.startswith(".")]


def _natural(path: Path) -> list[tuple[bool, int, str]]:
    """Return what to sort by: seed 2 comes before seed 10."""
    words = re.split(r"(\d+)", str(path))
    return [(word.isdecimal(), int(word) if word.isdecimal() else 0, word) for word in words]


def study_of(run: Path) -> Path | None:
    """Return the study that a run belongs to."""
    root = run.absolute().parent.parent
    with contextlib.suppress(RunError):
        if is_study(root) and run.absolute() in _runs_of_study(root):
            return root
    return None


# ------------------------------------------------------------------------- what to type


def go_on(root: Path, info: Mapping[str, object]) -> str:
    """Return the command that goes on with a run on which nobody works.

    Args:
        info: the content of its run.json.
    """
    if (study := study_of(root)) is not None:
        return go_on_with_study(study)
    if _has_jobs(root):
        return typed("slurm", "status", root)
    preset, overrides = info.get("preset"), info.get("overrides")
    if not isinstance(preset, str) or not isinstance(overrides, dict):
        return typed("core", "work", root)
    if not set(overrides) <= set(OVERRIDES):  # the schedule of a replay cannot be typed
        return typed("core", "work", root)
    words = [word for name in OVERRIDES if name in overrides for word in _option(name, overrides)]
    return typed("core", "run", preset, "--out", root, *words)


def _option(name: str, overrides: Mapping[str, object]) -> tuple[str, str]:
    return f"--{name}", str(overrides[name])


def go_on_with_study(root: Path) -> str:
    """Return the command that goes on with a study."""
    if _has_jobs(root):
        return typed("slurm", "status", root)
    preset = read_sealed(root / STUDY, "study").get("preset")
    return typed("core", "study", str(preset), "--out", root)


def _has_jobs(root: Path) -> bool:
    """Whether jobs were submitted for it: that these wait is no reason to work on a login node."""
    return root.with_name(root.name + ".slurm").is_dir()


# ------------------------------------------------------------------------- what is wrong


def one_run(path: Path, command: str) -> Path:
    """Return a directory that must be a run; raise RunError, with the runs there are, if not.

    Args:
        command: what needs one run, such as "schedule".
    """
    if is_run(path):
        return path
    raise _not_one(path, command)


def _not_one(path: Path, command: str) -> RunError:
    found, kind = runs_in(path), "a study" if is_study(path) else "a folder of runs"
    if found:
        return RunError(
            f"{shown(path)} is {kind}; its runs are: {_named(found)}. `{command}` needs one of "
            f"them: {typed('core', command, found[0])}"
        )
    if is_study(path):
        return RunError(
            f"{shown(path)} is a study of which no run has begun: {go_on_with_study(path)}"
        )
    return RunError(nothing_there(path))


def some_runs(path: Path) -> list[Path]:
    """Return the runs in a directory; raise RunError if there are none."""
    if found := runs_in(path):
        return found
    raise _not_one(path, "verify")


def await_run(path: Path, say: Callable[[str], object], pause: float = 0.5) -> None:
    """Wait until there is a run or a study, if there is nothing yet; say so.

    Raises:
        RunError: there is something else.
    """
    waits = False
    while not (is_run(path) or is_study(path)):
        if not _is_empty(path):
            raise _not_one(path, "watch")
        if not waits:
            say(
                f"{shown(path)} is not there yet{nearest(path)}\nThis waits until a run or a study "
                "begins there; Ctrl-C ends it."
            )
        waits = True
        time.sleep(pause)


def _is_empty(path: Path) -> bool:
    """Whether there is nothing, or a directory in which something is about to begin."""
    try:
        return all(name.endswith(".tmp") for name in os.listdir(path))
    except FileNotFoundError:
        return True
    except NotADirectoryError:
        return False


def _named(paths: Sequence[Path]) -> str:
    names = ", ".join(shown(path) for path in paths[:NAMED])
    return names + (f" and {len(paths) - NAMED} more" if len(paths) > NAMED else "")


def nothing_there(path: Path) -> str:
    """Return what is wrong with a path that holds no run, and what may have been meant."""
    inside = next((place for place in path.absolute().parents if is_run(place)), None)
    if inside is not None:
        return f"{shown(path)} lies in a run: give the run itself, {shown(inside)}"
    hint = nearest(path)
    if path.is_dir():
        return (
            f"{shown(path)} is not a run directory: it has no run.json, and no run lies below it"
            f"{hint or '; give a directory that a run was given as --out'}"
        )
    if path.exists():
        return f"{shown(path)} is a file{hint or '; give the directory of a run'}"
    return f"there is no {shown(path)}{hint or '; give a directory that a run was given as --out'}"


def nearest(path: Path) -> str:
    """Return "; did you mean ...?" if a name in a path is like one that leads to runs; or ""."""
    path = path.absolute()
    place = next((parent for parent in path.parents if parent.is_dir()), None)
    if place is None:  # it is the root of all
        return ""
    name, *rest = path.relative_to(place).parts
    near = {folder.name: folder.joinpath(*rest) for folder in _folders(place)}
    near.pop(name, None)
    for close in difflib.get_close_matches(name, near, n=3, cutoff=0.6):
        if runs_in(near[close]):
            return f"; did you mean {shown(near[close])}?"
    others = sorted((p for p in near.values() if is_run(p) or is_study(p)), key=_natural)
    return f"; in {shown(place)} there are: {_named(others)}" if others and not rest else ""
