"""The name of a preset becomes a run; what a user's module does wrong is told with its line."""

import difflib
import importlib
import importlib.machinery
import inspect
import os
import pkgutil
import re
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from core.directory.described import RunError
from core.rules import takes
from core.settings import PBT
from core.tracebacks import of_user, place, said

OURS = ("core", "tasks", "analysis", "slurm")  # the packages of this program


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
    if name == GIVEN:
        raise RunError(
            "this run was begun from Python with a PBT object, which has no name: go on with it by "
            "core.run(pbt, out=DIR)"
        )
    module_name, _, function_name = name.partition(":")
    if module_name.endswith(".py"):
        dotted = module_name.removesuffix(".py").strip("./").replace("/", ".")
        raise RunError(f"{name!r} names a file: write {dotted}:{function_name or 'function'}")
    if not re.fullmatch(r"\w+(\.\w+)*", module_name) or not function_name:
        raise RunError(f"{name!r} is not a preset; write module:function, as in {EXAMPLE}")
    _check_place(module_name)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise RunError(_missing(module_name, error)) from error
    except (Exception, SystemExit) as error:
        raise RunError(f"{module_name} cannot be imported: {told(error)}") from error
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
    if not takes(function, 0):
        raise RunError(
            f"{name} takes arguments, {inspect.signature(function)}, and a preset takes none: give "
            "them defaults, or write a function that calls it with them"
        )
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise RunError(f"the preset {name} cannot be made: {told(error)}") from error


def _missing(module: str, error: ModuleNotFoundError) -> str:
    """Say which module is missing, and what can be done about it."""
    if error.name is None:
        return f"{module} cannot be imported: {told(error)}"
    top = error.name.partition(".")[0]
    typed = (module + ".").startswith(error.name + ".")
    ours, theirs = Path(__file__).parents[1] / top, Path.cwd() / top
    if top in OURS and (not typed or (theirs.is_dir() and not theirs.samefile(ours))):
        return (
            f"{module} needs {error.name!r}, and there is none in {ours}: {top!r} is a package of "
            f"this program, which stands in the way of one of your own of that name. Call yours "
            f"something else, or put it into another package, as in mine/{top}, and import it as "
            f"mine.{error.name} ({place(error) or 'as typed'})"
        )
    if not typed:
        return (
            f"{module} needs the package {error.name!r}, which is not installed ({place(error)}): "
            f"pip install {top}, or see the extras in pyproject.toml"
        )
    parent = error.name.rpartition(".")[0]
    return (
        f"there is no module {error.name!r}{_near(error.name, _siblings(parent))}. The current "
        f"directory, {os.getcwd()}, and the installed packages were searched: type the command in "
        "the directory in which your module is"
    )


def _check_place(module: str) -> None:
    """Refuse a module that holds no presets, before it is imported.

    A run directory names its preset, and a stranger may have written it: what it names is
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
        for found in [spec.origin if spec is not None else None, *(path or ())]:
            if found and any((p / "run.json").exists() for p in Path(found, "x").resolve().parents):
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


def told(error: BaseException) -> str:
    """Return an error of the user's code: its words and its line; with a traceback if not ours."""
    if isinstance(error, ValueError):  # such as a setting that a PBT refuses
        where = place(error)
        return f"{error} ({where})" if where else str(error)
    return f"{said(error)}. Its traceback:\n{of_user(error)}"


EXAMPLE = "tasks.toy.presets:pbt"
GIVEN = "(given)"  # in place of the name of a preset, where a PBT object was given


def _near(name: str, names: Sequence[str]) -> str:
    if close := difflib.get_close_matches(name, names, n=1, cutoff=0.5):
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(sorted(names))}" if names else ""


def _siblings(package: str) -> list[str]:
    """Return the modules beside which one was looked for: at the top, the user's own and ours."""
    try:
        paths = importlib.import_module(package).__path__ if package else [os.getcwd(), *OWN_PATHS]
    except (ImportError, AttributeError):
        return []
    prefix = f"{package}." if package else ""
    return [prefix + module.name for module in pkgutil.iter_modules(paths)]


OWN_PATHS = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
