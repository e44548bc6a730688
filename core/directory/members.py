"""The run directory: what the members publish, and where the others read it.

    run.json                       what is run: preset, settings, commit, versions; never changed
    members/003/record.json        the newest record of member 3
    members/003/recent/00000040    the last records, each in a file of its own
    members/003/history/0...jsonl  all but the last ones, one a line, oldest first, 256 a file
    members/003/weights/...        θ of its last steps; a name is never used again
    members/003/lease/7.40.<name>  who trains it now (core/directory/lease.py)
    workers/<worker>.json          a worker's heartbeat; .jsonl its warnings; .log what it printed

A file has one writer, is whole or not there, and is never changed in place. Weights are written
before the record that names them. A record's number is taken by creating recent/<number>, which
can happen once: that is what makes two records of one moment impossible.
"""

import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.directory.files import (
    NO_FENCE,
    Fence,
    Files,
    Identity,
    LeaseLost,
    Unreadable,
    make_folder,
    read,
    read_news,
    rename,
    stale_is_gone,
    tail,
    take,
)
from core.directory.history import LARGEST_RECORD, SEGMENT, History
from core.directory.lease import lay_out
from core.directory.record import Record, decode, encode, last_number
from core.directory.sealed import OtherFormat
from core.directory.weights import WeightsFiles
from core.peers import Arrivals
from core.space import Space
from core.values import check_names

COMPACT = 32  # records that join the history at once; twice as many are single files at most
LARGE = 100  # members, from which on a record that was just looked at is not looked at again
LOOKS = 10  # as long as so many looks at all of them take,
MOMENT = 0.1  # and for so many seconds at most, however busy the machine is
REMEMBER = 3  # records of a member that are kept in memory
PLACES = ("recent", "history", "weights")  # the folders of a member that are written to


