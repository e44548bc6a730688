"""Disks: a real one that is full, a real one that is read-only, and how much of one a run needs."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.history import SEGMENT
from core.directory.members import COMPACT
from core.directory.run import open_run
from core.workers.worker import work
from tests.faults.workers import Crowd
from tests.trainers import WEIGHT

pytestmark = pytest.mark.faults
PRESET = "tests.trainers:heavy"
ROOM = 300_000  # bytes


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "small"
    folder.mkdir()
    if not _mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)):
        pytest.skip("a small file system cannot be mounted here: that takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _mount(*words: str) -> bool:
    return subprocess.run(["mount", *words], capture_output=True).returncode == 0


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "core", "run", PRESET, "--out", str(folder / "run")]
    return subprocess.run([*command, "--workers", "2", *words], capture_output=True, text=True)


def _undisturbed(tmp_path: Path) -> str:
    run = open_run(tmp_path / "undisturbed", PRESET)
    assert work(run, durable=False)
    return verify(run).digest


def test_a_full_disk_stops_the_run_with_a_sentence_and_it_resumes(
    small: Path, tmp_path: Path
) -> None:
    """As soon as there is room, the same command goes on from there, and nothing shows."""
    for mebibytes in (1, 2):  # full, and full again
        assert _mount("-o", f"remount,size={mebibytes}m", str(small))
        (small / "filler").write_bytes(b"")
        _fill(small / "filler")
        full = _run(small)
        assert full.returncode == 3
        assert "No space left on device" in full.stdout
        assert "The same command goes on from there" in full.stdout
        assert "Traceback" not in full.stdout
        (small / "filler").unlink()

    assert _mount("-o", "remount,size=8m", str(small))
    done = _run(small)

    assert done.returncode == 0, done.stdout
    verdict = verify(open_run(small / "run"))
    assert verdict.problems == []
    assert verdict.digest == _undisturbed(tmp_path)


def _fill(path: Path) -> None:
    """Leave a little room: for some turns, not for all."""
    room = os.statvfs(path).f_bavail * os.statvfs(path).f_frsize
    path.write_bytes(b"x" * max(0, room - ROOM))


def test_a_read_only_disk_stops_the_run_with_a_sentence_and_it_resumes(
    small: Path, tmp_path: Path
) -> None:
    """As a network file system becomes after an error."""
    assert _mount("-o", "remount,size=8m", str(small))
    run = open_run(small / "run", PRESET)
    work(run, durable=False, turns=11)
    assert _mount("-o", "remount,ro", str(small))

    refused = _run(small)

    assert refused.returncode in (1, 3)
    assert "Read-only file system" in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stdout + refused.stderr
    assert _mount("-o", "remount,rw", str(small))
    assert _run(small).returncode == 0
    assert verify(run).digest == _undisturbed(tmp_path)


def _used(root: Path) -> tuple[int, int, int]:
    """Return the bytes of weights and of records, each file once, and the number of files."""
    weights: dict[int, int] = {}
    records = files = 0
    for folder, _, names in os.walk(root):
        for name in names:
            try:
                found = os.lstat(os.path.join(folder, name))
            except FileNotFoundError:
                continue
            files += 1
            if folder.endswith("weights"):
                weights[found.st_ino] = found.st_size
            else:
                records += found.st_size
    return sum(weights.values()), records, files


def test_a_long_run_with_many_copies_stays_within_the_formula(tmp_path: Path) -> None:
    """The README's: 4 weights a member and 1 a worker; each record twice, and some small files."""
    members, workers, steps = 6, 3, 300
    run = open_run(tmp_path / "run", PRESET, {"members": members, "steps": steps})
    most = [0, 0, 0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            most[:] = map(max, most, _used(run.root))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with Crowd(run.root, workers) as crowd:
        crowd.wait()
    over.set()
    watcher.join()

    verdict = verify(run)
    record = max(
        len(line)
        for path in run.root.glob("members/*/history/*.jsonl")
        for line in path.read_bytes().splitlines()
    )
    singles = members * (2 * COMPACT + 1)
    print(f"{verdict.copies} copies; at most {most} bytes of weights, of records, files")
    assert verdict.problems == []
    assert verdict.copies > 400
    assert most[0] <= (4 * members + workers) * WEIGHT
    assert most[1] <= record * (verdict.records + singles + workers * (SEGMENT + 2)) + 20_000
    assert most[2] <= singles + members * (2 + steps * 2 // SEGMENT + 5) + 6 * workers + 3
