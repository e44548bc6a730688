"""One job of the array: keep its workers running until the run is done, and requeue itself.

A job holds no state: everything that its workers have done is in the run directory. So a job that
is preempted, timed out, requeued or killed is only a worker fewer for a while. A signal is a hint:
the workers finish their turns if there is time. Nothing depends on it.

submitit's own signal handler is replaced: it would drop the turns. With a short time limit it would
also give up after three preemptions, because it counts them as time-outs.
"""

import contextlib
import functools
import importlib.machinery
import os
import signal
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from core.directory.files import make_folder
from core.directory.heartbeat import Heartbeat
from core.directory.run import RunError, code_version, open_run
from core.status.places import is_study
from core.status.progress import duration
from core.study.study import open_study, work_study
from core.terminal.whole import Whole, look
from core.workers.pool import DONE, THREADS, UNFINISHED, Pool
from core.workers.worker import MARGIN, work
from slurm import squeue
from slurm.code.snapshot import Snapshot, thaw
from slurm.jobs.ledger import Ledger
from slurm.jobs.lives import RETURNS, idle_lives

TICK = 0.5  # seconds between two checks of the workers
LOOK = 2.0  # seconds between two checks whether this job was asked to leave
LAST = 15.0  # seconds before its end at which a job gives up unfinished turns
REPLACED = 3  # replacements of a worker while the run publishes no record
TROUBLE, GIVE_UP = 1, 75  # exit statuses of a worker: a broken disk; a turn over --turn-limit
ALL_DONE = "all members are done"  # the last line of `python -m core work`
WORDS = 2000  # bytes of a worker's log that a message quotes
LOCAL_AGAIN = 144  # exit status after which submitit's local executor restarts a job
ASSIGNED = (  # variables in which Slurm lists the GPUs of the job
    "CUDA_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
)


@dataclass(frozen=True, slots=True)
class Job:
    """One of several identical jobs: the callable without state that submitit runs.

    root: the run directory.
    devices: one for each worker.
    threads: threads that a worker's libraries may use.
    code: the snapshot that it imports from; "": the code in its original place.
    other_code: whether the code may have changed since the run began.
    options: options of `python -m core work`.
    inside: work in this process, for a debugger.
    together: whether all elements of the array work on this run; if not, they are left alone.
    limit: seconds that it may run; None: ask Slurm.
    notice: seconds before its end at which Slurm sends SIGUSR2.
    """

    root: str
    devices: tuple[str, ...] = ("cpu",)
    threads: int = 1
    code: str = ""
    other_code: bool = False
    options: tuple[str, ...] = ()
    inside: bool = False
    together: bool = True
    limit: float | None = None
    notice: float | None = None

    def __call__(self) -> str:
        if self.inside:
            root, on = Path(self.root), functools.partial(work, device=self.devices[0])
            done = work_study(open_study(root), on) if is_study(root) else on(open_run(root))
            return ALL_DONE if done else "stopped"
        execution = _Execution(self)
        try:
            return execution.serve()
        except RunError as error:
            if execution.root.exists():
                execution._warn(str(error))
            raise

    def checkpoint(self) -> object:
        """Tell submitit to run this job again if the signal arrives before our handlers are set."""
        # here, as submitit alone calls this: batch scripts do without it
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self)


