"""A record: one published moment of a member, as one line of JSON that checks itself."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import cast

from core.member import Cause, Dropped, Hypers, Member
from core.task import Report

FORMAT = 1  # of records and of run.json; a reader refuses any other


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
    weights: None before the first step, and for a member whose trainer raised.
    error: the traceback of a trainer that raised in this turn.
    seconds: wall time by phase (step, eval, report, load, save, checksum, read, decide, pin,
        publish, fsync, claim), since the worker's previous record.
    bytes: written by this turn: weights saved, 0 for a copy by link.
    worker, host: who published it.
    time: when, by that host's clock, seconds since 1970; nothing is decided by it.
    """

    member: Member
    report: Report = field(default_factory=dict)
    weights: Weights | None = None
    error: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)
    bytes: int = 0
    worker: str = ""
    host: str = ""
    time: float = 0.0


class Unreadable(ValueError):
    """Not a record of ours: cut short, altered, or of another format."""


def encode(record: Record) -> bytes:
    """Return the record as one line of JSON, its checksum last."""
    body: dict[str, object] = {"format": FORMAT} | _fields(record)
    body["member"] = _fields(record.member)
    body["weights"] = None if record.weights is None else _fields(record.weights)
    return seal(body)


def decode(line: bytes) -> Record:
    """Return the record of one line; raise Unreadable if it is not exactly what was written."""
    body = unseal(line)
    try:
        return _record(body)
    except (KeyError, TypeError, AttributeError) as error:
        raise Unreadable(f"a record lacks or misuses a field: {error!r}") from error


def identity(record: Record) -> bytes:
    """Return what two runs that are the same run have in common here."""
    return _dump({"member": _fields(record.member), "report": record.report})


def report_size(report: Report) -> int:
    """Return the bytes that a report takes in a record; raise TypeError if it cannot be written."""
    return len(_dump({"report": report}))


def seal(body: Mapping[str, object]) -> bytes:
    """Return JSON on one line that ends with the checksum of what stands before it."""
    text = _dump(body)
    return text[:-1] + b',"checksum":"' + _checksum(text).encode() + b'"}\n'


def unseal(line: bytes) -> dict[str, object]:
    """Return what was sealed; raise Unreadable if one bit is other, or the format is."""
    tail = len(b',"checksum":"0123456789abcdef"}\n')
    text = line[:-tail] + b"}"
    if len(line) <= tail or line != text[:-1] + b',"checksum":"' + _checksum(text).encode() + (
        b'"}\n'
    ):
        raise Unreadable("the checksum does not match")
    body = json.loads(text)
    if not isinstance(body, dict) or body.get("format") != FORMAT:
        found = body.get("format") if isinstance(body, dict) else None
        raise Unreadable(f"the format is {found!r}, this program reads {FORMAT}")
    return body


def _dump(body: Mapping[str, object]) -> bytes:
    return json.dumps(_plain(body), allow_nan=False, separators=(",", ":")).encode()


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _fields(value: Member | Record | Weights | Dropped) -> dict[str, object]:
    """Return the fields of one of our records, not copied: a decision may have seen a thousand."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _plain(value: object) -> object:
    """Return `value` as JSON can say it; a number that is not finite becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, Dropped):
        return _plain(_fields(value))
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # an array, a tensor, or a number of one
        return _plain(value.tolist())
    raise TypeError(f"{value!r} cannot be written into a record: give numbers, lists or texts")


def _record(body: Mapping[str, object]) -> Record:
    member = cast(dict[str, object], body["member"])
    weights = cast("dict[str, object] | None", body["weights"])
    return Record(
        member=_member(member),
        report=cast(Report, body["report"]),
        weights=None if weights is None else Weights(**weights),  # type: ignore[arg-type]
        error=cast("str | None", body["error"]),
        seconds=cast(Mapping[str, float], body["seconds"]),
        bytes=cast(int, body["bytes"]),
        worker=cast(str, body["worker"]),
        host=cast(str, body["host"]),
        time=cast(float, body["time"]),
    )


def _member(body: dict[str, object]) -> Member:
    dropped = cast("dict[str, object] | None", body["dropped"])
    parent = cast("list[int] | None", body["parent"])
    last = cast("list[int] | None", body["last_parent"])
    seen = cast("list[int | None] | None", body["seen"])
    return Member(
        id=cast(int, body["id"]),
        n=cast(int, body["n"]),
        step=cast(int, body["step"]),
        score=_score(body["score"]),
        scores=_scores(body["scores"]),
        hypers=cast(Hypers, body["hypers"]),
        cause=cast(Cause, body["cause"]),
        parent=None if parent is None else (parent[0], parent[1]),
        seen=None if seen is None else tuple(seen),
        dropped=None
        if dropped is None
        else Dropped(
            score=_score(dropped["score"]),
            scores=_scores(dropped["scores"]),
            hypers=cast(Hypers, dropped["hypers"]),
        ),
        waiting=cast(bool, body["waiting"]),
        last_ready=cast(int, body["last_ready"]),
        last_copy=cast(int, body["last_copy"]),
        last_parent=None if last is None else (last[0], last[1]),
        failures=cast(int, body["failures"]),
    )


def _score(value: object) -> float:
    return math.nan if value is None else float(cast(float, value))


def _scores(values: object) -> tuple[float, ...]:
    return tuple(_score(value) for value in cast(list[object], values))
