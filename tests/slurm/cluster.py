"""A private Slurm cluster for tests; cluster.sh does the work."""

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

SCRIPT = Path(__file__).with_name("cluster.sh")
CANNOT = 77  # the script's status where this machine cannot do it
COMMANDS = ("SLURM", "SBATCH_", "SRUN_", "SALLOC_", "SQUEUE_", "SINFO_", "SCANCEL_", "SCONTROL_")


class NoSlurm(Exception):
    """This machine cannot run the cluster that a test needs."""


class Cluster:
    """A cluster that runs inside `with`; its folder's name has at most 70 characters."""

    def __init__(self, folder: Path, *options: str) -> None:
        """Choose a folder, and options of `cluster.sh up`."""
        self.folder = folder
        self.options = options
        self.env = {key: word for key, word in os.environ.items() if not key.startswith(COMMANDS)}
        self.env["SLURM_CONF"] = str(folder.resolve() / "etc" / "slurm.conf")

    def __enter__(self) -> Self:
        """Start it, or raise NoSlurm; it ends with this process at the latest."""
        words: list[str | Path] = ["up", self.folder, "--parent", str(os.getpid()), *self.options]
        done = subprocess.run([SCRIPT, *words], capture_output=True, text=True)
        if done.returncode == CANNOT:
            raise NoSlurm(done.stderr.strip())
        assert done.returncode == 0, done.stderr
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End it, with all its jobs."""
        self.sh(SCRIPT, "down", self.folder)

    def sh(self, *words: str | Path, check: bool = True) -> str:
        """Run a command for this cluster; return what it prints."""
        done = subprocess.run(words, env=self.env, capture_output=True, text=True)
        if check and done.returncode:
            command = " ".join(map(str, words))
            raise RuntimeError(f"{command}: status {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def node(self, verb: str, name: str) -> None:
        """Act on a node: crash, daemon, hang, start (see cluster.sh)."""
        self.sh(SCRIPT, verb, self.folder, name)

    def until(self, what: Callable[[], object], seconds: float = 30, every: float = 0.1) -> float:
        """Wait until `what()` is true; return how many seconds it took, or raise TimeoutError."""
        begin = time.monotonic()
        while not what():
            if time.monotonic() - begin > seconds:
                jobs = self.sh("squeue", "-r", "-t", "all", check=False)
                nodes = self.sh("sinfo", "-N", "-l", "-p", "debug", check=False)
                raise TimeoutError(f"not within {seconds} s; the cluster:\n{jobs}\n{nodes}")
            time.sleep(every)
        return time.monotonic() - begin

    def jobs(self) -> dict[str, str]:
        """Return the state of each job or array element, ended ones too: {"1234_5": "RUNNING"}."""
        lines = self.sh("squeue", "-h", "-r", "-t", "all", "-o", "%i %T").splitlines()
        return dict(line.split() for line in lines)

    def nodes(self) -> dict[str, str]:
        """Return the state of each node: {"n1": "idle"}; "*" after it: the node does not answer."""
        lines = self.sh("sinfo", "-h", "-N", "-p", "debug", "-o", "%N %T").splitlines()
        return dict(line.split() for line in lines)

    def idle(self) -> bool:
        """Whether all nodes are up and idle."""
        return set(self.nodes().values()) == {"idle"}

    def clear(self) -> None:
        """End all jobs and make all nodes idle again."""
        for name in self.nodes():
            self.node("start", name)
        self.until(self._is_clear, seconds=60, every=0.2)

    def _is_clear(self) -> bool:
        everything = ("--user", str(os.getuid()))
        self.sh("scancel", "--full", "--signal=KILL", *everything, check=False)  # TERM takes 7 s
        self.sh("scancel", *everything, check=False)
        for name, state in self.nodes().items():
            if state.startswith(("down", "drain")):
                self.sh("scontrol", "update", f"nodename={name}", "state=resume", check=False)
        active = self.sh("squeue", "-h", "-o", "%i")  # without -t: those that have not ended
        return not active and self.idle()
