"""The ledger: what was submitted for a run, in a folder beside the run directory.

The run directory holds no code and no pickles. Slurm's jobs find theirs in RUN.slurm/, which only
the user and the user's jobs write:

    code-<digest>/    a snapshot of the code
    log/              submitit's: <job>_submission.sh, <job>_<element>_0_log.out, .err, pickles
    jobs/<job>.json   an array that was submitted: its jobs, its request, its code
    leave/<job>_<n>   this job was asked to leave after its turn
    lives/<job>_<n>.json  how often this job restarted without progress; only this job writes it
    done              the run is done, and pending jobs were cancelled
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from core.directory.run import RunError
from slurm import squeue
from slurm.squeue import Element


@dataclass(frozen=True, slots=True)
class Array:
    """Jobs that were submitted together.

    ids: ids of the jobs, as Slurm shows them.
    cluster: slurm, local or debug.
    request: the request as `slurm.request.make` reads it; empty if a script submitted the array.
    code: the snapshot; "": the code in its original place.
    commit: commit of the code.
    job_name: name of the jobs in Slurm; "" if it is not known.
    time: when it was submitted, in seconds since 1970.
    """

    ids: tuple[str, ...]
    cluster: str = "slurm"
    request: Mapping[str, object] = field(default_factory=dict)
    code: str = ""
    commit: str = ""
    job_name: str = ""
    time: float = 0.0

    @property
    def name(self) -> str:
        """The number that its jobs share."""
        return self.ids[0].partition("_")[0]

    @property
    def key(self) -> str:
        """The id by which Slurm is asked for these jobs."""
        return self.name if self.is_whole else self.ids[0]

    @property
    def is_whole(self) -> bool:
        """Whether this is a whole array, and not one element of an array that other runs share."""
        return len(self.ids) > 1 or "_" not in self.ids[0]


@dataclass(frozen=True, slots=True)
class Ledger:
    """The folder beside a run directory.

    root: the run directory.
    """

    root: Path

    @property
    def folder(self) -> Path:
        """RUN.slurm."""
        root = Path(os.path.realpath(self.root))  # a link to a run is that run
        return root.with_name(root.name + ".slurm")

    def add(self, array: Array) -> None:
        """Record an array; a job, which knows less, never replaces the entry of `submit`."""
        path = self.folder / "jobs" / f"{array.key}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        body = {
            "ids": array.ids,
            "cluster": array.cluster,
            "request": array.request,
            "code": array.code,
            "commit": array.commit,
            "job_name": array.job_name,
            "root": os.path.realpath(self.root),
            "time": time.time(),
        }
        made = path.with_name(f".{path.name}-{os.getpid()}-{squeue.own_job_id()}.tmp")
        made.write_text(json.dumps(body, indent=1) + "\n")
        if path.exists() and not array.request:
            made.unlink()
        else:
            os.replace(made, path)

    def arrays(self) -> list[Array]:
        """Return the arrays that were submitted for this run, oldest first.

        Entries of another run, which a copied folder brings along, are left out.

        Raises:
            RunError: a file of the folder is damaged.
        """
        found = []
        for path in (self.folder / "jobs").glob("*.json"):
            try:
                body = json.loads(path.read_text())
                if body["root"] != os.path.realpath(self.root):
                    continue
                if not body["ids"]:
                    raise ValueError("no ids")
                found.append(
                    Array(
                        tuple(map(str, body["ids"])),
                        str(body["cluster"]),
                        dict(body["request"]),
                        str(body["code"]),
                        str(body["commit"]),
                        str(body["job_name"]),
                        float(body["time"]),
                    )
                )
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                raise RunError(f"{path} is not what was written: {error!r}") from error
        return sorted(found, key=lambda array: array.time)

    def register(self, name: str, together: bool) -> None:
        """Record the array of this job, if a script has submitted it.

        Args:
            together: whether all elements of its array work on this run.
        """
        array, _, task = name.partition("_")
        known = (self.folder / "jobs" / f"{key}.json" for key in (array, name))
        if not name or any(path.exists() for path in known):
            return
        ids: Sequence[str] = [name]
        if task and together:
            least = int(os.environ.get("SLURM_ARRAY_TASK_MIN", task))
            most = int(os.environ.get("SLURM_ARRAY_TASK_MAX", task))
            ids = [f"{array}_{i}" for i in range(least, most + 1)]
        with contextlib.suppress(OSError):
            self.add(Array(tuple(ids)))

    def slurm_ids(self) -> list[str]:
        """Return ids to ask Slurm for: whole arrays, or single elements of this run."""
        return [array.key for array in self.arrays() if array.cluster == "slurm"]

    def elements(self) -> dict[str, Element]:
        """Return the jobs of this run that Slurm still knows, by id; calls squeue once.

        squeue shows elements that were cancelled while pending as one line, with the array's id.
        """
        found = squeue.elements(self.slurm_ids())
        for array in self.arrays():
            if array.job_name:  # after a reset of Slurm, another job may have this number
                found = {
                    id: job
                    for id, job in found.items()
                    if id.partition("_")[0] != array.name or job.name == array.job_name
                }
            if array.cluster == "slurm" and len(array.ids) > 1 and array.name in found:
                whole = found.pop(array.name)
                found |= {id: replace(whole, id=id) for id in array.ids if id not in found}
        return found

    # --------------------------------------------------------------- jobs that must leave

    def ask_to_leave(self, ids: Sequence[str]) -> None:
        """Ask these jobs to end after their turn."""
        (self.folder / "leave").mkdir(parents=True, exist_ok=True)
        for id in ids:
            (self.folder / "leave" / id).touch()

    def asked_to_leave(self) -> set[str]:
        """Return the jobs that were asked to leave and have not left."""
        with contextlib.suppress(FileNotFoundError):
            return set(os.listdir(self.folder / "leave"))
        return set()

    def must_leave(self, name: str) -> bool:
        """Whether this job was asked to leave."""
        with contextlib.suppress(OSError):
            return bool(name) and (self.folder / "leave" / name).exists()
        return False

    def has_left(self, name: str) -> None:
        """Remove the request to leave, because the job leaves."""
        with contextlib.suppress(OSError):
            (self.folder / "leave" / name).unlink()

    def end_all(self, name: str) -> None:
        """Cancel the pending jobs of a run that is done; only the first caller does so."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.folder / "done", "x"):
                pass
        except OSError:
            return  # another job was first; or the disk is broken: pending jobs find the run done
        if not name or squeue.is_local():
            return
        try:
            pending = [id for id, job in self.elements().items() if job.state == "PENDING"]
            ids = {id.partition("_")[0] if self._has_all(id) else id for id in pending}
            squeue.cancel(sorted(ids), pending_only=True)
        except RunError as error:  # the jobs will start, find the run done, and end
            print(f"the pending jobs were not cancelled: {error}", flush=True)

    def _has_all(self, id: str) -> bool:
        """Whether the array of a job is this run's as a whole."""
        return any(array.is_whole and id in array.ids for array in self.arrays())

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Lock the ledger while jobs are submitted.

        Raises:
            RunError: another process is submitting jobs of this run.
        """
        lock = self.folder / "submitting"
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with open(lock, "x") as file:
                file.write(f"{socket.gethostname()} {os.getpid()} {time.ctime()}\n")
        except FileExistsError:
            with contextlib.suppress(OSError):
                who = lock.read_text().strip()
                raise RunError(
                    f"another process is submitting jobs of this run ({who}): wait, or remove "
                    f"{lock} if that process has ended"
                ) from None
            raise RunError("another process is submitting jobs of this run: try again") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.folder.rmdir()  # works only if nothing was written

    def forget(self, live: Sequence[str]) -> None:
        """Remove the mark that the run is done, and all entries of jobs that no longer exist."""
        (self.folder / "done").unlink(missing_ok=True)
        for path in (self.folder / "lives").glob("*.json"):
            if path.stem not in live:
                path.unlink(missing_ok=True)
        for id in self.asked_to_leave() - set(live):
            self.has_left(id)
