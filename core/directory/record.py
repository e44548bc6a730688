"""A record: one published moment of a member, as one line of JSON that checks itself."""

import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast, get_args

from core.directory import format_2
from core.directory.files import Unreadable
from core.directory.sealed import DECODER, FORMAT, OtherFormat, dump, seal, unseal
from core.member import Cause, Dropped, Hypers, Member
from core.task import Report

GREATEST = 2**53  # of any whole number in a record
LONGEST = 32  # bytes of a number or a letter in JSON
LARGEST_REPORT = 4 * 2**20  # bytes: a record is read whole by everybody who looks
# the phases of a turn that are no parts of each other, without the search for it
TURN = ("build", "load", "step", "eval", "report", "save", "read", "pin", "publish")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The file that holds θ of a record.

    name: its name in the member's weights/ folder; no path, so that a run can be moved.
    bytes, sha256: what the file must be.
    reseed: for a donor's file, the seed of the random stream that the copy goes on with.
    """

    name: str
    bytes: int
    sha256: str
    reseed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A member as it was published, with what belongs to this run of the program.

    member: all that does not depend on time, host or worker.
    report: what `Trainer.report` said; the engine never reads it.
    weights: None before the first step, for a member whose trainer raised, and where no file holds
        θ.
    failed: whether the member stands as its trainer raised: it has no θ until it copies another.
    error: the traceback of a trainer that raised in this turn.
    seconds: wall time by phase (step, eval, report, load, save, checksum, read, decide, pin,
        publish, fsync, claim), since the worker's previous record.
    bytes: written by this turn: weights saved, 0 for a copy by link.
    worker, host: who published it.
    time: when, by that host's clock, seconds since 1970; nothing is decided by it.
    run: the id of the run, as run.json has it; "" of format 2, which did not say.
    backend: what carried out the turn, such as "workers"; "" of format 2, which did not say.
    """

    member: Member
    report: Report = field(default_factory=dict)
    weights: Weights | None = None
    failed: bool = False
    error: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    bytes: int = 0
    worker: str = ""
    host: str = ""
    time: float = 0.0
    run: str = ""
    backend: str = ""

    @property
    def spent(self) -> float:
        """The seconds that the turn took."""
        return math.fsum(self.seconds.get(phase, 0.0) for phase in TURN)


