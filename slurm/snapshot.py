"""The code of a run, frozen: what its jobs import, whatever is edited after they were submitted.

A snapshot is a folder with `project/` (this program), `own/` (the folder of a task of the user's
own, if the preset is one) and `SNAPSHOT` files that say of which commit it is. Jobs import from it
alone: PYTHONPATH names it, and PYTHONSAFEPATH keeps the working directory, which stays the user's
(data are found where they were), from getting before it.
"""

import hashlib
import importlib.machinery
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path

import core
from core.run import RunError, code_version

PROJECT = Path(core.__file__).resolve().parents[1]
PARTS = ("core", "tasks", "slurm", "analysis")  # of it that are code; and that of the preset
FILES, BYTES = 5_000, 100 * 2**20  # the most that a snapshot may hold
LARGE = 5 * 2**20  # bytes of a file that is data, not code: it is left where it is


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of the code.

    commit: as `core.run.code_version` says it.
    digest: of the names and bytes of all its files.
    left: files that are too large, and were not copied.
    """

    folder: Path
    commit: str
    digest: str
    left: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return what makes Python import from here alone."""
        paths = [str(self.folder / "own"), str(self.folder / "project")]
        return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}

    def has(self, module: str) -> bool:
        """Whether there is a module of that name in it."""
        name = module.partition(".")[0]
        return any(
            (self.folder / part / f"{name}{end}").exists()
            for part in ("own", "project")
            for end in ("", ".py")
        )


def freeze(preset: str, folder: Path) -> Snapshot:
    """Copy the code into a folder below `folder`; the same code, to the same place.

    Raises:
        RunError: there is too much of it to be the code of one task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder, prefix=".code-"))
    try:
        left, commit = [], code_version()
        parts = {*PARTS, preset.partition(":")[0].partition(".")[0]}
        for name, root in (("own", _own(preset)), ("project", PROJECT)):
            (made / name).mkdir()
            if root is not None:
                left += _copy(root, made / name, parts if root == PROJECT else None)
        digest = _digest(made)
        (made / "project" / "SNAPSHOT").write_text(f"{commit} {digest}\n")
        made.chmod(0o755)
        place = folder / f"code-{digest[:12]}"
        if place.exists() and _digest(place) != digest:
            shutil.rmtree(place)  # somebody has changed it: no job takes it as it is
        if not place.exists():
            os.rename(made, place)
        return Snapshot(place, commit, digest, tuple(left))
    finally:
        shutil.rmtree(made, ignore_errors=True)


def thaw(folder: Path) -> Snapshot:
    """Return the snapshot of a folder.

    Raises:
        RunError: it is gone, or somebody has changed it.
    """
    try:
        commit, digest = (folder / "project" / "SNAPSHOT").read_text().split()
        found = _digest(folder)
    except (OSError, ValueError) as error:
        raise RunError(f"{folder} is not a snapshot of the code any more: {error}") from error
    if found != digest:
        raise RunError(
            f"the code in {folder} was changed after it was frozen ({digest[:12]} then, "
            f"{found[:12]} now): a run has one code; freeze the changed one with a new --out"
        )
    return Snapshot(folder, commit, digest)


def _own(preset: str) -> Path | None:
    """Return the folder from which the preset's module is imported, if it is the user's own."""
    spec = importlib.machinery.PathFinder.find_spec(preset.partition(":")[0].partition(".")[0])
    if spec is None:
        return None  # to resolve it has said what is wrong
    origin = spec.origin if spec.origin not in (None, "namespace") else None
    place = Path(origin or next(iter(spec.submodule_search_locations or [str(PROJECT)]))).resolve()
    if place.is_relative_to(PROJECT) or place.is_relative_to(Path(sys.prefix).resolve()):
        return None
    package = origin is None or Path(origin).name == "__init__.py"
    root = place.parents[1] if package and origin else place.parent
    installed = any(part in ("site-packages", "dist-packages") for part in root.parts)
    return None if installed else root


def _copy(root: Path, to: Path, parts: Container[str] | None) -> list[Path]:
    left, count, size = [], 0, 0
    for path in _files(root):
        if parts is not None and (
            path.relative_to(root).parts[0] not in parts or path.suffix == ".md"
        ):
            continue  # what is no code may be edited while a run goes on
        bytes = path.stat().st_size
        if bytes > LARGE:
            left.append(path)
            continue
        count, size = count + 1, size + bytes
        if count > FILES or size > BYTES:
            raise RunError(
                f"{root} holds more than {FILES} files or {BYTES >> 20} MB: too much to freeze as "
                "the code of a task; put the task into a folder or a git repository of its own"
            )
        copy = to / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o555 if os.access(path, os.X_OK) else 0o444)
    return left


def _files(root: Path) -> Iterator[Path]:
    """Yield what git tracks or would track; without git, modules and packages."""
    listed = ("git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard", "--", ".")
    try:
        names = subprocess.run(listed, capture_output=True, check=True, timeout=60).stdout
        paths = [root / os.fsdecode(name) for name in names.split(b"\0") if name]
    except (OSError, subprocess.SubprocessError):
        packages = {path.parent for path in root.glob("*/*.py")}
        paths = [*root.glob("*.py"), *root.glob("*.toml")]
        paths += [path for package in packages for path in package.rglob("*")]
    runs = {path.parent for path in paths if path.name in ("run.json", "study.json")}
    for path in sorted(paths):
        if not path.is_file() or "__pycache__" in path.parts or runs & {*path.parents}:
            continue  # a run directory is no code, and changes while the run goes on
        if not any(part.endswith(".slurm") for part in path.relative_to(root).parts):
            yield path


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name == "SNAPSHOT" or "__pycache__" in path.parts:
            continue
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
