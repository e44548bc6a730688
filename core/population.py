"""The run directory: what the members publish, and where the others read it.

    run.json                     what is run: preset, settings, commit, versions; never changed
    members/003/record.json      the newest record of member 3
    members/003/recent/00000040  each record once, until it is in the history
    members/003/history.jsonl    all earlier records, one a line, oldest first
    members/003/weights/...      θ of its last steps; a name is never used again
    leases/003.00000007.<worker> who trains member 3 now (core/lease.py)
    workers/<worker>.json        a worker's heartbeat; .jsonl its warnings; .log what it printed

A file has one writer, is whole or not there, and is never changed in place. Weights are written
before the record that names them. A record's number is taken by creating recent/<number>, which
can happen once: that is what makes two records of one moment impossible.
"""

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.files import Files, NoLinks, link, no_fence, take
from core.pbt import WeightsLost
from core.record import Record, Unreadable, Weights, decode, encode
from core.task import TaskError

COMPACT = 32  # so many records are single files at most, before they join history.jsonl
REMEMBER = 16  # records of a member that are kept in memory
LARGEST_RECORD = 16 * 2**20  # bytes; more is not ours, and is not read into memory


class Taken(Exception):
    """Another worker has published a record of this number: the member is not ours any more."""


@dataclass(slots=True)
class Population:
    """The members' folders, written and read.

    Args:
        root: the run directory.
        files: how to write.
        warn: told, in a sentence, of what was wrong and what was done about it.
    """

    root: Path
    files: Files = field(default_factory=Files)
    warn: Callable[[str], None] = lambda _: None
    _heads: dict[int, tuple[str, tuple[int, int, int], Record]] = field(default_factory=dict)
    _records: dict[tuple[int, int], Record] = field(default_factory=dict)
    _made: set[Path] = field(default_factory=set)
    _links_work: bool = True

    def folder(self, id: int) -> Path:
        """Return the folder of a member."""
        return self.root / "members" / f"{id:03d}"

    def _make(self, folder: Path) -> None:
        if folder not in self._made:
            folder.mkdir(parents=True, exist_ok=True)
            self._made.add(folder)

    # ---------------------------------------------------------------------------- reading

    def newest(self, id: int, *, glance: bool = False) -> Record | None:
        """Return the newest record of a member, perhaps a moment old; None before its first.

        Args:
            glance: be content with what was read last, if anything was.
        """
        known = self._heads.get(id)
        if known is not None and glance:
            return known[2]
        path = known[0] if known is not None else str(self.folder(id) / "record.json")
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            found = os.fstat(descriptor)
            identity = (found.st_ino, found.st_mtime_ns, found.st_size)
            if known is not None and known[1] == identity:
                return known[2]
            record = _decoded(_read_all(descriptor, found.st_size, path), id, path)
        except Unreadable as error:
            self.warn(f"{error}; the newest record before it is used")
            return self._newest_but_view(id)
        finally:
            os.close(descriptor)
        return self._note(path, found, record)

    def _note(self, path: str, found: os.stat_result, record: Record) -> Record:
        identity = (found.st_ino, found.st_mtime_ns, found.st_size)
        self._heads[record.member.id] = (path, identity, record)
        return self._remember(record)

    def _newest_but_view(self, id: int) -> Record | None:
        for n in sorted(self._recent(id), reverse=True):
            try:
                return self.record(id, n)
            except (Unreadable, FileNotFoundError):
                continue
        history = self._history_lines(id)
        return history[-1] if history else None

    def head(self, id: int) -> Record | None:
        """Return the newest record for certain: what whoever holds the lease goes on from."""
        newest = self.newest(id) or self._newest_but_view(id)
        for n in sorted(self._recent(id), reverse=True):
            if newest is not None and n <= newest.member.n:
                break
            try:
                newest = self.record(id, n)
            except Unreadable as error:
                path = self._path(id, n)
                os.replace(path, path.with_name(f"{path.name}.unreadable"))
                self.warn(f"{error}; it is set aside, and its step is trained again")
                continue
            self.files.replace(self.folder(id) / "record.json", encode(newest))
            break
        return newest

    def record(self, id: int, n: int) -> Record:
        """Return one record; raise FileNotFoundError if there is none of that number."""
        if (id, n) in self._records:
            return self._records[id, n]
        path = self._path(id, n)
        try:
            return self._remember(_decoded(_read(path), id, path))
        except FileNotFoundError:
            for record in reversed(self._history_lines(id)):
                if record.member.n == n:
                    return self._remember(record)
        raise FileNotFoundError(f"no record {n} of member {id} in {self.root}")

    def _remember(self, record: Record) -> Record:
        """Keep the last few records of each member in memory."""
        id, n = record.member.id, record.member.n
        self._records[id, n] = record
        self._records.pop((id, n - REMEMBER), None)
        return record

    def at_step(self, id: int, step: int) -> Record | None:
        """Return the record with which a member came to `step`, before any decision there."""
        record = self.newest(id)
        if record is None or record.member.step < step:
            return None
        first = record
        while record.member.n > 0 and record.member.step >= step:
            if record.member.step == step:
                first = record
            record = self.record(id, record.member.n - 1)
        return first

    def history(self, id: int) -> list[Record]:
        """Return all records of a member, oldest first; what is unreadable is warned of."""
        records: dict[int, Record] = {}
        for n in self._recent(id):  # first: what joins the history meanwhile is found there
            try:
                records[n] = _decoded(_read(self._path(id, n)), id, self._path(id, n))
            except FileNotFoundError:
                continue
            except Unreadable as error:
                self.warn(str(error))
        records |= {record.member.n: record for record in self._history_lines(id)}
        return [records[n] for n in sorted(records)]

    def _history_lines(self, id: int) -> list[Record]:
        path = self.folder(id) / "history.jsonl"
        records = []
        try:
            with path.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    try:
                        records.append(_decoded(line, id, path))
                    except Unreadable as error:
                        self.warn(f"line {number}: {error}")
        except FileNotFoundError:
            return []
        return records

    def _recent(self, id: int) -> list[int]:
        try:
            names = os.listdir(self.folder(id) / "recent")
        except FileNotFoundError:
            return []
        return [int(name) for name in names if name.isdigit()]

    def _path(self, id: int, n: int) -> Path:
        return self.folder(id) / "recent" / f"{n:08d}"

    # ---------------------------------------------------------------------------- writing

    def publish(self, record: Record, fence: Callable[[], None] = no_fence) -> None:
        """Publish a record; its weights are there already.

        Raises:
            Taken: a record of this number exists.
        """
        id, n = record.member.id, record.member.n
        folder, path, data = self.folder(id), self._path(id, n), encode(record)
        if len(data) > LARGEST_RECORD:
            raise ValueError(f"a record of {len(data)} bytes: a sample of fewer scores is needed")
        self._make(path.parent)
        temporary = self.files.temporary(folder)
        try:
            self.files.write(temporary, data)
            fence()
            if not take(temporary, path):
                raise Taken(f"record {n} of member {id} is another worker's")
            found = os.stat(temporary)
            os.replace(temporary, folder / "record.json")
        except FileNotFoundError as error:  # swept by whoever took the member over
            raise Taken(f"member {id} was taken over at record {n}") from error
        finally:
            temporary.unlink(missing_ok=True)
        self.files.sync(path.parent)
        self._note(str(folder / "record.json"), found, record)
        if (n + 1) % COMPACT == 0:
            self._compact(id, fence)

    def _compact(self, id: int, fence: Callable[[], None]) -> None:
        """Move the single records of a member into its history."""
        path = self.folder(id) / "history.jsonl"
        past = path.read_bytes() if path.exists() else b""
        past += b"" if past.endswith(b"\n") or not past else b"\n"  # of a file that was cut
        last = _last_number(past)
        recent = sorted(self._recent(id))
        lines = [self._path(id, n).read_bytes() for n in recent if n > last]
        self.files.replace(path, past + b"".join(lines), fence)
        self.files.sync(path.parent)
        for n in recent:
            self._path(id, n).unlink(missing_ok=True)

    # ---------------------------------------------------------------------------- weights

    def weights(self, id: int, weights: Weights) -> Path:
        """Return the path of a member's weights after a look at each byte.

        Raises:
            WeightsLost: they are gone, or are not those of the record.
        """
        path = self.folder(id) / "weights" / _safe(weights.name)
        self._check(path, weights)
        return path

    def save_weights(
        self,
        id: int,
        name: str,
        save: Callable[[Path], None],
        fence: Callable[[], None] = no_fence,
    ) -> Weights:
        """Let `save` write a file, and make it a weights file of the member's."""
        folder = self.folder(id) / "weights"
        self._make(folder)
        temporary = self.files.temporary(folder)
        try:
            with self.files.clock("save"):
                save(temporary)
            if not temporary.is_file():
                fence()  # or it was swept
                raise TaskError(
                    f"save(path) of the trainer left no file at its path ({temporary.name}): it "
                    "must write one file, exactly there (np.save adds .npy to a path: give it an "
                    "open file)"
                )
            self.files.sync(temporary)
            with self.files.clock("checksum"):
                size, digest = temporary.stat().st_size, _sha256(temporary)
            fence()
            try:
                os.replace(temporary, folder / name)
            except FileNotFoundError as error:
                raise Taken(f"member {id} was taken over while it was saved") from error
            self.files.sync(folder)
        finally:
            temporary.unlink(missing_ok=True)
        return Weights(name=name, bytes=size, sha256=digest)

    def pin_weights(self, donor: int, weights: Weights, id: int, name: str) -> tuple[Path, int]:
        """Give a donor's weights a second name in the folder of member `id`.

        A link costs no bytes, and keeps the file when the donor's own name for it goes.

        Returns:
            Where they are now, and how many bytes were copied (0 where links work).

        Raises:
            WeightsLost: they are gone, or are not those of the record.
        """
        source = self.folder(donor) / "weights" / _safe(weights.name)
        goal = self.folder(id) / "weights" / name
        self._make(goal.parent)
        copied = 0
        try:
            if self._links_work:
                try:
                    goal.unlink(missing_ok=True)  # of a turn that was cut short
                    link(source, goal)
                except NoLinks as error:
                    self._links_work = False
                    self.warn(f"{error}: a copy of weights costs time and disk space here")
            if not self._links_work:
                copied = weights.bytes
                temporary = self.files.temporary(goal.parent)
                shutil.copyfile(source, temporary)
                os.replace(temporary, goal)
            self._check(goal, weights)
        except FileNotFoundError as error:
            raise WeightsLost(f"{source.relative_to(self.root)} is gone") from error
        except WeightsLost:
            goal.unlink(missing_ok=True)
            raise
        return goal, copied

    def prune_weights(self, id: int, keep: Sequence[str], epoch: int) -> None:
        """Remove the member's weights but those to keep, and but those of later lease holders."""
        folder = self.folder(id) / "weights"
        for name in os.listdir(folder) if folder.is_dir() else ():
            if name in keep or name.endswith(".tmp"):
                continue
            if _epoch(name) <= epoch:
                (folder / name).unlink(missing_ok=True)

    def sweep(self, id: int) -> None:
        """Make all writes fail that a former holder of the lease has begun and not ended."""
        for folder in (self.folder(id), self.folder(id) / "weights"):
            self.files.sweep(folder)

    def _check(self, path: Path, weights: Weights) -> None:
        where = path.relative_to(self.root)
        try:
            with self.files.clock("checksum"):
                size = path.stat().st_size
                same = size == weights.bytes and _sha256(path) == weights.sha256
        except FileNotFoundError as error:
            raise WeightsLost(f"{where} is gone") from error
        if not same:
            raise WeightsLost(
                f"{where} is not what its record says ({size} bytes, of {weights.bytes}, or other "
                "content)"
            )


