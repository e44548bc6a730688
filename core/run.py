"""A run: a preset with its overrides, written into run.json and held to it ever after."""

import contextlib
import difflib
import errno
import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import json
import math
import os
import pkgutil
import platform
import re
import secrets
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from types import BuiltinFunctionType, FunctionType
from typing import cast

from core.files import Files, Unreadable, read
from core.member import Hypers
from core.pbt import PBT
from core.record import FORMAT, OtherFormat, seal, unseal
from core.strategies import never

OVERRIDES = (
    "seed",
    "members",
    "steps",
    "mode",
)  # the size of a run, its seed and its mode; besides them, a run may be given a schedule
LARGEST_INFO = 2**24  # bytes of run.json
PACKAGES = ("numpy", "scipy", "torch", "torchvision", "scikit-learn")


class RunError(ValueError):
    """What a person asked for cannot be run as it is; the message says what can."""


@dataclass(frozen=True, slots=True)
class Run:
    """A run directory and what is run in it."""

    root: Path
    preset: str
    pbt: PBT
    info: Mapping[str, object]  # the content of run.json


def resolve(name: str) -> PBT:
    """Return the run that a preset describes: `module:function`, or `module:study[arm]`.

    Raises:
        RunError: there is no such preset (the nearest name is offered), or it does not work.
    """
    name, bracket, arm = name.partition("[")
    pbt = resolve_any(name)
    if bracket:
        arms = getattr(pbt, "arms", {})
        if arm[:-1] not in arms or arm[-1] != "]":
            raise RunError(f"{name} has no arm {arm[:-1]!r}{_near(arm[:-1], list(arms))}")
        name, pbt = f"{name}[{arm}", arms[arm[:-1]]
    if not isinstance(pbt, PBT):
        hint = "; `python -m core study` runs a study" if hasattr(pbt, "arms") else ""
        raise RunError(f"{name} is a {type(pbt).__name__}, where a preset returns a PBT{hint}")
    return pbt


def resolve_any(name: str) -> object:
    """Return what a preset function returns: a PBT, or a Study; raise RunError as `resolve`."""
    module_name, _, function_name = name.partition(":")
    if not re.fullmatch(r"\w+(\.\w+)*", module_name) or not function_name:
        raise RunError(f"{name!r} is not a preset; write module:function, as in {EXAMPLE}")
    _check_place(module_name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or not (module_name + ".").startswith(error.name + "."):
            raise RunError(
                f"{module_name} needs the package {error.name!r}, which is not installed: "
                f"pip install {error.name}, or see the extras in pyproject.toml"
            ) from error
        parent, near = error.name.rpartition(".")[0], error.name
        raise RunError(
            f"there is no module {error.name!r}{_near(near, _siblings(parent))}; "
            "the current directory and the installed packages were searched"
        ) from error
    except Exception as error:
        raise RunError(f"{module_name} cannot be imported: {_first_line(error)}") from error
    presets = [
        key
        for key, value in vars(module).items()
        if callable(value) and getattr(value, "__module__", "") == module_name and key[0] != "_"
    ]
    function = getattr(module, function_name, None)
    if not callable(function):
        raise RunError(
            f"there is no {function_name!r} in {module_name}{_near(function_name, presets)}"
        )
    try:
        return function()
    except Exception as error:
        raise RunError(f"the preset {name} cannot be made: {_first_line(error)}") from error


def _check_place(module: str) -> None:
    """Refuse a module that holds no presets, before it is imported.

    A run directory names its preset, and somebody else may have written it: what it names is
    neither Python's own (`os:abort` is a function without arguments too) nor another program's, nor
    does it lie in the run directory itself.

    Raises:
        RunError: the module is of the standard library, or of a package that does not use `core`.
    """
    path, spec = None, None
    for part in module.split("."):
        try:
            spec = importlib.machinery.PathFinder.find_spec(part, path)
        except Exception:
            return  # to import it will say what is wrong
        path = spec.submodule_search_locations if spec is not None else None
        for place in [spec.origin if spec is not None else None, *(path or ())]:
            if place and any((p / "run.json").exists() for p in Path(place, "x").resolve().parents):
                raise RunError(f"{module} lies in a run directory: it holds no presets")
        if path is None:
            break
    top = module.partition(".")[0]
    parents = Path(spec.origin).resolve().parents if spec is not None and spec.origin else ()
    if top in ("core", "analysis"):
        raise RunError(f"{module} holds no presets: it is a part of this program")
    if any(parent.name in ("site-packages", "dist-packages") for parent in parents):
        found = Path(str(spec and spec.origin)).read_bytes()
        if not re.search(rb"^\s*(from|import)\s+(core|tasks)\b", found, re.MULTILINE):
            raise RunError(f"{module} holds no presets: it is installed, and does not use `core`")
        return
    python = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    if top in sys.builtin_module_names or python & set(parents):
        raise RunError(f"{module} holds no presets: it is a part of Python")


def _first_line(error: Exception) -> str:
    text = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    where = f" (line {error.lineno} of {error.filename})" if isinstance(error, SyntaxError) else ""
    return text.partition("\n")[0] + where


EXAMPLE = "tasks.toy.presets:pbt"


def _near(name: str, names: Sequence[str]) -> str:
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(sorted(names))}" if names else ""


