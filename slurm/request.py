"""A request for jobs: the options of the command line, over the defaults of the site."""

import difflib
import math
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal, cast

from core.directory.run import RunError
from slurm.units import gigabytes, minutes, size_text, time_text

Cluster = Literal["slurm", "local", "debug"]
SITE = "PBT_SLURM"  # the environment variable that names the site's file
PLACES = (Path("slurm.toml"), Path("~/.config/pbt/slurm.toml"))  # its default places
# options that we or submitit give to sbatch; other values would break requeueing or logs
OURS = (
    "array",
    "signal",
    "open-mode",
    "requeue",
    "no-requeue",
    "output",
    "error",
    "job-name",
    "nodes",
    "ntasks",
    "ntasks-per-node",
    "ntasks-per-gpu",
    "tasks-per-node",
    "cpus-per-task",
    "gpus-per-node",
    "gpus-per-task",
    "wrap",
    "wait",
    "parsable",
    "test-only",
)
PROBE = 20  # seconds to wait for a node that is free for the probe
STARTUP = 60  # seconds that a job needs at least, besides the notice


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An array of identical jobs, each with one worker, or several that share its GPUs.

    cluster: slurm; local or debug for this machine.
    workers: processes that train, in all jobs together.
    workers_per_gpu: workers that share one GPU.
    gpus: GPUs of each job.
    cpus: CPU cores of each worker.
    gigabytes: memory of each worker; the option --mem, as in "16G". None: Slurm's default.
    minutes: time limit of each job; the option --time. A job that reaches it is requeued.
    partition, account, qos, constraint: as sbatch takes them.
    array_parallelism: how many jobs may run at the same time; None for all.
    setup: shell lines before the worker, as in "module load cuda".
    device: given to the trainers; "cuda" becomes cuda:0, cuda:1, ... None: cuda if there are GPUs.
    notice: seconds before its end at which a job is told to finish its turn.
    sbatch: any other option of sbatch, by its long name; True for one without a value.
    worker: options of `python -m core work`.

    Raises:
        RunError: the numbers do not fit together; the message says what would be right.
    """

    cluster: Cluster = "slurm"
    workers: int = 1
    workers_per_gpu: int = 1
    gpus: int = 0
    cpus: int = 1
    gigabytes: float | None = None
    minutes: int | None = None
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    array_parallelism: int | None = None
    setup: tuple[str, ...] = ()
    device: str | None = None
    notice: int = 120
    sbatch: Mapping[str, str | bool] = field(default_factory=dict)
    worker: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.cluster not in ("slurm", "local", "debug"):
            raise RunError(f"--cluster must be slurm, local or debug, got {self.cluster!r}")
        for name, least in (("workers", 1), ("workers_per_gpu", 1), ("gpus", 0), ("cpus", 1)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise RunError(f"--{_dash(name)} must be at least {least}, got {value!r}")
        if self.array_parallelism is not None and self.array_parallelism < 1:
            raise RunError(f"--array-parallelism must be at least 1, got {self.array_parallelism}")
        if self.workers_per_gpu > 1 and not self.gpus:
            raise RunError(f"{self.workers_per_gpu} workers per GPU need GPUs: give --gpus 1 too")
        if self.workers % self.per_job:
            low = self.workers // self.per_job * self.per_job
            near = [str(n) for n in (low, low + self.per_job) if n]
            raise RunError(
                f"each job has {self.per_job} workers ({self.gpus} GPUs with "
                f"{self.workers_per_gpu} each), and {self.workers} is no multiple of that: "
                f"give --workers {' or '.join(near)}"
            )
        if self.minutes is not None and 60 * self.minutes < self.notice + STARTUP:
            raise RunError(
                f"--time {time_text(self.minutes)} is too short: a job is told {self.notice} s "
                "before its end (--notice) to finish its turn, and needs another "
                f"{STARTUP} s; give at least {math.ceil((self.notice + STARTUP) / 60)} minutes"
            )
        if not STARTUP // 2 <= self.notice < 65535:
            raise RunError(f"--notice must be 30 to 65534 seconds, got {self.notice}")
        for name in self.sbatch:
            if any(ours.startswith(_dash(name)) for ours in OURS):  # sbatch takes abbreviations
                raise RunError(f"--{name} cannot be given: the jobs need the value that they set")

    @property
    def per_job(self) -> int:
        """Workers of one job."""
        return max(self.gpus, 1) * self.workers_per_gpu

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return self.workers // self.per_job

    def devices(self) -> tuple[str, ...]:
        """Return the device of each worker of one job.

        GPUs count from 0 among those of the job, which Slurm lists in CUDA_VISIBLE_DEVICES.
        """
        device = self.device or ("cuda" if self.gpus else "cpu")
        if device != "cuda":
            return (device,) * self.per_job
        return tuple(f"cuda:{i // self.workers_per_gpu}" for i in range(self.per_job))


# ------------------------------------------------------------------------- the site's file


def read_site() -> tuple[dict[str, object], Path | None]:
    """Return the site's defaults by name, and the file that has them, if there is one.

    Raises:
        RunError: the file cannot be read.
    """
    named = os.environ.get(SITE)
    places = [Path(named)] if named else [path.expanduser() for path in PLACES]
    place = next((path for path in places if path.exists()), None)
    if place is None:
        if named:
            raise RunError(f"{SITE} names {named}, which is not there")
        return {}, None
    try:
        said = tomllib.loads(place.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise RunError(f"{place} cannot be read: {error}") from error
    return {key.replace("-", "_"): value for key, value in said.items()}, place


def make(asked: Mapping[str, object], base: Mapping[str, object], place: object = None) -> Request:
    """Return the request: what was asked, else what `base` has, else the defaults.

    Args:
        asked: option values by name, with --time and --mem as text; None for what was not asked.
        base: the site's defaults, or the run's last request.
        place: the file that holds `base`, for messages.

    Raises:
        RunError: `base` has an unknown name, or a value of the wrong kind.
    """
    for name, value in base.items():
        if name not in _KINDS:
            hint = _near(name, _KINDS) or f"it may have {', '.join(sorted(_KINDS))}"
            raise RunError(f"{place}: there is no setting {name!r}; {hint}")
        if not _fits(name, value):
            raise RunError(f"{place}: {name} = {value!r} is not what it should be: {_KINDS[name]}")
    chosen = dict(base) | {name: value for name, value in asked.items() if value is not None}
    chosen["sbatch"] = _sbatch(base.get("sbatch")) | _sbatch(asked.get("sbatch"))
    for name in ("setup", "worker"):
        chosen[name] = tuple(cast(Sequence[str], chosen.get(name) or ()))
    if (time := chosen.pop("time", None)) is not None:
        chosen["minutes"] = minutes(str(time))
    if (mem := chosen.pop("mem", None)) is not None:
        chosen["gigabytes"] = gigabytes(str(mem))
    return Request(**chosen)  # type: ignore[arg-type]  # checked above


def _sbatch(value: object) -> dict[str, str | bool]:
    return dict(cast(Mapping[str, str | bool], value or {}))


_KINDS = dict.fromkeys(("workers", "workers_per_gpu", "gpus", "cpus", "notice"), "a whole number")
_KINDS |= dict.fromkeys(("setup", "worker"), "a list of texts")
_KINDS |= {"array_parallelism": "a whole number", "sbatch": "a table of texts and true"}
_KINDS |= dict.fromkeys(
    ("cluster", "mem", "time", "partition", "account", "qos", "constraint", "device"), "a text"
)


def _fits(name: str, value: object) -> bool:
    kind = _KINDS[name]
    if kind == "a whole number":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "a list of texts":
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if kind == "a text":
        return isinstance(value, str) or value is None
    return isinstance(value, dict) and all(isinstance(v, str) or v is True for v in value.values())


def as_json(request: Request) -> dict[str, object]:
    """Return the request as `make` takes it for `base`; the ledger keeps it in this form."""
    found = {name: value for name, value in asdict(request).items() if value is not None}
    if request.minutes is not None:
        found["time"] = time_text(found.pop("minutes"))
    if request.gigabytes is not None:
        found["mem"] = size_text(found.pop("gigabytes"))
    return found


def sbatch_options(words: Sequence[str]) -> dict[str, str | bool]:
    """Return options of sbatch by name.

    Args:
        words: as typed, ["--exclude=n1", "--reservation", "monday", "--overcommit"].

    Raises:
        RunError: a word is no option, or looks like one of ours.
    """
    found: dict[str, str | bool] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not re.fullmatch(r"--[a-z][a-z-]+", name):
            raise RunError(
                f"{word!r} is not understood: write further options of sbatch as --name=value"
            )
        ours = [f"--{_dash(name)}" for name in _KINDS if name not in ("sbatch", "worker")]
        if hint := _near(name, [*ours, "--out", "--dry-run"], 0.85):
            raise RunError(f"there is no option {name}: {hint}")
        found[name[2:]] = value if equals else True
    return found


def _near(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """Return a question that names the most similar known name; "" if none is similar enough."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=likeness)
    return f"did you mean {near[0]}?" if near else ""


def _dash(name: str) -> str:
    return name.replace("_", "-")
