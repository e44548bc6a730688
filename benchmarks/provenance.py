"""Where a number comes from: commit, machine, versions, time."""

import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence

from core.directory.run import code_version, versions


def say(result: Mapping[str, object]) -> None:
    """Print a result as one line of JSON, with where it comes from."""
    machine = {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "system": platform.platform(),
    }
    when = time.strftime("%Y-%m-%d")
    print(
        json.dumps(
            dict(result)
            | {"commit": code_version(), "machine": machine, "versions": versions(), "date": when}
        )
    )


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":")[1].strip() for line in lines if "model name" in line)
    except (OSError, StopIteration):
        return platform.processor()


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return the least, the median and the greatest of several measurements."""
    return {
        "min": round(min(values), 4),
        "median": round(statistics.median(values), 4),
        "max": round(max(values), 4),
        "n": len(values),
    }
