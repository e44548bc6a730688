"""Runs in a storm: workers that start in milliseconds, a witness, and what must hold in the end.

    with Nursery() as nursery:
        pid = nursery.start(run)
        os.kill(pid, signal.SIGKILL)
        end = nursery.wait(pid)

A nursery is one process that has imported core once and forks a worker when it is asked for one.
"""

import ctypes
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast
from unittest.mock import patch

from core.audits.verify import Verdict, verify
from core.directory import heartbeat
from core.directory.history import SEGMENT
from core.directory.members import COMPACT, Members
from core.directory.record import Record, decode
from core.directory.run import Run, open_run
from core.member import Hypers
from core.settings import PBT
from core.task import Task
from core.workers.worker import work
from tests.trainers import SPACE, Walk, walk

REPOSITORY = Path(__file__).parents[2]
LIMIT = 60.0  # seconds, after which a worker hangs
PRESET, QUICK = "tests.faults.storms:gusty", "tests.trainers:walk"  # the same numbers
TMP = re.compile(r"\d{8}-[0-9a-f]{16}(-second)?\.tmp")


class Gusty(Walk):
    """A climb whose steps take 1 to 3 ms, so that most of the time is the engine's."""

    def step(self, hypers: Hypers) -> None:
        """Climb; how long it takes depends on where."""
        super().step(hypers)
        time.sleep(0.001 + 0.002 * (self.height % 1))


def gusty() -> PBT:
    """A run that is mostly file operations."""
    return replace(walk(), task=Task(Gusty, SPACE))


# ------------------------------------------------------------------------ workers


@dataclass(frozen=True, slots=True)
class End:
    """How a worker ended.

    done: whether all members were done when it left. signal: what killed it, or 0.
    words: the traceback of an exception.
    """

    done: bool
    signal: int
    words: str


class Nursery:
    """A process that forks workers; they die with it."""

    def __init__(self) -> None:
        """Start it."""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.storms"],
            cwd=REPOSITORY,
            env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Nursery":
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def start(
        self, run: Run, *, patience: float = 60.0, durable: bool = False, host: str = ""
    ) -> int:
        """Let a worker work on a run; return its process id.

        Args:
            host: let the others believe that it runs on a machine of that name.
        """
        order = {"root": str(run.root.resolve()), "patience": patience, "durable": durable}
        return int(self._ask(order | {"host": host})["pid"])

    def wait(self, pid: int) -> End:
        """Wait until a worker has ended, and say how."""
        answer = self._ask({"wait": pid})
        status = int(answer["status"])
        killed = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        return End(status == 0, killed, str(answer["words"]))

    def _ask(self, question: dict[str, object]) -> dict[str, str]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps(question), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        assert line, "the nursery has ended"
        return cast(dict[str, str], json.loads(line))


