"""Check, before a submission, what would go wrong with the jobs of a run."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from core.directory.run import RunError
from core.status.progress import duration
from core.terminal.whole import Whole
from core.workers.worker import MARGIN
from slurm import squeue
from slurm.code.snapshot import Snapshot
from slurm.jobs.executor import sbatch_file
from slurm.jobs.job import LAST
from slurm.jobs.ledger import Ledger
from slurm.request import Request
from slurm.units import minutes, time_text

# makes the preset where only frozen code can be imported; prints its error without a traceback
MAKE = """
import sys
from core.directory.run import resolve_any
try:
    resolve_any(sys.argv[1])
except ValueError as error:
    sys.exit(str(error))
"""
# runs on a node: read a file, write one as the engine does, start Python
PROBE_SCRIPT = """
cd "$1" || { echo "PROBE: $1 is not there"; exit 3; }
grep -q "$2" probe || { echo "PROBE: $1 is there, but is another directory"; exit 3; }
t="probe-$$"
{ : >"$t" && mv "$t" "$t.x" && rm "$t.x"; } || { echo "PROBE: $1 cannot be written"; exit 3; }
"$3" -c 'import numpy, scipy, rich, submitit' || { echo "PROBE: $3 does not work there"; exit 3; }
echo "PROBE: fine"
"""


def check_request(request: Request) -> None:
    """Ask Slurm whether it would take such jobs.

    Raises:
        RunError: it would not, or there is no Slurm here.
    """
    if request.cluster != "slurm":
        return
    if request.minutes is None:
        raise RunError(
            "--time is missing: how long a job may run before it is requeued, as in "
            "--time 4:00:00 (the site's file may have it too)"
        )
    if shutil.which("sbatch") is None:
        squeue.call("sbatch")  # its error says what to do
    known = squeue.partitions()
    named = [] if request.partition is None else request.partition.split(",")
    for name in named:
        if name not in known:
            raise RunError(f"there is no partition {name!r}; there are {', '.join(sorted(known))}")
    used = {name: known[name] for name in named} or {
        name: about for name, about in known.items() if about["default"]
    }
    if request.gpus and used and not any("gpu" in about["gres"] for about in used.values()):
        having = sorted(name for name, about in known.items() if "gpu" in about["gres"])
        raise RunError(
            f"the nodes of partition {', '.join(used)} have no GPUs; those of "
            f"{', '.join(having) or 'no partition'} have: give --partition, or drop --gpus"
        )
    for name, about in used.items():
        if about["limit"] not in ("infinite", "n/a") and len(used) == 1:
            longest = minutes(about["limit"])
            if request.minutes > longest:
                raise RunError(
                    f"--time {time_text(request.minutes)} is more than partition {name} allows: "
                    f"{about['limit']}"
                )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "test.sh")
        most = squeue.largest_array() if request.jobs > 1 else 1
        script.write_text(sbatch_file(request, Path(folder), min(request.jobs, most)))
        try:
            squeue.call("sbatch", "--test-only", str(script))
        except RunError as error:
            said = str(error).replace("allocation failure: ", "")
            raise RunError(f"Slurm would not take these jobs: {said}") from error


def check_code(whole: Whole, ledger: Ledger, frozen: Snapshot, other_code: bool) -> None:
    """Check that the code has not changed since the run began.

    Raises:
        RunError: it has changed, and `other_code` does not allow that.
    """
    before = [array for array in ledger.arrays() if array.code]
    changed = before and Path(before[-1].code).name != frozen.folder.name
    if (whole.code == frozen.commit and not changed) or other_code:
        return
    what = (
        f"commit {whole.code}, and this is {frozen.commit}"
        if whole.code != frozen.commit
        else f"the snapshot {before[-1].code}, and the code has changed since"
    )
    raise RunError(
        f"the run began with the code of {what}. Its decisions would be those of two programs: "
        "check the first one out, take another --out, or give --other-code if you know that it "
        "makes no difference"
    )


def check_imports(frozen: Snapshot, preset: str) -> None:
    """Make the preset from the frozen code alone, as every job will.

    Raises:
        RunError: something that the preset needs was not frozen.
    """
    done = subprocess.run(
        [sys.executable, "-c", MAKE, preset.partition("[")[0]],
        env=dict(os.environ) | frozen.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        said = (
            done.stderr.strip() or f"Python ended with status {done.returncode} and printed nothing"
        )
        raise RunError(
            f"{preset} cannot be made from the frozen code alone: {said}\n"
            "A task is frozen with the modules and packages of the folder that it is imported "
            "from; put what it needs there too, or install it (pip install -e FOLDER)"
        )


def check_room(out: Path) -> None:
    """Raise RunError if no run can begin in a directory; write nothing there."""
    if out.exists() and not out.is_dir():
        raise RunError(f"{out} is a file; give a directory")
    held = sorted(os.listdir(out)) if out.is_dir() else []
    if strange := [name for name in held if not name.endswith(".tmp")]:
        raise RunError(
            f"{out} is not a run directory: it has no run.json, but holds {strange[0]!r}; "
            "give an empty or a new directory"
        )
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise RunError(
            f"cannot begin a run in {out}: you cannot write to {there}, or it is no directory; "
            "give --out in a directory of your own"
        )


def check_time(whole: Whole, request: Request) -> None:
    """Raise RunError if a turn of this run takes longer than a job may run."""
    longest = whole.turn()
    if request.minutes is not None and MARGIN * longest + LAST > 60 * request.minutes:
        raise RunError(
            f"--time {time_text(request.minutes)} is too short: a turn of this run takes "
            f"{duration(longest)}"
        )


def probe_node(ledger: Ledger, request: Request, seconds: float) -> list[str]:
    """Test on a node of the partition whether it sees the run directory.

    srun sends the answer over the network, so it arrives even if no file system is shared.

    Returns:
        A sentence if no node was free.

    Raises:
        RunError: the node does not see the directory, cannot write there, or lacks this Python.
    """
    folder, token = ledger.folder, os.urandom(8).hex()
    (folder / "probe").write_text(token + "\n")
    options = ["--ntasks=1", "--nodes=1", "--time=1", f"--immediate={max(1, round(seconds))}"]
    options += [f"--{name}={value}" for name, value in _where(request).items()]
    options += ["--job-name=pbt-probe", "--chdir=/", "--quiet"]
    words = ["srun", *options, "sh", "-c", PROBE_SCRIPT, "sh", str(folder), token, sys.executable]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=seconds + 40, check=False
        )
        said = done.stdout + done.stderr
    except (OSError, subprocess.TimeoutExpired) as error:
        said = f"srun: {error}"
    finally:
        (folder / "probe").unlink(missing_ok=True)
    verdict = [line for line in said.splitlines() if line.startswith("PROBE: ")]
    if "PROBE: fine" in verdict:
        return []
    if verdict:
        detail = " ".join(line for line in said.splitlines() if line not in verdict)
        raise RunError(
            f"a probe on a node says: {verdict[0].removeprefix('PROBE: ')}. {detail}\n"
            "Nothing was submitted: --out must be on a file system that all nodes see, under the "
            "same name, and so must Python's environment"
        )
    last = said.strip().splitlines()[-1:] or ["srun said nothing"]
    return [f"no node was free for the probe in {seconds:.0f} s ({last[0]}): the jobs check it"]


def _where(request: Request) -> dict[str, str]:
    """Return the options that restrict where a job may run."""
    ours = ("partition", "account", "qos", "constraint")
    theirs = ("reservation", "exclude", "nodelist")
    chosen = {name: getattr(request, name) for name in ours}
    chosen |= {name: request.sbatch.get(name) for name in theirs}
    return {name: str(value) for name, value in chosen.items() if value}
