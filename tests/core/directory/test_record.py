"""Records: what is written is what is read, or nothing is."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.directory.files import Unreadable
from core.directory.record import Record, Weights, decode, encode
from core.directory.sealed import OtherFormat, seal, unseal
from core.member import Dropped, Member

RECORD = Record(
    member=Member(
        id=3,
        n=7,
        step=5,
        score=1.25,
        scores=(1.0, 1.5),
        hypers={"lr": 1e-3, "layers": 2, "kind": "ü"},
        cause="exploit",
        parent=(1, 4),
        seen={0: 3, 1: 4, 2: None},
        dropped=Dropped(score=0.5, scores=(0.5,), hypers={"lr": 2e-3, "layers": 3, "kind": "a"}),
        last_ready=5,
        last_copy=5,
        failures=1,
    ),
    report={"held_out": 0.3, "path": [1.0, 2.0], "picture": "data:"},
    weights=Weights(name="00000007-00000002", bytes=12, sha256="ab" * 32, reseed=2**60),
    error='Traceback:\n  "quoted"',
    seconds={"step": 0.25},
    bytes=12,
    worker="host-1-ab",
    host="host",
    time=1700000000.25,
)


def test_a_record_comes_back_as_it_was() -> None:
    """All fields, and exactly."""
    assert decode(encode(RECORD)) == RECORD
    assert encode(RECORD).count(b"\n") == 1


@given(
    score=st.floats(),
    scores=st.lists(st.floats(allow_nan=False, allow_infinity=False), max_size=12),
    hypers=st.dictionaries(
        st.text(), st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text()
    ),
)
def test_any_numbers_and_names_come_back(
    score: float, scores: list[float], hypers: dict[str, float | str]
) -> None:
    """To the last bit; a score that is not finite comes back as NaN, which ranks the same."""
    member = replace(RECORD.member, score=score, scores=tuple(scores), hypers=hypers)

    back = decode(encode(replace(RECORD, member=member))).member

    assert back.fitness == member.fitness
    assert back.score == score or (not math.isfinite(score) and math.isnan(back.score))
    assert (back.scores, back.hypers) == (tuple(scores), hypers)


def test_a_record_truncated_at_every_byte_is_never_read_wrongly() -> None:
    """Caught in IsaacGymEnvs, where such files vanished, lost keys, or gave wrong values."""
    line = encode(RECORD)

    for length in range(len(line)):
        with pytest.raises(Unreadable):
            decode(line[:length])


def test_a_record_with_any_bit_flipped_is_never_read_wrongly() -> None:
    """The checksum covers each of them."""
    line = encode(RECORD)

    for byte in range(len(line)):
        for bit in range(8):
            flipped = bytearray(line)
            flipped[byte] ^= 1 << bit
            with pytest.raises(Unreadable):
                decode(bytes(flipped))


def test_another_format_is_named() -> None:
    """A reader does not guess what a later version meant."""
    with pytest.raises(OtherFormat, match="the format is '99', this program reads 2 and 3"):
        unseal(seal({"format": 99}))