@dataclass(slots=True)
class Members:
    """The members' folders, written and read.

    Args:
        root: the run directory.
        files: how to write.
        warn: told, in a sentence, of what was wrong and what was done about it.
        space: whose names the hypers of every record must have; None to read any record.
        lean: read records without what their decisions saw (core.directory.record.decode).
    """

    root: Path
    files: Files = field(default_factory=Files)
    warn: Callable[[str], None] = lambda _: None
    space: Space | None = None
    lean: bool = False
    weights: WeightsFiles = field(init=False)
    past: History = field(init=False)
    _heads: dict[int, tuple[str, Identity, Record, float]] = field(default_factory=dict)
    _records: dict[int, dict[int, Record]] = field(default_factory=dict)
    _entered: set[int] = field(default_factory=set)
    _cost: float = 5e-6  # seconds that a look at one record takes, as measured
    _arrivals: Arrivals = field(init=False)
    _complaints: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.weights = WeightsFiles(self.files, self.folder, self.enter, self.warn)
        self._arrivals = Arrivals(self._step_of)
        self.past = History(self.folder, self._decoded, self.complain)

    def folder(self, id: int) -> Path:
        """Return the folder of a member."""
        return self.root / "members" / f"{id:03d}"

    def enter(self, id: int) -> Path:
        """Let the folders of a member be there, real ones; return the member's.

        Raises:
            Unreadable: one of them is a link or a file: to write there might write elsewhere.
        """
        folder = self.folder(id)
        if id in self._entered:
            return folder
        places = [self.root / "members", folder, *(folder / name for name in PLACES)]
        new = [path.parent for path in places if make_folder(path)]
        lay_out(folder, self.files)
        make_folder(folder / "lease")
        for parent in dict.fromkeys(new):
            self.files.sync(parent)
        self._entered.add(id)
        return folder

    def complain(self, sentence: str) -> None:
        """Warn of something, once."""
        if sentence not in self._complaints:
            self._complaints.add(sentence)
            self.warn(sentence)

    # ---------------------------------------------------------------------------- reading

    def newest(self, id: int, *, at_once: bool = False) -> Record | None:
        """Return the newest record of a member, perhaps a moment old; None before its first.

        Of a large population, a record that was looked at a moment ago is not looked at again: the
        moment is as long as ten looks at all of them take, some 50 ms of 1,000, and 100 ms at most.

        Args:
            at_once: look again, however large the population is.

        Raises:
            OtherFormat: another version of this program has written it.
        """
        known, began = self._heads.get(id), time.perf_counter()
        if known is not None and not at_once and len(self._heads) >= LARGE:
            moment = min(LOOKS * self._cost * len(self._heads), MOMENT)
            if began - known[3] < moment:
                return known[2]
        view = self._view(id)
        took = time.perf_counter() - began
        self._cost += (took - self._cost) / 16
        self.files.clock.add("read", took)
        return self._newest_but_view(id) if view is None else view

    def _view(self, id: int) -> Record | None:
        """Return what record.json holds, if it can be read."""
        known = self._heads.get(id)
        path = known[0] if known is not None else f"{self.root}/members/{id:03d}/record.json"
        try:
            data, identity = read_news(path, LARGEST_RECORD, known and known[1])
            if data is None and known is not None:
                self._heads[id] = (*known[:3], time.perf_counter())
                return known[2]
            record = self._decoded(data or b"", id, path)
        except FileNotFoundError:
            return None
        except Unreadable as error:
            self.complain(f"{error}; the newest record before it is used")
            return None
        if known is not None and known[2].member.n > record.member.n:
            record = known[2]  # a network file system may show what was there before
        return self._note(path, identity, record)

    def _note(self, path: str, identity: Identity, record: Record) -> Record:
        self._heads[record.member.id] = (path, identity, record, time.perf_counter())
        return self._remember(record)

    def _newest_but_view(self, id: int) -> Record | None:
        for n in sorted(self._recent(id), reverse=True):
            try:
                return self.record(id, n)
            except (Unreadable, FileNotFoundError):
                continue
        for segment in reversed(self.past.segments(id)):
            if lines := self.past.lines(id, segment):
                return lines[-1]
        return None

    def head(self, id: int, right: Fence = NO_FENCE) -> Record | None:
        """Return the newest record for certain: what whoever holds the lease goes on from.

        Raises:
            OtherFormat: another version of this program has written it.
            LeaseLost: the lease was lost meanwhile.
        """
        view = self._view(id)
        newest = self._newest_but_view(id) if view is None else view
        recent = sorted(self._recent(id), reverse=True)
        # record.json is but a view, and a network file system may show one of a while ago
        for n in recent:
            if newest is not None and n < newest.member.n:
                break
            try:
                record = self._single(id, n)
            except Unreadable as error:
                right.fence()
                self._set_aside(self._path(id, n), id)
                copy = newest if newest is not None and newest.member.n == n else None
                copy = copy or self.past.find(id, n)
                if copy is None:
                    self.warn(f"{error}; it is set aside, and its step is trained again")
                    continue
                self.warn(f"{error}; it is set aside, and written anew from its other copy")
                self._put(copy, right)
                record = copy
            except FileNotFoundError as error:
                raise LeaseLost(f"member {id} was taken over while it was looked at") from error
            if record != view:
                self._show(record, right)
            newest = self._remember(record)
            break
        if newest is not None and len(recent) > 2 * COMPACT:  # a worker died before it could
            self._compact(id, newest.member.n, right)
        return newest

    def _show(self, record: Record, right: Fence) -> None:
        """Let record.json be this record: a copy, not a link, which some would show late."""
        view = replace(self.files, durable=False)
        view.replace(self.folder(record.member.id) / "record.json", encode(record), right)

    def _set_aside(self, path: Path, id: int) -> None:
        """Free the number of a record that cannot be read, and of no other."""
        rename(path, aside := _aside(path))
        try:
            self._decoded(read(aside, LARGEST_RECORD), id, aside)
        except Unreadable:
            return
        take(aside, path)  # it was replaced by a good one while we were paused

    def record(self, id: int, n: int) -> Record:
        """Return one record.

        Raises:
            FileNotFoundError: there is none of that number.
            Unreadable: there is one, but it is not what was written.
        """
        if known := self._records.get(id, {}).get(n):
            return known
        try:
            return self._remember(self._single(id, n))
        except FileNotFoundError:
            if (record := self.past.find(id, n)) is not None:
                return self._remember(record)
        raise FileNotFoundError(f"no record {n} of member {id} in {self.root}")

    def _single(self, id: int, n: int) -> Record:
        """Read a record from its own file."""
        path = self._path(id, n)
        return self._decoded(read(path, LARGEST_RECORD), id, path, n)

    def _remember(self, record: Record) -> Record:
        """Keep the last few records of each member in memory."""
        known = self._records.setdefault(record.member.id, {})
        known[record.member.n] = record
        if len(known) > REMEMBER:
            del known[min(known)]
        return record

    def have_all_come(self, step: int, members: int) -> bool:
        """Whether every member has reached a step."""
        return self._arrivals.are_complete(step, members)

    def _step_of(self, id: int) -> int:
        record = self.newest(id, at_once=True)
        return -1 if record is None else record.member.step

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
                records[n] = self._single(id, n)
            except FileNotFoundError:
                continue
            except Unreadable as error:
                self.complain(str(error))
        for segment in self.past.segments(id):
            records |= {record.member.n: record for record in self.past.lines(id, segment)}
        return [records[n] for n in sorted(records)]

    def _decoded(self, data: bytes, id: int, path: Path | str, n: int | None = None) -> Record:
        """Return a record that must be of this member, and of this number if one is given."""
        try:
            record = decode(data, lean=self.lean)
            if self.space is not None:
                check_names(record.member.hypers, self.space)
        except OtherFormat as error:
            raise OtherFormat(f"{path}: {error}") from error
        except ValueError as error:
            raise Unreadable(f"{path}: {error}") from error
        me = record.member
        if me.id != id or n not in (None, me.n):
            wanted = f"member {id}" if n is None else f"record {n} of member {id}"
            raise Unreadable(f"{path} holds record {me.n} of member {me.id}, not {wanted}")
        return record

    def _recent(self, id: int) -> list[int]:
        try:
            with stale_is_gone():
                names = os.listdir(self.folder(id) / "recent")
        except FileNotFoundError:
            return []
        return [int(name) for name in names if name.isdecimal()]

    def _path(self, id: int, n: int) -> Path:
        return self.folder(id) / "recent" / f"{n:08d}"

    # ---------------------------------------------------------------------------- writing

    def publish(self, record: Record, right: Fence = NO_FENCE) -> None:
        """Publish a record; its weights are there already.

        Raises:
            LeaseLost: a record of this number exists, or the right is lost.
        """
        self._put(record, right)
        self._show(record, right)
        self._remember(record)
        if known := self._heads.get(record.member.id):
            self._heads[record.member.id] = (*known[:3], -math.inf)  # it is looked at anew
        if (record.member.n + 1) % COMPACT == 0:
            self._compact(record.member.id, record.member.n, right)

    def _put(self, record: Record, right: Fence) -> None:
        """Let a record have its number, in a file of its own."""
        id, n = record.member.id, record.member.n
        folder, path, data = self.enter(id), self._path(id, n), encode(record)
        if len(data) > LARGEST_RECORD:
            raise ValueError(f"a record of {len(data)} bytes: a sample of fewer scores is needed")
        decode(data, lean=True)  # raises: nothing is published that this program could not read
        temporary = self.files.temporary(folder, right)
        try:
            self.files.write(temporary, data)
            right.fence()
            if not take(temporary, path):
                raise LeaseLost(f"record {n} of member {id} is another worker's")
        except FileNotFoundError as error:  # swept by the worker that took the member over
            raise LeaseLost(f"member {id} was taken over at record {n}") from error
        finally:
            temporary.unlink(missing_ok=True)
        self.files.sync(path.parent)

    def _compact(self, id: int, newest: int, right: Fence) -> None:
        """Add the single records of a member to its history; remove those that were there before.

        The last ones stay, so that a view of the folder that is old by some turns shows no hole,
        and a worker that went on from one finds its number taken.
        """
        if not (recent := sorted(self._recent(id))):
            return
        for first in range(recent[0] - recent[0] % SEGMENT, newest + 1, SEGMENT):
            segment = self.past.segment(id, first)
            last = last_number(past := tail(segment, LARGEST_RECORD))
            new = []
            # by number, not as listed: a listing may have a hole where a file is
            for n in range(max(first, last + 1), min(newest + 1, first + SEGMENT)):
                path = self._path(id, n)
                try:
                    data = read(path, LARGEST_RECORD)
                    self._decoded(data, id, path, n)
                    new.append(data)
                except FileNotFoundError as error:
                    if n in recent:  # its heir has compacted meanwhile, too
                        raise LeaseLost(f"member {id} was taken over, and compacted") from error
                    if not _aside(path).exists():  # to go on would be to lose what is not seen
                        self.complain(f"{segment} lacks record {n}, as seen from here: it waits")
                        return
                except Unreadable as error:
                    right.fence()
                    self._set_aside(path, id)
                    self.complain(f"{error}; it is set aside, and left out of the history")
            cut = b"" if past.endswith(b"\n") or not past else b"\n"
            if new:
                self.files.extend(segment, cut + b"".join(new), right)
                self.files.sync(segment.parent)
        for n in recent:
            if n <= newest - COMPACT:
                self._path(id, n).unlink(missing_ok=True)

    def sweep(self, id: int, before: int) -> None:
        """Make all writes fail that were begun, and not ended, under leases before that number."""
        folder = self.enter(id)
        for place in (folder, folder / "history", folder / "weights"):
            self.files.sweep(place, before)


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.unreadable")