def _last_number(history: bytes) -> int:
    """Return the number of the last readable record of a history; -1 if there is none."""
    for line in reversed(history.splitlines(keepends=True)):
        try:
            return decode(line).member.n
        except Unreadable:
            continue
    return -1


def weights_name(n: int, epoch: int) -> str:
    """Return a name for the weights of record `n`, as written by the holder of lease `epoch`."""
    return f"{n:08d}-{epoch:08d}"


def _epoch(name: str) -> int:
    _, _, epoch = name.partition("-")
    return int(epoch) if epoch.isdigit() else 0


def _safe(name: str) -> str:
    if name != Path(name).name or name in ("", ".", ".."):
        raise WeightsLost(f"{name!r} is not the name of a weights file")
    return name


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_all(descriptor: int, size: int, path: str) -> bytes:
    if size > LARGEST_RECORD:
        raise Unreadable(f"{path} has {size} bytes: that is no record")
    return os.read(descriptor, size)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return _read_all(file.fileno(), os.fstat(file.fileno()).st_size, str(path))


def _decoded(data: bytes, id: int, path: Path | str) -> Record:
    try:
        record = decode(data)
    except Unreadable as error:
        raise Unreadable(f"{path}: {error}") from error
    if record.member.id != id:
        raise Unreadable(f"{path} holds a record of member {record.member.id}, not {id}")
    return record