def _siblings(package: str) -> list[str]:
    try:
        paths = importlib.import_module(package).__path__ if package else None
    except (ImportError, AttributeError):
        return []
    prefix = f"{package}." if package else ""
    return [prefix + module.name for module in pkgutil.iter_modules(paths)]


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


def describe(value: object) -> object:
    """Return a setting as JSON: the same for the same setting, in any process on any machine."""
    if value is None or isinstance(value, bool | int | float | str):
        return value if not isinstance(value, float) or math.isfinite(value) else str(value)
    if is_dataclass(value) and not isinstance(value, type):
        named = {field.name: describe(getattr(value, field.name)) for field in fields(value)}
        return {"is": _where(type(value))} | named
    if isinstance(value, Mapping):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((describe(item) for item in value), key=json.dumps)
    if isinstance(value, type | FunctionType | BuiltinFunctionType) and "<" not in _where(value):
        return _where(value)
    if hasattr(value, "func") and hasattr(value, "args"):  # functools.partial
        return {
            "is": "partial",
            "of": describe(value.func),
            "args": describe(value.args),
        } | {"keywords": describe(getattr(value, "keywords", {}))}
    raise RunError(
        f"the setting {value!r} cannot be written down, so a resumed run could not be held to it: "
        "use numbers, texts, functions of a module's top level (no lambda, no method), or frozen "
        "dataclasses of these"
    )


def _where(value: type | FunctionType | BuiltinFunctionType) -> str:
    return f"{value.__module__}:{value.__qualname__}"


def differences(old: object, new: object, name: str = "") -> list[str]:
    """Return one line per setting that differs, named by its path."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        lines = []
        for key in [*old, *(key for key in new if key not in old)]:
            path = f"{name}.{key}" if name else str(key)
            lines += differences(old.get(key, "none"), new.get(key, "none"), path)
        return lines
    return [] if old == new else [f"{name}: {_short(old)} in the run, {_short(new)} now"]


def _short(value: object) -> str:
    return json.dumps(value) if not isinstance(value, Mapping) else str(value.get("is", value))


def open_run(
    root: Path, preset: str | None = None, overrides: Mapping[str, object] | None = None
) -> Run:
    """Begin a run in a directory, or go on with the one that is there.

    Args:
        root: the run directory; made if it is not there.
        preset: what to run; None for what the directory says.
        overrides: other values for seed, members, steps, mode.

    Raises:
        RunError: the directory is something else, of another format, or holds a run with other
            settings, which are named.
    """
    if preset is None:
        info = read_info(root)
        preset, overrides = _asked(root, info)
    pbt = override(resolve(preset), overrides or {})
    settings = describe(pbt)
    path = root / "run.json"
    if not path.exists():
        _begin(root, preset, overrides or {}, settings)
    info = read_info(root)
    settings = json.loads(json.dumps(settings))
    if different := differences(info["settings"], settings):
        raise RunError(
            f"{root} holds a run with other settings, and stays as it is:\n  "
            + "\n  ".join(different)
            + "\nGive the same settings to go on with it, or another directory to begin anew."
        )
    return Run(root, preset, pbt, info)


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
        return None  # whoever changed it has not made another run of it
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
    """Return the content of run.json; raise RunError if this is no run directory of ours."""
    return read_sealed(root / "run.json", "run directory")


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
                return  # somebody has begun the same run a moment ago
            raise RunError(
                f"{root} is not a run directory: it has no run.json, but holds {strange[0]!r}; "
                "give an empty or a new directory"
            )
        info = {
            "format": FORMAT,
            "id": secrets.token_hex(8),
            "preset": preset,
            "overrides": dict(overrides),
            "settings": settings,
            "code": code_version(),
            "versions": versions(),
            "host": socket.gethostname(),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "began": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        }
        Files().create(root / "run.json", seal(info))
    except FileExistsError:
        raise RunError(f"{root} is a file; give a directory") from None
    except OSError as error:
        raise RunError(f"cannot begin a run in {root}: {error.strerror or error}") from error


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
    called the same are the same. A frozen copy of the code (slurm/snapshot.py) says what it is of.
    """
    here = Path(__file__).parent
    with contextlib.suppress(OSError, IndexError):
        return (here.parent / "SNAPSHOT").read_text().split()[0]
    git = ("git", "-C", str(here.parent))
    try:
        commit = _output(*git, "rev-parse", "--short=12", "HEAD")
        changes = _output(*git, "diff", "HEAD", "--", "*.py")
        new = _output(*git, "ls-files", "-o", "--exclude-standard", "--", "*.py").splitlines()
        changes += "".join(f"{name}\0{(here.parent / name).read_text()}\0" for name in new)
        return commit + (f"+{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else "")
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return "unknown"


def _output(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout.strip()
