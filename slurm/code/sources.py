"""Which files are the code of a preset: what a snapshot copies, and what lies beside it as data.

Three questions are asked, because no single one is enough. What do the modules import, as their
text says (imports inside functions too)? What does git know, if it knows the preset's file? And
without git: which modules and packages lie where the preset is imported from?
"""

import ast
import importlib
import importlib.util
import itertools
import os
import subprocess
import sysconfig
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

import core

PROJECT = Path(core.__file__).resolve().parents[1]
PARTS = ("core", "tasks", "slurm", "analysis", "paper")  # of it: code, and numbers that code reads
FILES, BYTES = 5_000, 100 * 2**20  # the most that a snapshot may hold
LARGE = 5 * 2**20  # bytes of a file, or of a folder without a module, that is data and no code
MANY = 500  # files of such a folder
NO_CODE = (
    "run.json",
    "study.json",
    "pyvenv.cfg",
)  # what a folder holds that changes, or is no code


@dataclass(frozen=True, slots=True)
class Sources:
    """The code of a preset.

    root: the folder from which the preset's module is imported; None if it is installed.
    own: files below `root` that are the user's.
    project: files of this program.
    """

    root: Path | None
    own: frozenset[Path]
    project: frozenset[Path]


def sources(preset: str) -> Sources:
    """Return which files the preset `module:function` needs."""
    importlib.invalidate_caches()
    name = preset.partition(":")[0]
    file = next((file for found, _, file in _files_of(name, None) if found == name), None)
    if file is None or _is_installed(file):
        return Sources(None, frozenset(), frozenset(_project(set())))
    above = len(name.split(".")) - (file.stem != "__init__")
    root = file.parents[above].resolve()
    modules = _modules(name, root)
    inside = {file for file in modules if root == PROJECT and _top(file, root) in PARTS}
    own = _own(root, modules, root / file.relative_to(file.parents[above]))
    if root == PROJECT:
        own = {file for file in own if _top(file, root) not in PARTS}
    return Sources(root, frozenset(own), frozenset(_project(inside)))


def _top(file: Path, root: Path) -> str:
    return file.relative_to(root).parts[0]


def _is_installed(file: Path) -> bool:
    python = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib")}
    packages = ("site-packages", "dist-packages")
    return any(part in packages for part in file.parts) or bool(python & {*file.resolve().parents})


def _own(root: Path, modules: set[Path], preset: Path) -> set[Path]:
    """Return the files of a task of the user's own; `preset` is that of the preset's module."""
    listed = _listed(root)
    if root == PROJECT:
        tops = {_top(file, root) for file in modules}
        chosen = {file for file in listed if _top(file, root) in tops}
        if _top(preset, root) not in PARTS:
            chosen |= {*root.glob("*.py")}
    elif preset in listed:
        chosen = listed
    else:
        chosen = {*root.glob("*.py"), *root.glob("*.toml")}
        packages = sorted({path.parent for path in root.glob("*/*.py")})
        beside = itertools.chain.from_iterable(map(_walk, packages))
        few = {*itertools.islice(beside, FILES)}
        chosen |= few if len(few) < FILES else set()  # a folder of everything: what is imported
    return _with(root, chosen, modules, 1)


def _project(modules: set[Path]) -> set[Path]:
    """Return the files of this program, and of a task that lies in it."""
    listed = _listed(PROJECT)
    if PROJECT / "core" / "__init__.py" not in listed:  # no git, or git that ignores all of it
        listed = {path for part in PARTS for path in _walk(PROJECT / part)}
    chosen = {path for path in listed if _top(path, PROJECT) in PARTS and path.suffix != ".md"}
    return _with(PROJECT, chosen, modules, 2)  # what is no code may be edited while a run goes on


def _with(root: Path, chosen: set[Path], modules: set[Path], depth: int) -> set[Path]:
    """Return what was chosen, with modules that are missing in it and the packages they are of."""
    folders = {root / Path(*file.relative_to(root).parts[:depth]) for file in modules - chosen}
    return chosen | modules | {path for folder in sorted(folders) for path in _walk(folder)}


# --------------------------------------------------------------------- what modules import