@dataclass(slots=True)
class _Execution:
    """One execution of a job, from its start to its end or its requeueing.

    job: the job.
    root: the run directory.
    ledger: the ledger of the run.
    name: name of the job, as "1234_5"; "" outside of a cluster.
    asked: why the job must leave: a signal, or a request of `scale`; "" if it need not.
    began: when it started, by the monotonic clock.
    end: when Slurm ends the job, by the monotonic clock; None if that is unknown.
    limit: the same, counting the time limit alone.
    killed: workers that were killed since records were last published.
    records: the number of records at that time.
    ended: process ids of workers that ended with an error.
    """

    job: Job
    root: Path = field(init=False)
    ledger: Ledger = field(init=False)
    name: str = field(init=False)
    asked: str = ""
    began: float = field(default_factory=time.monotonic)
    end: float | None = None
    limit: float | None = None
    killed: int = 0
    records: int = 0
    ended: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.root = Path(self.job.root)
        self.ledger = Ledger(self.root)
        self.name = squeue.own_job_id()
        if "_" in self.name and self.job.limit is None and not squeue.is_own(self.name):
            self.name = os.environ.get("SLURM_JOB_ID", "")

    def serve(self) -> str:
        """Work until the run is done or the job must leave; return a sentence about the end.

        Raises:
            RunError: the job cannot work here; the message says why.
            SystemExit: the job runs again; submitit and Slurm want it to end like this.
        """
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)
        whole = self._check()
        if not self.job.code:  # otherwise `submit` has registered it, with its request
            self.ledger.register(self.name, self.job.together)
        left = squeue.seconds_left(self.name, self.job.limit)
        self.end = self.limit = None if left is None else self.began + left
        before = self.records = whole.records()
        if left is not None and MARGIN * (turn := whole.turn()) > left - LAST:
            self._warn(f"a turn takes {duration(turn)}, and this job may run for {duration(left)}")
        for variable in THREADS:
            os.environ.setdefault(variable, str(self.job.threads))
        options = [*self.job.options, "--job", self.name]
        if left is not None:
            options += ["--lifetime", f"{left - LAST:.0f}"]
        self._say(
            f"{len(self.job.devices)} workers on {', '.join(self.job.devices)} for {self.root}"
            + (f"; {duration(left)} until the time limit" if left is not None else "")
        )
        name = f"{self.name or socket.gethostname()}-{os.getpid()}"
        with Pool(self.root, len(self.job.devices), self.job.devices, options, name) as pool:
            gave_up = self._follow(pool)
            pool.wait(lambda: None, 1.0)
            codes = pool.codes()
            complaints = pool.complaints()
            silent = _silent_ends(pool)
        whole = _look(self.root)  # seeds may have been added to a study
        if whole.is_done():
            self.ledger.end_all(self.name)
            return self._say(ALL_DONE)
        if self.ledger.must_leave(self.name):
            self.ledger.has_left(self.name)
            return self._say("left, as asked: the run continues without this job")
        at_limit = self.limit is not None and time.monotonic() > self.limit - 2 * LAST
        if gave_up and at_limit and before == whole.records():
            raise RunError(
                f"in {duration(time.monotonic() - self.began)} no turn of any member ended, and "
                "the time limit is reached: a turn is longer than a job may run. Submit again "
                "with a longer --time, or make the task's steps shorter"
            )
        if self.asked or gave_up:
            return self._come_back()
        if silent:
            raise RunError(
                f"worker {silent[0]} ended with status {DONE}, but the run is not done and the "
                "worker was not told to leave: does the trainer, or a library, end the process "
                "(os._exit)? A step must return, or raise. Then submit again: the run continues. "
                f"The end of its log ({pool.log(silent[0])}):\n{_last_words(pool, silent[0])}"
            )
        if {*codes} <= {DONE, UNFINISHED}:
            self._check_lives(pool, before, whole.records())
            return self._come_back()
        raise RunError("\n".join(complaints) or f"the workers ended with {codes}")

    # ------------------------------------------------------------------------ before

    def _check(self) -> Whole:
        """Return the run or study, if the job can work on it here."""
        host = socket.gethostname()
        if not (is_study(self.root) or (self.root / "run.json").exists()):
            raise RunError(
                f"{host} does not see {self.root}, or it holds no run: the directory must be on "
                "a file system that all nodes share, under the same name"
            )
        if self.job.code:
            self._check_imports(thaw(Path(self.job.code)))
        whole, now = _look(self.root), code_version()
        if whole.code != now and not self.job.other_code:
            raise RunError(
                f"the run began with the code of commit {whole.code}, and this is {now}: check "
                "that commit out, or give --other-code if you know that it makes no difference"
            )
        wanted = 1 + max(
            (int(d.removeprefix("cuda:")) for d in self.job.devices if d.startswith("cuda:")),
            default=-1,
        )
        if wanted and self.name:
            given = next((os.environ[name] for name in ASSIGNED if os.environ.get(name)), "")
            count = len([gpu for gpu in given.split(",") if gpu])
            if count < wanted:
                raise RunError(
                    f"this job wants {wanted} GPUs, and Slurm has given it {count} on {host} "
                    f"({ASSIGNED[0]}={os.environ.get(ASSIGNED[0], '')!r}): ask for them with "
                    f"--gpus {wanted}, or for other workers with --device cpu"
                )
        return whole

    def _check_imports(self, frozen: Snapshot) -> None:
        preset = _look(self.root).preset.partition(":")[0]
        for module in (__name__, preset):
            top = module.partition(".")[0]
            spec = importlib.machinery.PathFinder.find_spec(top)
            places = [spec.origin, *(spec.submodule_search_locations or [])] if spec else []
            found = next((Path(place).resolve() for place in places if place), None)
            inside = found is not None and found.is_relative_to(frozen.folder.resolve())
            if frozen.has(top) and not inside:
                raise RunError(
                    f"this job imports {top} from {found}, and not from the code that was frozen "
                    f"in {frozen.folder}: does a line of --setup change PYTHONPATH?"
                )

    # ------------------------------------------------------------------------- while

    def _follow(self, pool: Pool) -> bool:
        """Wait until the workers end, or end them in time; return whether turns were given up."""
        told, looked = False, -LOOK
        while pool.running() or self._replaced(pool):
            now = time.monotonic()
            if now - looked > LOOK:
                looked = now
                if not self.asked and self.ledger.must_leave(self.name):
                    self.asked = "the job was asked to leave"
            if self.asked and not told:
                told = True
                self._say(f"{self.asked}: the workers finish their turns")
                pool.signal(signal.SIGTERM)
            if self.end is not None and now > self.end - LAST and not self._has_more_time(now):
                self._say("the time limit is near: the turns that are not finished are given up")
                pool.signal(signal.SIGKILL)
                return True
            self._replaced(pool)
            time.sleep(TICK)
        return False

    def _has_more_time(self, now: float) -> bool:
        """Ask Slurm whether the time limit has moved: the clock of a suspended job stands still."""
        if self.end != self.limit or squeue.is_local() or not self.name:
            return False
        left = squeue.ask_seconds_left(self.name)
        if left is None or left <= 2 * LAST:
            return False
        self.end = self.limit = now + left
        return True

    def _replaced(self, pool: Pool) -> bool:
        """Replace each worker that was killed, gave up a turn, or met a broken disk.

        The number of replacements is limited while the run publishes no record: what ends one
        worker after the other is no accident.
        """
        dead = [i for i, code in enumerate(pool.codes()) if code not in (None, DONE, UNFINISHED)]
        dead += _silent_ends(pool)
        if not dead or self.asked:
            return False
        for i in dead:
            if (pid := pool.processes[i].pid) not in self.ended:
                self.ended.add(pid)
                self._warn(f"worker {i} ended with status {pool.codes()[i]} (log: {pool.log(i)})")
        again = [i for i in dead if _is_accident(pool.codes()[i] or 0)]
        if not again:
            return False
        if (records := _look(self.root).records()) > self.records:
            self.killed, self.records = 0, records
        if self.killed >= REPLACED * len(self.job.devices):
            return False
        for i in again:
            self.killed += 1
            self._say(f"worker {i} ended with status {pool.codes()[i]}; another takes its place")
            pool.replace(i)
        return True

    # ------------------------------------------------------------------------- after

    def _check_lives(self, pool: Pool, before: int, now: int) -> None:
        """Raise RunError if the job has restarted too often without any progress of the run."""
        lives = idle_lives(self.ledger, self.name, before, now) if self.name else 0
        if lives <= RETURNS:
            return
        words = "\n".join(f"{pool.log(i)}: {_last_words(pool, i)}" for i in range(pool.workers))
        raise RunError(
            f"this job has come back {RETURNS} times, and in its last {lives} lives no worker "
            f"published a record of this run ({now} then and now), though no worker was told to "
            "leave: does the trainer, or a library, end the process (os._exit)? A step must return "
            "or raise. Then submit again: the run continues. The ends of its workers' logs:\n"
            + words
        )

    def _come_back(self) -> str:
        """Ask to be started again, unless the job was cancelled."""
        if squeue.is_local():
            self._say("starts again")
            sys.exit(LOCAL_AGAIN)
        if not self.name:
            return self._say("stopped; the run can be resumed")
        if not squeue.requeue_self(self.name, self._say):
            return self._say("left: this job was cancelled, or is requeued already")
        sys.exit(0)  # at once: Slurm would wait for the job, and then kill it

    def _ask(self, number: int, _: FrameType | None) -> None:
        self.asked = self.asked or signal.Signals(number).name
        if number == signal.SIGUSR2 and self.job.notice is not None:
            end = time.monotonic() + self.job.notice
            self.end = end if self.end is None else min(self.end, end)

    def _warn(self, sentence: str) -> None:
        """Print a sentence and write it to the run directory, where `status` finds it."""
        self._say(sentence)
        with contextlib.suppress(OSError):
            make_folder(self.root / "workers")
            name = self.name or "job"
            Heartbeat(self.root, name=name).warn(
                f"job {self.name} on {socket.gethostname()}: {sentence}"
            )

    def _say(self, sentence: str) -> str:
        place = f"{self.name or 'job'} on {socket.gethostname()}"
        print(f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {place}: {sentence}", flush=True)
        return sentence


def _look(root: Path) -> Whole:
    """Return the run or study; restore the working directory if the preset changes it."""
    with contextlib.chdir(os.getcwd()):
        return look(root)


def _last_words(pool: Pool, i: int) -> str:
    try:
        with open(pool.log(i), "rb") as log:
            log.seek(max(0, os.fstat(log.fileno()).st_size - WORDS))
            return log.read().decode(errors="replace").strip() or "(it is empty)"
    except OSError as error:
        return f"(its log cannot be read: {error})"


def _silent_ends(pool: Pool) -> list[int]:
    """Return the workers that ended with status DONE but did not print that all is done."""
    ended = (i for i, code in enumerate(pool.codes()) if code == DONE)
    return [i for i in ended if not _last_words(pool, i).endswith(ALL_DONE)]


def _is_accident(code: int) -> bool:
    return code < 0 or code in (TROUBLE, GIVE_UP)
