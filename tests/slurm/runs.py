"""A run on the test cluster: submit it as a user would, watch it, check what must be true."""

import functools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from core.directory.run import open_run
from core.status.progress import View
from slurm.jobs.ledger import Ledger
from tests.faults.storms import REPOSITORY, Witness, hold, undisturbed
from tests.slurm.cluster import Cluster

HALF_SECONDS = "tests.trainers:half_seconds"  # its numbers are those of `walk`
REFUSED = 2
ENDS_AT_ONCE = 20.0  # seconds in which all jobs must have left when the run is done


class Seen(NamedTuple):
    """A job as squeue shows it."""

    state: str
    restarts: int
    node: str


@functools.cache
def calm(steps: int, members: int) -> str:
    """Return the digest of the undisturbed run."""
    with tempfile.TemporaryDirectory() as folder:
        return undisturbed(Path(folder, "run"), steps, members).digest


def process(pid: int) -> tuple[str, int, int]:
    """Return the state of a process, its parent and its session; ("", 0, 0) if there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "", 0, 0
    return words[0], int(words[1]), int(words[3])


def _session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    found = {int(name): process(int(name)) for name in os.listdir("/proc") if name.isdecimal()}
    return [pid for pid, (state, _, session) in found.items() if session == leader and state != "Z"]


class SubmittedRun:
    """A run and its jobs."""

    def __init__(
        self,
        cluster: Cluster,
        root: Path,
        preset: str = HALF_SECONDS,
        *,
        steps: int = 8,
        members: int = 6,
    ) -> None:
        """Choose a run; nothing is submitted yet."""
        self.cluster, self.root, self.preset = cluster, root, preset
        self.steps, self.members = steps, members
        self.arrays: list[str] = []
        self.witness: Witness | None = None

    # ------------------------------------------------------------------------ commands

    def command(
        self, *words: str | Path, env: Mapping[str, str] | None = None, cwd: Path = REPOSITORY
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m slurm ...`; it must leave no process behind."""
        with subprocess.Popen(
            [sys.executable, "-m", "slurm", *words],
            cwd=cwd,
            env=dict(env or self.cluster.env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as started:
            out, err = started.communicate(timeout=120)
        self.cluster.until(lambda: not _session(started.pid), 10)  # srun's helper takes a moment
        return subprocess.CompletedProcess(words, started.returncode, out, err)

    def run_words(self) -> list[str | Path]:
        """Return the arguments that name the run."""
        words: list[str | Path] = [self.preset, "--out", self.root, "--steps", str(self.steps)]
        return [*words, "--members", str(self.members)]

    def submit(
        self, *options: str, time: str = "10", probe: str = "0", cwd: Path = REPOSITORY
    ) -> list[str]:
        """Submit jobs; return their arrays."""
        words = ["submit", *self.run_words(), "--time", time, "--probe", probe, "--no-fsync"]
        done = self.command(*words, *options, cwd=cwd)
        assert done.returncode == 0, done.stderr
        return self.note(done.stdout)

    def note(self, said: str) -> list[str]:
        """Read from a command's output which arrays it submitted."""
        found = re.search(r"^Submitted \d+ jobs.*: ([\d ]+)$", said, re.MULTILINE)
        assert found, said
        self.arrays += found[1].split()
        self.witness = self.witness or Witness(open_run(self.root))
        return found[1].split()

    def refused(
        self,
        *options: str,
        time: str | None = "10",
        probe: str = "0",
        env: Mapping[str, str] | None = None,
    ) -> str:
        """Submit a run that must be refused; return the message."""
        before = self.cluster.jobs()
        words = ["submit", *self.run_words(), "--probe", probe, *options]
        done = self.command(*words, *(["--time", time] if time else []), env=env)
        assert done.returncode == REFUSED, (done.returncode, done.stdout, done.stderr)
        assert done.stderr.startswith("error: "), done.stderr
        new = {id for id in self.cluster.jobs() if id not in before}
        assert not [id for id in new if self.cluster.jobs()[id] in ("PENDING", "RUNNING")]
        return done.stderr

    def scale(self, workers: int, *options: str) -> str:
        """Change the number of workers; return the output."""
        done = self.command("scale", self.root, "--workers", str(workers), *options)
        assert done.returncode == 0, done.stderr
        if "Submitted" in done.stdout:
            self.note(done.stdout)
        return done.stdout

    # ------------------------------------------------------------------------ looks

    def jobs(self) -> dict[str, Seen]:
        """Return the jobs of this run, ended ones too."""
        form = "JobArrayID:.40,State:.20,RestartCnt:.10,NodeList:.40"
        words = ("squeue", "-h", "-r", "-t", "all", "-j", ",".join(self.arrays), "-O", form)
        found = {}
        for line in self.cluster.sh(*words).splitlines():
            id, state, restarts, *node = line.split()
            found[id] = Seen(state, int(restarts), "".join(node))
        for array in Ledger(self.root).arrays():
            if array.name not in array.ids and array.name in found:
                rest = found.pop(array.name)  # those that never ran have lost their numbers
                found = dict.fromkeys(array.ids, rest) | found
        return found

    def states(self) -> list[str]:
        """Return the states of the jobs, by their ids."""
        return [seen.state for _, seen in sorted(self.jobs().items())]

    def count(self, state: str) -> int:
        """Return how many jobs are in a state."""
        return self.states().count(state)

    def live(self) -> list[str]:
        """Return the jobs that have not ended."""
        return self.cluster.sh("squeue", "-h", "-r", "-j", ",".join(self.arrays)).splitlines()

    def log(self, job: str) -> str:
        """Return the log of a job."""
        log = Ledger(self.root).folder / "log"
        return "".join((log / f"{job}_0_log.{end}").read_text() for end in ("out", "err"))

    def workers(self) -> dict[str, list[int]]:
        """Return the process ids of live workers by job."""
        found: dict[str, list[int]] = {}
        for path in (self.root / "workers").glob("*.json"):
            try:
                beat = json.loads(path.read_text())
            except OSError:
                continue  # it has just left
            if process(beat["pid"])[0] not in ("", "Z", "X"):
                found.setdefault(beat["job"], []).append(beat["pid"])
        return found

    def view(self) -> View:
        """Return the view of the run."""
        return View(self.root, open_run(self.root).info)

    def is_done(self) -> bool:
        """Whether all members are done."""
        view = self.view()
        return view.is_done(view.rows())

    def progress(self) -> int:
        """Return how many steps are done."""
        return sum(row.record.member.step for row in self.view().rows())

    def until(self, what: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until `what()` is true; a witness checks all records meanwhile."""

        def look() -> object:
            if self.witness is not None:
                self.witness.look()
            return what()

        self.cluster.until(look, seconds)

    def at_work(self, jobs: int, steps: int = 1) -> None:
        """Wait until a number of jobs have busy workers and a step is done."""
        self.until(lambda: len(self.workers()) >= jobs and self.progress() >= steps)

    def finished(self, seconds: float = 90.0) -> None:
        """Wait until the run is complete; check what must be true."""
        self.until(self.is_done, seconds)
        if self.arrays:
            self.cluster.until(lambda: not self.live(), ENDS_AT_ONCE)
        assert not self.workers(), "a worker has stayed behind"
        known = self.preset == HALF_SECONDS  # reports of other presets depend on the place
        digest = calm(self.steps, self.members) if known else None
        hold(self.witness or Witness(open_run(self.root)), digest)