def record_of(
    me: Member,
    before: Record,
    *,
    raised: int,
    failed: bool,
    error: str | None,
    report: Report,
    weights: Weights | None,
    seconds: Mapping[str, float],
    bytes: int,
    worker: str,
    host: str,
    time: float,
    run: str,
    backend: str,
) -> Record:
    """Return what is published of a member after a turn; all backends make their records here.

    Args:
        me: as the turn left it.
        before: its last record.
        raised: how often its trainer raised in this turn. failed: whether it stands so.
        seconds, bytes, worker, ...: as `Record` has them.
    """
    return Record(
        member=me.published(before.member, raised, failed=failed),
        report=report,
        weights=weights,
        failed=failed,
        error=error,
        seconds={phase: round(spent, 6) for phase, spent in seconds.items()},
        bytes=bytes,
        worker=worker,
        host=host,
        time=round(time, 3),
        run=run,
        backend=backend,
    )


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON, its checksum last."""
    body: dict[str, object] = {"format": FORMAT} | _fields(record)
    body["member"] = _fields(record.member)
    body["weights"] = None if record.weights is None else _fields(record.weights)
    return seal(body)


def decode(line: bytes, *, lean: bool = False) -> Record:
    """Return the record of one line.

    Args:
        lean: leave out which records a decision saw: of a thousand members these are nine tenths
            of the line, and of the time to read it. `seen` is then empty, where it is not None.

    Raises:
        Unreadable: it is not exactly what was written, or never was a record.
        OtherFormat: another version of this program has written it.
    """
    body = unseal(line, lean=lean)
    try:
        return _record(body)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise Unreadable(f"a record lacks or misuses a field: {error!r}") from error


def last_number(lines: bytes) -> int:
    """Return the number of the last record of several lines that can be read; -1 if none can."""
    for line in reversed(lines.splitlines(keepends=True)):
        try:
            return decode(line).member.n
        except (Unreadable, OtherFormat):
            continue
    return -1


def identity(record: Record) -> bytes:
    """Return what two runs that are the same run have in common here."""
    return dump({"member": _fields(record.member), "report": record.report})


def plain_report(said: object) -> Report:
    """Return what a trainer reported as a record holds it: a copy, which can be read again.

    Raises:
        TypeError, ValueError: it holds what no record can; the message names the entry.
    """
    if not isinstance(said, Mapping):
        raise TypeError(f"report() returned {said!r}: it must return names with numbers or texts")
    found: dict[str, object] = {}
    for key, entry in said.items():
        name = str(key)
        if name in found:
            raise ValueError(f"report() has two entries called {name!r}")
        if (plain := _as_it_is(entry)) is not None:
            found[name] = plain
            continue
        try:
            found[name] = DECODER.decode(dump({"": entry}).decode())[""]
            for number in _numbers(found[name]):
                float(number)
        except (TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"report() says {name!r}, but {error}") from error
    if _may_be_large(found) and (size := len(dump(found))) > LARGEST_REPORT:
        raise ValueError(f"report() has {size} bytes, of {LARGEST_REPORT} at most")
    return cast(Report, found)


def _may_be_large(found: Mapping[str, object]) -> bool:
    """Whether a report is not certain to be small: lists of numbers and plain numbers only are."""
    letters = 0
    for name, entry in found.items():
        many = type(entry) is list and all(type(one) is float for one in entry)
        if not many and type(entry) is not float:
            return True
        letters += LONGEST * (len(name) + (len(entry) if type(entry) is list else 1))
    return letters > LARGEST_REPORT


def _as_it_is(entry: object) -> object:
    """Return a copy of an entry that JSON keeps as it is; None of any other, which takes longer."""
    if type(entry) is float:
        return entry if math.isfinite(entry) else None
    if type(entry) is list and all(type(one) is float and math.isfinite(one) for one in entry):
        return list(entry)
    return None


def _numbers(value: object) -> Iterator[int | float]:
    if isinstance(value, int | float):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _numbers(item)


def _fields(value: Member | Record | Weights | Dropped) -> dict[str, object]:
    """Return the fields of one of our records, not copied: a decision may have seen a thousand."""
    found = {name: getattr(value, name) for name in type(value).__slots__}
    if isinstance(value, Member) and value.seen is not None:
        found["seen"] = sorted(value.seen.items())  # JSON has no whole numbers for keys
    return found


def _record(body: Mapping[str, object]) -> Record:
    if body["format"] == 2:
        body = format_2.record(body)
    weights = body["weights"]
    return Record(
        member=_member(_a(dict, body["member"])),
        report=cast(Report, _a(dict, body["report"])),
        weights=None if weights is None else _weights(_a(dict, weights)),
        failed=_a(bool, body["failed"]),
        error=None if body["error"] is None else _a(str, body["error"]),
        seconds={phase: _number(spent) for phase, spent in _a(dict, body["seconds"]).items()},
        bytes=_count(body["bytes"]),
        worker=_a(str, body["worker"]),
        host=_a(str, body["host"]),
        time=_number(body["time"]),
        run=_a(str, body["run"]),
        backend=_a(str, body["backend"]),
    )


def _weights(body: Mapping[str, object]) -> Weights:
    return Weights(
        name=_a(str, body["name"]),
        bytes=_count(body["bytes"]),
        sha256=_a(str, body["sha256"]),
        reseed=None if body["reseed"] is None else _count(body["reseed"], 2**63 - 1),
    )


def _member(body: Mapping[str, object]) -> Member:
    dropped, seen = body["dropped"], body["seen"]
    cause = _a(str, body["cause"])
    if cause not in get_args(Cause):
        raise ValueError(f"the cause {cause[:20]!r}")
    return Member(
        id=_count(body["id"]),
        n=_count(body["n"]),
        step=_count(body["step"]),
        score=_score(body["score"]),
        scores=_scores(body["scores"]),
        hypers=_hypers(body["hypers"]),
        cause=cast(Cause, cause),
        parent=_place(body["parent"]),
        seen=None if seen is None else _seen(_a(list, seen)),
        dropped=None if dropped is None else _dropped(_a(dict, dropped)),
        waiting=_a(bool, body["waiting"]),
        last_ready=_count(body["last_ready"]),
        last_copy=_count(body["last_copy"]),
        last_parent=_place(body["last_parent"]),
        failures=_count(body["failures"]),
    )


def _dropped(body: Mapping[str, object]) -> Dropped:
    return Dropped(
        score=_score(body["score"]),
        scores=_scores(body["scores"]),
        hypers=_hypers(body["hypers"]),
    )


def _a(kind: type[T], value: object) -> T:
    """Return a value that must be of one of JSON's types, exactly: a bool is no int here."""
    if type(value) is not kind:
        raise TypeError(f"{str(value)[:20]!r} is no {kind.__name__}")
    return value


def _count(value: object, greatest: int = GREATEST) -> int:
    if not 0 <= (number := _a(int, value)) <= greatest:
        raise ValueError(f"a number of {number.bit_length()} bits, or below 0")
    return number


def _number(value: object) -> float:
    return value if type(value) is float else float(_count(value))


def _score(value: object) -> float:
    if value is None:
        return math.nan
    return value if type(value) is float else float(_a(int, value))


def _scores(values: object) -> tuple[float, ...]:
    return tuple(map(_score, _a(list, values)))


def _hypers(body: object) -> Hypers:
    hypers = _a(dict, body)
    for value in hypers.values():
        if not isinstance(value, str) and not abs(_score(value)) <= sys.float_info.max:
            raise ValueError(f"the hyperparameter {value!r}")
    return cast(Hypers, hypers)


def _place(value: object) -> tuple[int, int] | None:
    if value is None:
        return None
    id, n = _a(list, value)
    return _count(id), _count(n)


def _seen(pairs: list[object]) -> Mapping[int, int | None]:
    found: dict[int, int | None] = {}
    for pair in pairs:  # a thousand of them at a decision by truncation: checked in one line each
        if type(pair) is not list or len(pair) != 2 or not (_is_place(*pair)):
            raise ValueError(f"{str(pair)[:40]} is no member and number of a record")
        found[pair[0]] = pair[1]
    return found


def _is_place(id: object, n: object) -> bool:
    return (
        type(id) is int
        and 0 <= id <= GREATEST
        and (n is None or (type(n) is int and 0 <= n <= GREATEST))
    )
