"""JSON on one line that checks itself: what run.json and the records are written in."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass

import msgspec

from core.directory.files import Unreadable

FORMAT = 3  # of records and of run.json, as they are written
READ = (2, 3)  # the formats that are read; a reader refuses any other


class OtherFormat(ValueError):
    """Written whole and well, but by another version of this program."""


def seal(body: Mapping[str, object]) -> bytes:
    """Return JSON on one line that ends with the checksum of what stands before it."""
    try:
        text: bytes = SEALER.encode(body)
    except (UnicodeEncodeError, TypeError):  # half a letter, say, which json writes as an escape
        text = dump(body)
    return text[:-1] + b',"checksum":"' + _checksum(text).encode() + b'"}\n'


def unseal(line: bytes, *, lean: bool = False) -> dict[str, object]:
    """Return what was sealed; if `lean`, without the pairs of "seen".

    Raises:
        Unreadable: one bit is other, or it is not JSON of finite numbers.
        OtherFormat: another version of this program has written it.
    """
    tail = len(b',"checksum":"0123456789abcdef"}\n')
    text = line[:-tail] + b"}"
    if len(line) <= tail or line != text[:-1] + b',"checksum":"' + _checksum(text).encode() + (
        b'"}\n'
    ):
        raise Unreadable("the checksum does not match")
    # a quote inside of a text is written \", so these are names of fields, in our order
    if lean and (begin := text.find(b',"seen":[[')) > 0:
        end = text.find(b"]]", begin)
        if text.startswith(b']],"dropped":', end):
            text = text[:begin] + b',"seen":[' + text[end + 1 :]
    try:
        body = DECODER.decode(text.decode())
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"it is no JSON of ours: {error}") from error
    if not isinstance(body, dict):
        raise Unreadable("it is no JSON object")
    if body.get("format") not in READ:
        raise OtherFormat(
            f"the format is {str(body.get('format'))[:20]!r}, this program reads 2 and 3: use "
            "the version of the program that wrote it, or begin anew in another directory"
        )
    return body


def _finite(text: str) -> float:
    """Return a number; refuse NaN, Infinity and 1e400, which JSON's reader lets through."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no finite number")
    return number


DECODER = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)  # once: it takes long


def dump(body: Mapping[str, object]) -> bytes:
    """Return JSON in the very text that digests are made of."""
    try:
        text = ENCODER.encode(body)
    except ValueError:  # a number that is not finite, which is rare
        text = ENCODER.encode(_plain(body))
    return text.encode()


def _checksum(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:16]


def _plain(value: object) -> object:
    """Return `value` as JSON can say it; a number that is not finite becomes null."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _plain({field.name: getattr(value, field.name) for field in fields(value)})
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # an array, a tensor, or a number of one
        return _plain(value.tolist())
    raise TypeError(f"{value!r} cannot be written into a record: give numbers, lists or texts")


# made once: to make one takes long. A digest needs the very text of json; a record any JSON, so the
# faster one writes it
ENCODER = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=_plain)
SEALER = msgspec.json.Encoder(enc_hook=_plain)
