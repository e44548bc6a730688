"""What a cluster costs: submit to first step, preemption to next step, idle workers.

`python -m benchmarks.bench_slurm DIR [--partition low --preempting high]`: needs a Slurm that is
otherwise idle, DIR on a file system that its nodes see, and a partition that preempts the other
one by requeueing. On one machine, tests/slurm/cluster.sh starts such a Slurm:

    tests/slurm/cluster.sh up /tmp/slurm && . /tmp/slurm/env.sh
    python -m benchmarks.bench_slurm /tmp/slurm/runs
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from benchmarks.provenance import say, spread
from core.directory.members import Members
from core.directory.record import Record
from core.directory.run import read_info
from core.status.progress import View
from slurm.jobs.ledger import Ledger

REPEATS = 5
T = TypeVar("T")
LIMIT = 300.0  # seconds, after which something is wrong


def main() -> None:
    """Measure all three, and print one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--partition", default="low")
    parser.add_argument("--preempting", default="high")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    starts, returns, elsewhere = [], [], []
    for i in range(REPEATS):
        run = options.folder / f"preempted-{time.time():.0f}-{i}"
        starts.append(start(run, options.partition))
        returns.append(preempt_all(run, options.preempting))
        elsewhere.append(kill_one(run))
        end(run)
    run = options.folder / f"idle-{time.time():.0f}"
    start(run, options.partition, "benchmarks.presets:half_seconds_of_16", 8)
    wait(lambda: is_done(run))
    say(
        {
            "benchmark": "what a cluster costs, in seconds",
            "submit to first published step": spread(starts),
            "preemption of all workers for 2 s to the next step of each member": spread(returns),
            "SIGKILL of a job to the next step of its member, by another worker": spread(elsewhere),
            "idle share of 8 workers on 16 members, 100 turns of 0.5 s each": idle(run, 8),
            "note": "a turn of these runs takes 0.5 s, which is in the first three",
        }
    )


def start(
    run: Path,
    partition: str,
    preset: str = "benchmarks.presets:half_seconds_of_3",
    workers: int = 3,
) -> float:
    """Submit a run; return the seconds from typing to the first published step."""
    began = time.time()
    words = ["submit", preset, "--out", str(run), "--workers", str(workers), "--time", "60"]
    slurm(*words, "--partition", partition)
    wait(lambda: steps(run))
    return min(record.time for record in steps(run)) - began


def preempt_all(run: Path, partition: str) -> float:
    """Take all nodes away for two seconds; return the longest gap that a member has seen."""
    before = {record.member.id: record.member.step for record in newest(run)}
    nodes = subprocess.run(["sinfo", "-h", "-o", "%D"], capture_output=True, text=True, check=True)
    count = max(map(int, nodes.stdout.split()))
    began = time.time()
    words = ["sbatch", "-p", partition, "-N", str(count), "--exclusive", "-o", "/dev/null"]
    subprocess.run([*words, "--wrap", "sleep 2"], check=True, capture_output=True)
    jobs = Ledger(run)
    wait(lambda: all(job.restarts for job in jobs.elements().values()))
    gone = time.time()
    wait(lambda: all(record.time > gone for record in newest(run)))
    after = [min(record.time for record in history(run, id) if record.time > gone) for id in before]
    return max(after) - began


def kill_one(run: Path) -> float:
    """Kill a job without a word; return the seconds until another worker has trained its member."""
    view = View(run, read_info(run))
    row = wait(lambda: [row for row in view.rows() if row.job])[0]
    id = row.record.member.id
    began = time.time()
    words = ["scancel", "--signal=KILL", "--full", row.job]
    subprocess.run(words, check=True, capture_output=True)
    wait(lambda: [r for r in history(run, id) if r.time > began and r.worker != row.worker])
    return (
        next(r.time for r in history(run, id) if r.time > began and r.worker != row.worker) - began
    )


def idle(run: Path, workers: int) -> float:
    """Return the share of the workers' time, from first to last step, that no turn accounts for."""
    records = [record for id in range(len(newest(run))) for record in history(run, id)]
    steps = [record for record in records if record.member.step]
    first = min(record.time - record.spent for record in steps)
    last = max(record.time for record in steps)
    return round(1 - sum(record.spent for record in steps) / (workers * (last - first)), 4)


def end(run: Path) -> None:
    """Let all jobs of a run leave."""
    subprocess.run(["scancel", *Ledger(run).slurm_ids()], check=False, capture_output=True)
    wait(lambda: not any(job.is_live for job in Ledger(run).elements().values()))


def slurm(*words: str) -> None:
    """Type a command of `python -m slurm`."""
    subprocess.run([sys.executable, "-m", "slurm", *words], check=True, capture_output=True)


def newest(run: Path) -> list[Record]:
    """Return the newest record of each member."""
    return [row.record for row in View(run, read_info(run)).rows()]


def steps(run: Path) -> list[Record]:
    """Return the newest records of the members that have published a step."""
    return [record for record in newest(run) if record.member.step]


def history(run: Path, id: int) -> list[Record]:
    """Return all records of a member."""
    return list(Members(run).history(id))


def is_done(run: Path) -> bool:
    """Whether all members are done."""
    view = View(run, read_info(run))
    return view.is_done(view.rows())


def wait(what: Callable[[], T]) -> T:
    """Return what `what` returns as soon as it is true; give up after a while."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.05)
    raise TimeoutError(f"not within {LIMIT} s")


if __name__ == "__main__":
    main()