def _modules(name: str, root: Path) -> set[Path]:
    """Return the files below `root` that a module imports, itself, and what these import."""
    found: set[Path] = set()
    waiting, seen = [name], set()
    frozen = {"core", "slurm", "analysis"} if root == PROJECT else set()  # as they are
    while waiting:
        name = waiting.pop()
        if name in seen or name.partition(".")[0] in frozen:
            continue
        seen.add(name)
        for _, package, file in _files_of(name, [str(root)]):
            if file not in found:
                found.add(file)
                waiting += _imports(file, package)
    return found


def _files_of(name: str, path: list[str] | None) -> Iterator[tuple[str, str, Path]]:
    """Yield name, package and file of a module and of the packages that it lies in."""
    parts = name.split(".")
    for count, part in enumerate(parts, 1):
        try:
            spec: ModuleSpec | None = PathFinder.find_spec(part, path)
        except (ImportError, ValueError):
            return
        if spec is None:
            return
        inside = spec.submodule_search_locations
        if spec.origin is not None and spec.has_location:
            package = parts[:count] if inside is not None else parts[: count - 1]
            yield ".".join(parts[:count]), ".".join(package), Path(os.path.abspath(spec.origin))
        if inside is None:
            return
        path = list(inside)


def _imports(file: Path, package: str) -> Iterator[str]:
    try:
        tree = ast.parse(file.read_bytes()) if file.suffix == ".py" else ast.Module([], [])
    except (OSError, SyntaxError, ValueError):
        return  # to import it says what is wrong
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue
            yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


# ----------------------------------------------------------------------- what lies in folders


def _listed(root: Path) -> set[Path]:
    """Return what git tracks or would track below a folder; nothing where there is no git."""
    words = ("git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard", "--", ".")
    try:
        names = subprocess.run(words, capture_output=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return set()
    paths = [root / os.fsdecode(name) for name in names.split(b"\0") if name]
    changing = {path.parent for path in paths if path.name in NO_CODE}
    return {
        path
        for path in paths
        if path.is_file() and not changing & {*path.parents} and not _is_made(path, root)
    }


def _is_made(path: Path, root: Path) -> bool:
    """Whether a path below `root` is what Python or this program has made there."""
    parts = path.relative_to(root).parts
    return any(part == "__pycache__" or part.endswith(".slurm") for part in parts)


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder (or that file) that may be code, or data of it."""
    if folder.is_file():
        yield folder
    for place, folders, names in os.walk(folder):
        if any(name in NO_CODE for name in names):
            folders.clear()
            continue
        folders[:] = [name for name in folders if not _is_hidden(name)]
        files = (Path(place, name) for name in names if not _is_hidden(name))
        yield from (path for path in files if path.is_file())


def _is_hidden(name: str) -> bool:
    hidden = name.startswith(".") or name in ("__pycache__", "node_modules")
    return hidden or name.endswith((".slurm", ".pyc"))


def too_large(root: Path, files: Iterable[Path]) -> list[Path]:
    """Return which of these files, or folders of them without a module, are data and no code."""
    sizes = {path: path.stat().st_size for path in files}
    bytes, count, code = Counter[Path](), Counter[Path](), set()
    for path, size in sizes.items():
        for folder in path.relative_to(root).parents:
            bytes[root / folder] += size
            count[root / folder] += 1
            if path.suffix == ".py":
                code.add(root / folder)
    data = {
        folder
        for folder in bytes
        if folder not in code | {root} and (bytes[folder] > LARGE or count[folder] > MANY)
    }
    data = {folder for folder in data if not data & {*folder.parents}}
    large = {path for path, size in sizes.items() if size > LARGE and path.suffix != ".py"}
    return sorted(data | {path for path in large if not data & {*path.parents}})


def beside(root: Path, copied: Iterable[Path], and_root: bool) -> Iterator[Path]:
    """Yield what lies beside the copied files as data: no module, nothing that changes by itself.

    Args:
        and_root: whether that of the folder `root` itself belongs to it.
    """
    files = {*copied}
    places = {root / folder for path in files for folder in path.relative_to(root).parents}
    for place in sorted(places | {root} if and_root else places - {root}):
        found = [*itertools.islice(place.iterdir(), FILES + 1)]
        for path in found if len(found) <= FILES else ():
            if path in files or path in places or _is_hidden(path.name):
                continue
            if path.suffix in (".py", ".md"):
                continue
            if any(path.glob("*.py")) or any(path.glob("*/*.py")):
                continue  # a link to code would let it be imported as it is, and not as it was
            if not any((path / name).exists() for name in NO_CODE):
                yield path
