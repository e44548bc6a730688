"""What it costs to copy a state of 780 MB (a base Transformer with its Adam moments).

`python -m benchmarks.bench_copy DIR`: DIR is on the file system to measure. The copy is a hard link
and a look at each byte (SHA-256); torch.load of the same file stands beside it.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from benchmarks.provenance import say, spread
from core.directory.members import Members
from core.directory.weights import weights_name

NUMBERS = 65_000_000  # parameters, and as many first and second moments


def main() -> None:
    """Save once; then copy and load in turns."""
    where = sys.argv[1] if len(sys.argv) > 1 else None
    seconds: dict[str, list[float]] = {"link_and_checksum": [], "load": [], "plain_copy": []}
    with tempfile.TemporaryDirectory(dir=where) as folder:
        population = Members(Path(folder))
        state = {name: torch.zeros(NUMBERS) for name in ("weights", "first", "second")}
        weights = population.weights.save(1, weights_name(1, 1), lambda path: _save(state, path))
        used: list[int] = []
        for turn in range(5):
            before = _disk(folder)
            began = time.perf_counter()
            path, copied = population.weights.pin(1, weights, 0, weights_name(turn, 1))
            seconds["link_and_checksum"].append(time.perf_counter() - began)
            used.append(_disk(folder) - before + copied)
            began = time.perf_counter()
            torch.load(path, weights_only=True)
            seconds["load"].append(time.perf_counter() - began)
            began = time.perf_counter()
            (Path(folder) / "plain").write_bytes(path.read_bytes())
            seconds["plain_copy"].append(time.perf_counter() - began)
            (Path(folder) / "plain").unlink()
        ratio = [a / b for a, b in zip(seconds["link_and_checksum"], seconds["load"], strict=True)]
        say(
            {
                "benchmark": "copying a state by link",
                "megabytes": round(weights.bytes / 1e6),
                "seconds": {name: spread(values) for name, values in seconds.items()},
                "copy_over_load": spread(ratio),
                "disk_bytes_of_a_copy": max(used),
            }
        )


def _save(state: dict[str, torch.Tensor], path: Path) -> None:
    with path.open("wb") as file:
        torch.save(state, file)


def _disk(folder: str) -> int:
    """Return the bytes on disk below a folder, each file once whatever its names."""
    found = {}
    for path in Path(folder).rglob("*"):
        if path.is_file():
            status = os.stat(path)
            found[status.st_ino] = status.st_blocks * 512
    return sum(found.values())


if __name__ == "__main__":
    main()
