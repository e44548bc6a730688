"""A run: a preset with its overrides, written into run.json and held to it ever after."""

import contextlib
import errno
import hashlib
import importlib.metadata
import json
import os
import platform
import secrets
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from core.directory import format_2
from core.directory.anew import clear, is_undecided, is_untouched
from core.directory.described import RunError as RunError
from core.directory.described import describe as describe
from core.directory.described import differences as differences
from core.directory.files import Files, Unreadable, read
from core.directory.machine import STARTED_IN, kernels
from core.directory.sealed import FORMAT, OtherFormat, seal, unseal
from core.member import Hypers
from core.presets import EXAMPLE as EXAMPLE
from core.presets import GIVEN, told
from core.presets import resolve as resolve
from core.presets import resolve_any as resolve_any
from core.rehearsal import rehearse
from core.settings import PBT
from core.strategies.ready import never
from core.streams import SEED_BITS

OVERRIDES = (
    "seed",
    "members",
    "steps",
    "mode",
)  # the size of a run, its seed and its mode; besides them, a run may be given a schedule
OF_ALL = ("format", "id")  # what run.json says of a run besides its epochs
LARGEST_INFO = 2**24  # bytes of run.json
SEEDS = f"below 2**{SEED_BITS}"  # a setting of each run: those written before have larger ones
PACKAGES = ("numpy", "scipy", "torch", "torchvision", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory and what is run in it.

    root: the directory, as an absolute path: a trainer may change where it works.
    info: the content of run.json.
    note: what was done to the directory when it was opened, for the user; "" for nothing.
    """

    root: Path
    preset: str
    pbt: PBT
    info: Mapping[str, object]
    note: str = ""

    @property
    def id(self) -> str:
        """What tells it from all other runs; "" of one that began before there were ids."""
        return str(self.info.get("id", ""))

    @property
    def seed_bits(self) -> int:
        """How large the seeds of its trainers are: 63 bits before run.json said so."""
        settings = cast(Mapping[str, object], self.info.get("settings", {"seeds": SEEDS}))
        return SEED_BITS if "seeds" in settings else 63


def override(pbt: PBT, overrides: Mapping[str, object]) -> PBT:
    """Return the run with another seed, size or mode, or with a schedule to follow.

    Args:
        overrides: by name; "schedule" as run.json has it, [[step, hypers], ...].
    """
    changed = dict(overrides)
    if "schedule" in changed:
        try:
            pairs = cast(Iterable[tuple[int, Hypers]], changed["schedule"])
            changed["schedule"] = tuple((int(step), dict(hypers)) for step, hypers in pairs)
        except (TypeError, ValueError) as error:
            raise RunError(f"{changed['schedule']!r} is no schedule: {error}") from error
        changed |= {"ready": never, "start": ()}
    return replace(pbt, **changed)  # type: ignore[arg-type]  # checked by PBT itself


def open_run(
    root: Path, preset: str | PBT | None = None, overrides: Mapping[str, object] | None = None
) -> Run:
    """Begin a run in a directory, or go on with the one that is there.

    Args:
        root: the run directory; made if it is not there.
        preset: what to run, by name or as an object; None for what the directory says.
        overrides: other values for seed, members, steps, mode.

    A run that has trained nothing is begun anew with other settings if a preset is given; one that
    has decided nothing goes on with other rules. `Run.note` says so.

    Raises:
        RunError: the directory is something else, of another format, or holds a run with other
            settings, which are named; or a rule of the run cannot be used.
    """
    root = Path(os.path.abspath(root))
    named, known = preset is not None, None
    if preset is None:
        known = read_info(root)
        preset, overrides = _asked(root, known)
    given = preset if isinstance(preset, PBT) else None
    preset = GIVEN if isinstance(preset, PBT) else preset
    pbt = override(given or resolve(preset), overrides or {})
    settings = cast(dict[str, object], describe(pbt)) | {"seeds": SEEDS}
    settings = json.loads(json.dumps(settings))
    path = root / "run.json"
    if not path.exists():
        check_rules(preset, pbt)
        _begin(root, preset, overrides or {}, settings)
    info = known or read_info(root)
    before = cast(Mapping[str, object], info["settings"])
    if "seeds" not in before:  # it goes on with seeds of 63 bits
        del settings["seeds"]
    different = differences(before, settings)
    if not different:
        return Run(root, preset, pbt, info)
    what = "\n  ".join(different)
    wanted = {"preset": preset, "overrides": dict(overrides or {}), "settings": settings}
    if named and is_untouched(root):
        check_rules(preset, pbt)
        clear(root)
        Files().replace(path, _sealed(secrets.token_hex(8), wanted | _origin()))
        note = f"nothing was trained in {root} yet, so it is begun anew with:\n  {what}"
        return Run(root, preset, pbt, read_info(root), note)
    if named and is_undecided(root, before, settings, pbt):
        check_rules(preset, pbt)
        mended = [*cast(Sequence[object], info.get("mended", [])), different]
        epoch = {name: value for name, value in info.items() if name not in OF_ALL}
        Files().replace(path, _sealed(str(info.get("id", "")), epoch | wanted | {"mended": mended}))
        note = f"nothing was decided in {root} yet, so it goes on with:\n  {what}"
        return Run(root, preset, pbt, read_info(root), note)
    raise RunError(
        f"{root} holds a run with other settings, and stays as it is:\n  {what}\n"
        "Give the same settings to go on with it, or another directory to begin anew."
        + _hint(different)
    )


def _hint(different: Sequence[str]) -> str:
    if not any(".domain: " in line for line in different):
        return ""
    return (
        "\n(A Uniform or an Integer without a domain is bounded by its own ends now, and was by "
        "nothing: say domain=EVERYWHERE, of core.space, to go on with a run of before.)"
    )


def check_rules(preset: str, pbt: PBT) -> None:
    """Raise RunError if the rules cannot be used: before anything is written."""
    try:
        rehearse(pbt)
    except Exception as error:
        raise RunError(f"the preset {preset} cannot be run: {told(error)}") from error


def check_same(run: Run, known: object = None) -> object:
    """Hold a worker to the run that it has joined.

    Args:
        known: what was returned the last time: a file that has not changed is not read again.

    Raises:
        RunError: the directory holds another run under the same name.
        OSError: it cannot be seen, now; a file system may say so of a file that is there.
    """
    if not run.info:
        return None
    path = run.root / "run.json"
    try:
        about = os.stat(path)
        seen = about.st_ino, about.st_mtime_ns, about.st_size
        if seen == known:
            return known
        found = unseal(read(path, LARGEST_INFO)).get("id")
    except FileNotFoundError as error:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(error.filename)) from error
    except (Unreadable, OtherFormat):
        return None  # what changed it has not made another run of it
    if found != run.info.get("id"):
        raise RunError(f"{run.root} holds another run than the one that this worker has joined")
    return seen


def _asked(root: Path, info: Mapping[str, object]) -> tuple[str, Mapping[str, object]]:
    preset, overrides = info.get("preset"), info.get("overrides")
    if not isinstance(preset, str) or not isinstance(overrides, dict):
        raise RunError(f"{root / 'run.json'} names no preset")
    if strange := sorted(set(overrides) - {*OVERRIDES, "schedule"}):
        raise RunError(f"{root / 'run.json'} overrides {strange[0]!r}, which cannot be overridden")
    return preset, overrides


def read_info(root: Path) -> dict[str, object]:
    """Return what run.json says; raise RunError if this is no run directory of ours.

    What it says of the run's epoch (preset, settings, code, machine, ...) stands beside its format
    and its id.
    """
    path = root / "run.json"
    info = read_sealed(path, "run directory")
    try:
        epochs = format_2.epochs(info) if info["format"] == 2 else info["epochs"]
        [epoch] = cast(Sequence[Mapping[str, object]], epochs)
        whole = {name: info[name] for name in OF_ALL if name in info} | dict(epoch)
        cast(Mapping[str, object], whole["settings"])["task"]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RunError(f"{path} is no description of a run of one epoch: {error!r}") from error
    return whole


def _sealed(id: str, epoch: Mapping[str, object]) -> bytes:
    """Return the content of run.json.

    A run has one epoch of settings. The list is there for runs that are extended: what holds from
    then on is the next one.
    """
    return seal({"format": FORMAT, "id": id, "epochs": [dict(epoch)]})


def read_sealed(path: Path, kind: str) -> dict[str, object]:
    """Return the content of a file that says what a directory is.

    Raises:
        RunError: there is none, so the directory is no such `kind`; or it cannot be read.
    """
    try:
        return unseal(read(path, LARGEST_INFO))
    except FileNotFoundError:
        raise RunError(f"{path.parent} is not a {kind}: it has no {path.name}") from None
    except (Unreadable, OtherFormat, OSError) as error:
        raise RunError(f"{path} cannot be read: {error}") from error


def _begin(root: Path, preset: str, overrides: Mapping[str, object], settings: object) -> None:
    try:
        root.mkdir(parents=True, exist_ok=True)
        if strange := sorted(name for name in os.listdir(root) if not name.endswith(".tmp")):
            if "run.json" in strange:
                return  # another process has begun the same run a moment ago
            raise RunError(
                f"{root} is not a run directory: it has no run.json, but holds {strange[0]!r}; "
                "give an empty or a new directory"
            )
        asked = {"preset": preset, "overrides": dict(overrides), "settings": settings}
        Files().create(root / "run.json", _sealed(secrets.token_hex(8), asked | _origin()))
    except FileExistsError:
        raise RunError(f"{root} is a file; give a directory") from None
    except OSError as error:
        raise RunError(f"cannot begin a run in {root}: {error.strerror or error}") from error


def _origin() -> dict[str, object]:
    """Return what a new run's results come from besides its settings."""
    return {
        "code": code_version(),
        "versions": versions(),
        "host": socket.gethostname(),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "kernels": kernels(),
        "began_in": STARTED_IN,
        "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that results may depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def code_version() -> str:
    """Return the commit of the code; "unknown" if there is none.

    If Python files have changed since, "+" follows and a hash of the changes: two versions that are
    called the same are the same. A frozen copy of the code (slurm/code) says what it is of.
    """
    root = Path(__file__).parents[2]
    with contextlib.suppress(OSError, IndexError):
        return (root / "SNAPSHOT").read_text().split()[0]
    git = ("git", "-C", str(root))
    try:
        commit = _output(*git, "rev-parse", "--short=12", "HEAD")
        changes = _output(*git, "diff", "HEAD", "--", "*.py")
        new = _output(*git, "ls-files", "-o", "--exclude-standard", "--", "*.py").splitlines()
        changes += "".join(f"{name}\0{(root / name).read_text()}\0" for name in new)
        return commit + (f"+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else "")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return "unknown"


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
