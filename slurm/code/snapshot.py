"""Freeze the code of a run: jobs import a copy, which later edits do not change.

A snapshot is a folder with `project/` (this program), `own/` (the code of the user's own task, if
the preset is one) and a file `SNAPSHOT` with the commit. Jobs import only from it: PYTHONPATH names
it, and PYTHONSAFEPATH keeps the working directory out of the path. The working directory stays the
user's, so relative paths to data stay right. Data beside the code are not copied; the snapshot has
links to them, for a task that looks for them beside its own file.
"""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.directory.run import RunError, code_version
from slurm.code.sources import BYTES, FILES, PROJECT, beside, sources, too_large


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A frozen copy of the code.

    folder: where it is.
    commit: what `core.directory.run.code_version` returned.
    digest: SHA-256 of the names and bytes of all its files.
    left: files and folders that are too large to be code and were not copied.
    """

    folder: Path
    commit: str
    digest: str
    left: tuple[Path, ...] = ()

    def environment(self) -> dict[str, str]:
        """Return the variables that make Python import only from here."""
        paths = [str(self.folder / "own"), str(self.folder / "project")]
        return {"PYTHONPATH": os.pathsep.join(paths), "PYTHONSAFEPATH": "1"}

    def has(self, module: str) -> bool:
        """Whether it has a module of this name."""
        name = module.partition(".")[0]
        return any(
            (self.folder / part / f"{name}{end}").exists()
            for part in ("own", "project")
            for end in ("", ".py")
        )


def freeze(preset: str, folder: Path) -> Snapshot:
    """Copy the code into a folder below `folder`, whose name is a digest of the code.

    Raises:
        RunError: it is too large to be the code of one task.
    """
    folder.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder, prefix=".code-"))
    try:
        needed, commit = sources(preset), code_version()
        # in a repository, a snapshot is no change of the code
        (made / ".gitignore").write_text("*\n")
        for name in ("own", "project"):
            (made / name).mkdir()
        left = [] if needed.root is None else _copy(needed.root, needed.own, made / "own")
        left += _copy(PROJECT, needed.project, made / "project")
        digest = _digest(made)
        (made / "project" / "SNAPSHOT").write_text(f"{commit} {digest}\n")
        made.chmod(0o755)
        place = folder / f"code-{digest[:12]}"
        if place.exists() and _digest(place) != digest:
            shutil.rmtree(place)  # it was changed: no job would accept it
        if not place.exists():
            os.rename(made, place)
        if needed.root is not None:
            _link(needed.root, needed.own, place / "own", True)
        _link(PROJECT, needed.project, place / "project", False)
        return Snapshot(place, commit, digest, tuple(left))
    finally:
        shutil.rmtree(made, ignore_errors=True)


def thaw(folder: Path) -> Snapshot:
    """Return the snapshot of a folder.

    Raises:
        RunError: it is gone, or was changed.
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


def _copy(root: Path, files: Iterable[Path], to: Path) -> list[Path]:
    """Copy files; return the files and folders that are too large to be code and were left out."""
    left = too_large(root, files)
    kept = [path for path in sorted(files) if not {*left} & {path, *path.parents}]
    if len(kept) > FILES or sum(path.stat().st_size for path in kept) > BYTES:
        raise RunError(
            f"{root} holds more than {FILES} files or {BYTES >> 20} MB: too much to freeze as "
            "the code of a task; put the task into a folder or a git repository of its own"
        )
    for path in kept:
        copy = to / path.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
        copy.chmod(0o555 if os.access(path, os.X_OK) else 0o444)
    return left


def _link(root: Path, files: Iterable[Path], to: Path, and_root: bool) -> None:
    """Link data that lie beside the code to the same places beside the frozen code."""
    copies = {path: to / path.relative_to(root) for path in files}
    copied = [path for path, copy in copies.items() if copy.exists() and not _is_link(copy, to)]
    for path in beside(root, copied, and_root):
        link = to / path.relative_to(root)
        if not os.path.lexists(link):
            link.symlink_to(path)


def _is_link(path: Path, below: Path) -> bool:
    """Whether a path is a link, or leads through one."""
    return any(place.is_symlink() for place in (path, *path.parents) if place.is_relative_to(below))


def _digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name == "SNAPSHOT" or "__pycache__" in path.parts or path.is_symlink():
            continue  # links lead to data, which are not part of the code
        content = path.read_bytes()
        digest.update(f"{path.relative_to(folder)}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()
