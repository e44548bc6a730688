"""The history of a member: all but its last records, one a line, in files of 256."""

import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from core.directory.files import STALE, Unreadable, opened, stale_is_gone
from core.directory.record import Record

SEGMENT = 256  # records in a file of the history: what is written anew to add some
LARGEST_RECORD = 16 * 2**20  # bytes; more is not ours, and is not read into memory


@dataclass(frozen=True, slots=True)
class History:
    """The folders members/*/history of a run directory, read.

    folder: returns the folder of a member.
    decoded: returns the record that a line of a member's file holds, or raises Unreadable.
    complain: told, in a sentence, of what cannot be read.
    """

    folder: Callable[[int], Path]
    decoded: Callable[[bytes, int, Path], Record]
    complain: Callable[[str], None]

    def segments(self, id: int) -> list[Path]:
        """Return the files of the history, oldest first."""
        folder = self.folder(id) / "history"
        try:
            with stale_is_gone():
                names = os.listdir(folder)
        except FileNotFoundError:
            return []
        return [folder / name for name in sorted(names) if name.endswith(".jsonl")]

    def segment(self, id: int, n: int) -> Path:
        """Return the file of the history that holds a record, or will."""
        return self.folder(id) / "history" / f"{n - n % SEGMENT:08d}.jsonl"

    def lines(self, id: int, segment: Path) -> list[Record]:
        """Return the records of a file of the history; what is unreadable is warned of."""
        for _ in range(STALE):
            try:
                return list(self._read_lines(id, segment))
            except FileNotFoundError as error:
                if error.__cause__ is None:
                    return []
                time.sleep(0.01)  # it is being replaced
            except Unreadable as error:
                self.complain(str(error))
                return []
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(segment))

    def _read_lines(self, id: int, segment: Path) -> Iterator[Record]:
        with opened(segment) as descriptor, open(descriptor, "rb", closefd=False) as file:
            for number, line in enumerate(
                iter(lambda: file.readline(LARGEST_RECORD), b""), start=1
            ):
                try:
                    yield self.decoded(line, id, segment)
                except Unreadable as error:
                    self.complain(f"line {number}: {error}")

    def find(self, id: int, n: int) -> Record | None:
        """Return a record of the history; None if it is not there, or cannot be read."""
        lines = self.lines(id, self.segment(id, n))
        return next((record for record in lines if record.member.n == n), None)
