"""Ask Slurm: each function here calls one of its commands once."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.directory.run import RunError

SECONDS = 60.0  # to wait for an answer: a controller under load is slow
# fields of squeue; without a width, a field is neither cut nor padded
FIELDS = ("JobArrayID", "State", "Reason", "NodeList", "RestartCnt", "TimeLeft", "Name")
LIVE = ("PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "REQUEUED", "STOPPED")


@dataclass(frozen=True, slots=True)
class Element:
    """One job of an array, as squeue shows it.

    id: "1234_5", or "1234" for a job that is no array.
    state: as Slurm names it, in capitals.
    reason: why it is pending, or how it ended; "None" for neither.
    node: where it runs.
    restarts: how often it was requeued.
    left: time until its limit, as Slurm writes it.
    name: the name that sbatch was given.
    """

    id: str
    state: str
    reason: str
    node: str
    restarts: int
    left: str
    name: str = ""

    @property
    def is_live(self) -> bool:
        """Whether it runs, or will run."""
        return self.state in LIVE


def call(*words: str, seconds: float = SECONDS) -> str:
    """Return what a command of Slurm prints.

    Raises:
        RunError: the command is missing, fails or does not answer; quotes its output.
    """
    if shutil.which(words[0]) is None:
        raise RunError(
            f"there is no {words[0]} on the path: Slurm cannot be asked from this machine. "
            "Go to the cluster's login node (maybe `module load slurm`), or use "
            "--cluster local"
        )
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        raise RunError(f"{words[0]} has not answered in {seconds:.0f} s") from None
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}"
        raise RunError(f"{words[0]}: {said}")
    return done.stdout


def elements(ids: Sequence[str]) -> dict[str, Element]:
    """Return the jobs of these arrays that Slurm still knows, by id ("1234_5" or "1234").

    Needs no accounting: Slurm's controller remembers a job for some minutes after its end.
    """
    if not ids:
        return {}
    form = ",".join(f"{name}:|" for name in FIELDS)
    try:
        said = call("squeue", "-h", "-r", "-t", "all", "-j", ",".join(ids), "-O", form)
    except RunError as error:
        if "Invalid job id" in str(error):
            return {}  # Slurm has forgotten all of them
        raise
    found = {}
    for line in said.splitlines():
        words = [word.strip() for word in line.split("|", len(FIELDS) - 1)]
        if len(words) == len(FIELDS):
            id, state, reason, node, restarts, left, name = words
            count = int(restarts) if restarts.isdecimal() else 0
            found[id] = Element(id, state, reason, node, count, left, name.removesuffix("|"))
    return found


def partitions() -> dict[str, dict[str, str]]:
    """Return, by partition: its time limit, its GPUs, whether it is the default."""
    found: dict[str, dict[str, str]] = {}
    for line in call("sinfo", "-h", "-o", "%P|%l|%G").splitlines():
        name, limit, gres = (word.strip() for word in line.split("|", 2))
        known = found.setdefault(name.rstrip("*"), {"limit": limit, "gres": ""})
        known["gres"] = ",".join(filter(None, [known["gres"], gres.replace("(null)", "")]))
        known["default"] = "yes" if name.endswith("*") else ""
    return found


def largest_array() -> int:
    """Return how many jobs an array may have."""
    found = re.search(
        r"^MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"), re.MULTILINE
    )
    return int(found[1]) if found else 1001  # indices go from 0 to one less


def cancel(ids: Sequence[str], *, pending_only: bool = False) -> None:
    """Cancel jobs."""
    if ids:
        call("scancel", *(["--state=PENDING"] if pending_only else []), *ids)


def own_job_id() -> str:
    """Return the name of the job that this process belongs to: "1234_5", "1234", or "".

    SLURM_JOB_ID is not enough: for the last element of an array it is the number of the whole
    array, and a command that names it acts on all elements.
    """
    if is_local():
        return os.environ.get("SUBMITIT_LOCAL_JOB_ID", "")
    array, task = os.environ.get("SLURM_ARRAY_JOB_ID"), os.environ.get("SLURM_ARRAY_TASK_ID")
    return f"{array}_{task}" if array and task else os.environ.get("SLURM_JOB_ID", "")


def is_local() -> bool:
    """Whether this process belongs to a job of submitit's local executor."""
    return os.environ.get("SUBMITIT_EXECUTOR") == "local"


def seconds_left(name: str, limit: float | None) -> float | None:
    """Return the seconds until the time limit of the job that this process belongs to.

    None if there is no limit, or Slurm does not tell it: then only Slurm's signal comes.

    Args:
        limit: the limit that the job was submitted with, if known: a thousand jobs that start at
            the same time should not all ask.
    """
    if is_local() or not name:
        return None
    if limit is not None and not os.environ.get("SLURM_RESTART_COUNT"):
        return limit  # the job has just begun: its limit cannot have changed yet
    return ask_seconds_left(name)


def ask_seconds_left(name: str) -> float | None:
    """Ask Slurm for the seconds until the time limit of a job; None if it does not say."""
    try:
        said = call("squeue", "-h", "-j", name, "-o", "%L").strip()
    except RunError:
        return None
    found = re.fullmatch(r"(?:(\d+)-)?(?:(?:(\d+):)?(\d+):)?(\d+)", said)
    if found is None:
        return None  # UNLIMITED
    day, hour, minute, second = (int(part or 0) for part in found.groups())
    return float(((24 * day + hour) * 60 + minute) * 60 + second)


def is_own(name: str) -> bool:
    """Whether this process's job has this name in Slurm.

    A job that was submitted from within another array's job inherits that array's variables.
    """
    try:
        return call("squeue", "-h", "-j", name, "-o", "%A").split() == [os.environ["SLURM_JOB_ID"]]
    except (RunError, KeyError):
        return False


def requeue_self(name: str, say: Callable[[str], object]) -> bool:
    """Ask Slurm to requeue this job; return False if it was cancelled or requeued already.

    Slurm would requeue a cancelled job too, against the will of its user. Retries while Slurm's
    controller does not answer.

    Raises:
        RunError: Slurm does not allow it.
    """
    while True:
        try:
            state = call("squeue", "-h", "-j", name, "-o", "%T").strip()
            if state != "RUNNING":
                return False
            call("scontrol", "requeue", name)
            say("requeued: it continues when Slurm starts it again")
            return True
        except RunError as error:
            if "Invalid job id" in str(error):
                return False
            if "disabled" in str(error) or "denied" in str(error):
                raise RunError(
                    f"this job may not be requeued, so it does not come back: {error}"
                ) from error
            say(f"cannot be requeued yet: {error}")
            time.sleep(5)
