"""Times and sizes, as Slurm writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.directory.run import RunError
from slurm.units import gigabytes, minutes, size_text, time_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90", 90),
        ("10:00", 10),
        ("0:30", 1),
        ("4:00:00", 240),
        ("0:00:01", 1),
        ("2-0", 2880),
        ("1-12:30", 2190),
        ("1-00:00:01", 1441),
    ],
)
def test_times_are_read_as_slurm_reads_them(text: str, expected: int) -> None:
    """Minutes, minutes with seconds, hours, days; a part of a minute counts as a whole one."""
    assert minutes(text) == expected


@given(
    days=st.integers(0, 30), hours=st.integers(0, 23), rest=st.integers(0, 59), s=st.integers(0, 59)
)
def test_the_ways_to_write_a_time_agree(days: int, hours: int, rest: int, s: int) -> None:
    """Minutes, hours and days of the same time give the same number."""
    seconds = ((days * 24 + hours) * 60 + rest) * 60 + s

    assert minutes(f"{days}-{hours}:{rest:02d}:{s:02d}") == -(-seconds // 60)
    assert minutes(f"{days * 24 + hours}:{rest:02d}:{s:02d}") == -(-seconds // 60)
    assert minutes(f"{seconds // 60}:{s:02d}") == -(-seconds // 60)


@pytest.mark.parametrize("text", ["", "4h", "1-", "-5", "1:2:3:4", "infinite", "1.5"])
def test_a_text_that_is_no_time_is_refused(text: str) -> None:
    """The message lists the valid formats."""
    with pytest.raises(RunError, match="d-hh:mm:ss"):
        minutes(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("16G", 16), ("16GB", 16), ("4000M", 3.90625), ("4000", 3.90625), ("1T", 1024), ("512m", 0.5)],
)
def test_sizes_are_read_as_slurm_reads_them(text: str, expected: float) -> None:
    """A number without a unit is megabytes."""
    assert gigabytes(text) == expected


@pytest.mark.parametrize("text", ["", "0", "4 GB", "lots", "-1G"])
def test_a_text_that_is_no_size_is_refused(text: str) -> None:
    """The message gives an example."""
    with pytest.raises(RunError, match="16G"):
        gigabytes(text)


@given(length=st.integers(0, 10**5), size=st.integers(1, 2**33))
def test_what_is_written_is_read_again(length: int, size: int) -> None:
    """Minutes, and whole kilobytes, survive as text."""
    assert minutes(time_text(length)) == length
    assert gigabytes(size_text(size * 2**-20)) == size * 2**-20
