"""Read and write times and sizes as Slurm writes them."""

import math
import re

from core.directory.run import RunError

HOUR = 60  # minutes
SIZES = {"T": 2.0**10, "G": 1.0, "M": 2**-10, "K": 2**-20}  # gigabytes


def minutes(text: str) -> int:
    """Return a time of Slurm's in minutes, rounded up as Slurm does.

    Raises:
        RunError: the text is not minutes, m:ss, h:mm:ss, d-hh, d-hh:mm or d-hh:mm:ss.
    """
    found = re.fullmatch(r"(?:(\d+)-(\d+)(?::(\d+))?(?::(\d+))?|(?:(\d+):)?(\d+)(?::(\d+))?)", text)
    if found is None:
        raise RunError(f"--time {text!r} is no time: write minutes, h:mm:ss or d-hh:mm:ss")
    day, hour, minute, second = (int(part or 0) for part in found.groups()[:4])
    if found[1] is None:
        parts = [int(part) for part in text.split(":")]
        hour, minute, second = {1: [0, *parts, 0], 2: [0, *parts], 3: parts}[len(parts)]
    return math.ceil(((24 * day + hour) * HOUR + minute) + second / 60)


def time_text(minutes: int) -> str:
    """Return minutes as Slurm writes them: "30", "4:00:00"."""
    hours, rest = divmod(minutes, HOUR)
    return f"{hours}:{rest:02d}:00" if hours else str(rest)


def gigabytes(text: str) -> float:
    """Return a size of Slurm's in gigabytes: "16G", or "4000" in megabytes.

    Raises:
        RunError: the text is not a positive whole number with K, M, G, T or no letter.
    """
    found = re.fullmatch(r"(\d+)([KMGT]?)B?", text.strip(), re.IGNORECASE)
    if found is None or not int(found[1]):
        raise RunError(f"--mem {text!r} is no size: write it as 16G or 4000M")
    return int(found[1]) * SIZES[(found[2] or "M").upper()]


def size_text(gigabytes: float) -> str:
    """Return gigabytes as Slurm writes them, in the largest unit that leaves a whole number."""
    unit = next((unit for unit, size in SIZES.items() if not gigabytes % size), "K")
    return f"{gigabytes / SIZES[unit]:.0f}{unit}"
