"""Weights files: written once, linked by whoever copies them, pruned by their member alone."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.directory.files import (
    NO_FENCE,
    Fence,
    Files,
    LeaseLost,
    NoLinks,
    Unreadable,
    link,
    opened,
    rename,
)
from core.directory.record import Weights
from core.pbt import WeightsLost
from core.task import TaskError

NAME = re.compile("[0-9]+-[0-9]+")
PROBE = 2**16  # bytes that a disk must have room for


@dataclass(slots=True)
class WeightsFiles:
    """The folders members/*/weights of a run directory.

    Args:
        files: how to write.
        folder: returns the folder of a member.
        enter: the same, and lets it be there.
        warn: told, in a sentence, of what was wrong and what was done about it.
    """

    files: Files
    folder: Callable[[int], Path]
    enter: Callable[[int], Path]
    warn: Callable[[str], None]
    _links_work: bool = True

    def find(self, id: int, weights: Weights) -> Path:
        """Return the path of a member's weights after a look at each byte.

        Raises:
            WeightsLost: they are gone, or are not those of the record.
        """
        path = self.folder(id) / "weights" / _safe(weights.name)
        self._check(path, weights, path)
        return path

    def save(
        self,
        id: int,
        name: str,
        save: Callable[[Path], None],
        right: Fence = NO_FENCE,
    ) -> Weights:
        """Let `save` write a file, and make it a weights file of the member's."""
        folder = self.enter(id) / "weights"
        temporary = self.files.temporary(folder, right)
        try:
            with self.files.clock("save"):
                try:
                    save(temporary)
                except OSError:
                    raise
                except Exception:  # torch.save says RuntimeError of a disk that it has filled
                    self._probe(folder, right)
                    raise
            if temporary.is_dir():
                shutil.rmtree(temporary)
                raise TaskError(
                    "save(path) of the trainer made a folder at its path: it must write one file "
                    "there. Pack the folder, with tarfile or shutil.make_archive, and unpack it in "
                    "load(path)"
                )
            if not temporary.is_file():
                right.fence()  # or it was swept
                raise TaskError(
                    f"save(path) of the trainer left no file at its path ({temporary.name}): it "
                    "must write one file, exactly there (np.save adds .npy to a path: give it an "
                    "open file)"
                )
            try:
                self.files.sync(temporary)
                with self.files.clock("checksum"), opened(temporary) as descriptor:
                    size, digest = os.fstat(descriptor).st_size, _sha256(descriptor)
            except FileNotFoundError as error:
                raise LeaseLost(f"member {id} was taken over while it was saved") from error
            right.fence()
            rename(temporary, folder / name)
            self.files.sync(folder)
        finally:
            temporary.unlink(missing_ok=True)
        return Weights(name=name, bytes=size, sha256=digest)

    def pin(
        self, donor: int, weights: Weights, id: int, name: str, right: Fence = NO_FENCE
    ) -> tuple[Path, int]:
        """Give a donor's weights a second name in the folder of member `id`.

        A link costs no bytes, and keeps the file when the donor's own name for it goes.

        Returns:
            Where they are now, and how many bytes were copied (0 where links work).

        Raises:
            WeightsLost: they are gone, or are not those of the record.
        """
        source = self.folder(donor) / "weights" / _safe(weights.name)
        goal = self.enter(id) / "weights" / name
        copied = 0
        try:
            with opened(source):
                pass
            if self._links_work:
                try:
                    goal.unlink(missing_ok=True)  # of a turn that was cut short
                    link(source, goal)
                except NoLinks as error:
                    self._links_work = False
                    self.warn(f"{error}: a copy of weights costs time and disk space here")
            if not self._links_work:
                copied = weights.bytes
                temporary = self.files.temporary(goal.parent, right)
                shutil.copyfile(source, temporary, follow_symlinks=False)
                self.files.sync(temporary)
                rename(temporary, goal)
        except FileNotFoundError as error:
            raise WeightsLost(f"{source} is gone") from error
        except Unreadable as error:
            raise WeightsLost(str(error)) from error
        self.files.sync(goal.parent)
        try:
            self._check(goal, weights, source)
        except WeightsLost:
            goal.unlink(missing_ok=True)
            raise
        return goal, copied

    def prune(self, id: int, keep: Sequence[str], epoch: int) -> None:
        """Remove the member's weights but those to keep, and but those of later lease holders."""
        folder = self.folder(id) / "weights"
        for name in os.listdir(folder) if folder.is_dir() else ():
            if name not in keep and -1 < _epoch(name) <= epoch:
                (folder / name).unlink(missing_ok=True)

    def _probe(self, folder: Path, right: Fence) -> None:
        """Raise OSError if nothing can be written here."""
        path = self.files.temporary(folder, right)
        try:
            self.files.write(path, bytes(PROBE))
        finally:
            path.unlink(missing_ok=True)

    def _check(self, path: Path, weights: Weights, source: Path) -> None:
        try:
            with self.files.clock("checksum"), opened(path) as descriptor:
                size = os.fstat(descriptor).st_size
                same = size == weights.bytes and _sha256(descriptor) == weights.sha256
        except FileNotFoundError as error:
            raise WeightsLost(f"{source} is gone") from error
        except Unreadable as error:
            raise WeightsLost(f"{source} is no regular file") from error
        if not same:
            raise WeightsLost(
                f"{source} is not what its record says ({size} bytes, of {weights.bytes}, or other "
                "content)"
            )


def weights_name(n: int, epoch: int) -> str:
    """Return a name for the weights of record `n`, as written by the holder of lease `epoch`."""
    return f"{n:08d}-{epoch:08d}"


def _epoch(name: str) -> int:
    """Return the number of the lease under which a weights file was written; -1 if it is none."""
    return int(name.partition("-")[2]) if NAME.fullmatch(name) else -1


def _safe(name: str) -> str:
    if not NAME.fullmatch(name):
        raise WeightsLost(f"{name!r} is not the name of a weights file")
    return name


def _sha256(descriptor: int) -> str:
    with open(descriptor, "rb", closefd=False) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
