"""What the last bits of a result depend on besides the code: processor, kernels, threads.

A library chooses its kernels by the processor, and two kernels sum in two orders. So a training is
a function of its seed on one kind of processor, with one version of each library and one number of
threads. What the engine decides by itself needs no such kernels.
"""

import functools
import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_info

from core.directory.files import Unreadable, opened

LEVELS = ("avx512f", "avx2", "avx", "sse4_2")  # of x86, the widest first
LARGEST_LINE = 2**16  # bytes of a worker's log that are read
DECIDE = ("vendor", "instructions", "blas", "torch", "threads")  # of `kernels`: what results follow

try:
    STARTED_IN: str | None = os.getcwd()  # before a preset or a trainer may change it
except OSError:  # it was removed
    STARTED_IN = None


def kernels() -> dict[str, str]:
    """Return what decides the last bits of this process' results, by name.

    processor: for people. vendor, instructions: what libraries choose their kernels by. blas: the
    linear algebra in use, with its kernels. torch: version and kernels, if a task has loaded it.
    threads: that a library may use.
    """
    return dict(_kernels("torch" in sys.modules))


@functools.cache
def _kernels(with_torch: bool) -> Mapping[str, str]:
    processor = _processor()
    np.linalg.norm(np.ones(2))  # numpy's own library is loaded by now
    pools = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    named = {
        " ".join(
            str(pool[key]) for key in ("internal_api", "version", "architecture") if key in pool
        )
        for pool in pools
    }
    found = {
        "processor": processor.get("model name") or platform.processor() or platform.machine(),
        "vendor": processor.get("vendor_id") or platform.machine(),
        "instructions": next(
            (level for level in LEVELS if level in processor.get("flags", "").split()),
            platform.machine(),
        ),
        "blas": ", ".join(sorted(named)) or "none",
        "threads": ", ".join(sorted({str(pool["num_threads"]) for pool in pools})) or "1",
    }
    if with_torch:
        found["torch"] = _torch()
    return found


def _processor() -> dict[str, str]:
    """Return what Linux says of the first processor; nothing elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text().partition("\n\n")[0]
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _torch() -> str:
    torch = sys.modules["torch"]
    version = str(getattr(torch, "__version__", "?"))
    try:
        capability = torch.backends.cpu.get_cpu_capability()
        return f"{version} {capability}, {torch.get_num_threads()} threads"
    except Exception:  # half imported, or another torch
        return version


def unlike(root: Path, me: str, mine: Mapping[str, str]) -> list[str]:
    """Return a sentence for each kind of worker of a run whose results may differ from this one's.

    Args:
        root: the run directory, in which each worker has left a file.
        me: the name of this worker. mine: its kernels.
    """
    found: dict[str, str] = {}
    for path in sorted((root / "workers").glob("*.jsonl")):
        try:
            theirs = json.loads(_first_line(path))["kernels"]
            apart = [
                f"{name}: {theirs[name]} there, {mine[name]} here"
                for name in DECIDE
                if name in theirs and name in mine and _apart(theirs[name], mine[name])
            ]
        except (OSError, Unreadable, ValueError, KeyError, TypeError, RecursionError):
            continue
        if apart and path.stem != me:
            found.setdefault("; ".join(apart), path.stem)
    return [
        f"worker {other} is another kind of machine than {me} ({what}): in lockstep a history is a "
        "function of the seed on one kind alone, and this one is of two"
        for what, other in found.items()
    ]


def _apart(theirs: str, mine: str) -> bool:
    """Whether two lists differ; not if one process has only loaded one more library (scipy's)."""
    a, b = set(theirs.split(", ")), set(mine.split(", "))
    return not (a <= b or b <= a)


def _first_line(path: Path) -> bytes:
    with opened(path) as descriptor:
        return os.pread(descriptor, LARGEST_LINE, 0).partition(b"\n")[0]


def check_devices(devices: Sequence[str]) -> None:
    """Refuse devices that are not there, as far as a task has loaded torch, which would know.

    Raises:
        ValueError: one is not there; the message says what is.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for name in devices:
        if (found := re.fullmatch(r"cuda(?::(\d+))?", name)) is None:
            continue
        if int(found[1] or 0) >= count:
            there = ", ".join(f"cuda:{i}" for i in range(count)) or "none, but cpu"
            raise ValueError(f"there is no device {name!r} on this machine; there is {there}")