def _serve() -> None:
    """Answer one line with another until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # should a worker print
    words: dict[int, int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        answer: dict[str, object]
        if "root" in question:
            said = os.memfd_create("words")
            pid = os.fork()
            if pid == 0:
                _be_a_worker(said, **question)
            words[pid] = said
            answer = {"pid": pid}
        else:
            pid, status = os.waitpid(question["wait"], 0)
            with os.fdopen(words.pop(pid)) as file:
                file.seek(0)
                answer = {"status": status, "words": file.read()}
        print(json.dumps(answer), file=answers, flush=True)


PR_SET_PDEATHSIG = 1


def _be_a_worker(said: int, root: str, patience: float, durable: bool, host: str) -> None:
    status = 1
    if host:
        patch.object(heartbeat, "_machine", lambda: host).start()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.setitimer(signal.ITIMER_REAL, LIMIT)
    try:
        done = work(open_run(Path(root)), durable=durable, patience=patience)
        status = 0 if done else 3
    except BaseException:
        os.write(said, traceback.format_exc().encode())
    finally:
        os._exit(status)


# ------------------------------------------------------------------------ what must hold


def undisturbed(root: Path, steps: int, members: int = 5) -> Verdict:
    """Return the verdict of a lockstep run that one worker took to its end."""
    run = open_run(root, QUICK, {"steps": steps, "members": members})
    assert work(run, durable=False)
    verdict = verify(run)
    assert not verdict.problems, verdict.problems
    assert verdict.copies > 0, "there is nothing to see"
    return verdict


@dataclass(slots=True)
class Witness:
    """Looks at a run now and then, and remembers each record it saw published, byte for byte."""

    run: Run
    seen: dict[tuple[int, int], bytes] = field(default_factory=dict)

    def look(self) -> None:
        """Take in what is new; a weights file that is there is the one its record names."""
        for id in range(self.run.pbt.members):
            folder = self.run.root / "members" / f"{id:03d}"
            try:
                names = os.listdir(folder / "recent")
            except FileNotFoundError:
                continue
            for n in sorted(int(name) for name in names if (id, int(name)) not in self.seen):
                try:
                    self.seen[id, n] = line = (folder / "recent" / f"{n:08d}").read_bytes()
                except FileNotFoundError:
                    continue  # in the history meanwhile
                wrong = _is_wrong(folder, decode(line), or_gone=True)
                assert not wrong, wrong


def _is_wrong(folder: Path, record: Record, *, or_gone: bool = False) -> str:
    """Say what is wrong with the weights of a record; "" if nothing is."""
    weights, me = record.weights, record.member
    if weights is None:
        return f"record {me.n} of member {me.id} has no weights" if me.step else ""
    try:
        data = (folder / "weights" / weights.name).read_bytes()
    except FileNotFoundError:
        return "" if or_gone else f"{weights.name} of member {me.id} is gone"
    if (len(data), hashlib.sha256(data).hexdigest()) != (weights.bytes, weights.sha256):
        return f"{weights.name} of member {me.id} is not what its record says"
    if json.loads(data)[0] != me.score:
        return f"{weights.name} of member {me.id} belongs to another record than {me.n}"
    return ""


def hold(witness: Witness, digest: str | None = None) -> Verdict:
    """Hold a run to all that must be true of it when its workers are done.

    Args:
        digest: of the undisturbed run, in lockstep.
    """
    run = witness.run
    verdict = verify(run)
    assert not verdict.problems, verdict.problems
    assert digest in (None, verdict.digest), "the digest is another"
    population = Members(run.root)
    histories = [population.history(id) for id in range(run.pbt.members)]
    for id, history in enumerate(histories):
        folder = population.folder(id)
        lines = _lines(folder)
        assert len(lines) == len(history), f"of {len(lines)} records {len(history)} are read"
        for n, record in enumerate(history):
            assert decode(lines[n]) == record, f"record {n} of member {id} reads as another"
            assert (record.member.id, record.member.n) == (id, n), "a record is not in its place"
            assert record.error is None, record.error
            assert witness.seen.get((id, n), lines[n]) == lines[n], "another was published"
        lost = {n for member, n in witness.seen if member == id} - lines.keys()
        assert not lost, f"member {id} lost {lost}"
        shown = (folder / "record.json").read_bytes()
        assert shown == lines[len(lines) - 1], "record.json is not the newest record"
        assert history[-1].member.step == run.pbt.steps, f"member {id} is not done"
        for record in history:
            wrong = _is_wrong(folder, record, or_gone=record is not history[-1])
            assert not wrong, wrong
            _check_steps(folder, record, histories)
    return verdict


def _lines(folder: Path) -> dict[int, bytes]:
    """Return the bytes of each record of a member, by number; each line is in its place."""
    found: dict[int, bytes] = {}
    for segment in sorted((folder / "history").glob("*.jsonl")):
        assert int(segment.stem) == len(found), f"{segment} does not begin with record {len(found)}"
        assert len(found) % SEGMENT == 0, f"{segment} follows on half a segment"
        for line in segment.read_bytes().splitlines(keepends=True):
            assert decode(line).member.n == len(found), "a line is not in its place"
            found[len(found)] = line
    for path in sorted((folder / "recent").iterdir()):
        line = path.read_bytes()
        assert found.setdefault(int(path.name), line) == line, f"{path} is another in the history"
    assert sorted(found) == list(range(len(found))), f"{folder} lacks records"
    return found


def _check_steps(folder: Path, record: Record, histories: Sequence[Sequence[Record]]) -> None:
    """Hold a weights file, if it is still there, to the number of steps that led to its record."""
    path = folder / "weights" / (record.weights.name if record.weights else "none")
    if not path.exists():
        return
    steps, me = 0, record.member
    while me.n > 0:
        if me.parent is not None:
            me = histories[me.parent[0]][me.parent[1]].member
        else:
            before = histories[me.id][me.n - 1].member
            steps += me.step - before.step
            me = before
    assert json.loads(path.read_text())[1] == steps, f"{path} was not trained for {steps} steps"


def tidy(run: Run, workers: int) -> Counter[str]:
    """Hold a run to what may be left behind; return how much of each there is.

    A temporary file is swept away when the next worker takes the member over. None does that once
    the member is done, so the last holder's may stay: one a member. A folder in which a lease was
    being laid out may stay for each of the first workers. The single records are twice COMPACT at
    most, and COMPACT more until the next worker, where a compaction was prevented. Weights are
    those of two steps, with a waiting record each; as many more where the last pruning was
    prevented. A worker that was killed leaves its heartbeat, whole or as a temporary file.
    """
    counts: Counter[str] = Counter()
    for path in run.root.rglob("*"):
        place = path.relative_to(run.root).parts
        if path.is_dir() and not TMP.fullmatch(path.name):
            continue
        counts[_kind(place)] += 1
    for id in range(run.pbt.members):
        folder = run.root / "members" / f"{id:03d}"
        inside = Counter(
            _kind(path.relative_to(run.root).parts) for path in folder.rglob("*") if path.is_file()
        )
        assert inside["temporary"] <= 1, inside
        assert inside["lease"] == 1, inside
        assert inside["recent"] <= 3 * COMPACT, inside
        assert inside["weights"] <= 8, inside
    assert counts["lay-out"] <= workers, counts
    assert counts["unknown"] == 0, sorted(map(str, run.root.rglob("*")))
    return counts


def _kind(place: Sequence[str]) -> str:
    """Return what a file in a run directory is, by its place."""
    match place:
        case ["run.json"]:
            return "run.json"
        case ["members", _, "record.json"]:
            return "record.json"
        case ["members", _, *_, name] if TMP.fullmatch(name):
            return "lay-out" if name.startswith("00000000-") else "temporary"
        case ["members", _, *_, folder, _] if TMP.fullmatch(folder):
            return "lay-out"
        case ["members", _, "recent" | "lease" | "history" | "weights" as folder, name]:
            patterns = {
                "recent": r"\d{8}",
                "lease": r"\d{8}\.\d+\.[\w-]+",
                "history": r"\d{8}\.jsonl",
                "weights": r"\d{8}-\d{8}",
            }
            return folder if re.fullmatch(patterns[folder], name) else "unknown"
        case ["workers", name]:
            return f"heartbeat{Path(name).suffix}"
    return "unknown"


def warnings(run: Run) -> list[str]:
    """Return what workers have warned of; not what one was about to say when it was killed."""
    found = []
    for log in (run.root / "workers").glob("*.jsonl"):
        for line in log.read_text().splitlines(keepends=True):
            if line.endswith("\n") and "warning" in (entry := json.loads(line)):
                found.append(entry["warning"])
    return found


if __name__ == "__main__":
    _serve()
