"""The command line, as a person types it: every command in a process of its own."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.study.study import open_study
from core.workers.worker import work

ROOT = Path(__file__).parents[3]


def core(*words: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Type `python -m core ...` in the root of the project."""
    command = [sys.executable, "-m", "core", *words]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


def test_run_verify_and_status(tmp_path: Path) -> None:
    """The way of a run from its start to its digest, in plain lines where there is no terminal."""
    out = str(tmp_path / "a run")

    done = core("run", "tasks.toy.presets:pbt", "--out", out, "--workers", "2", "--seed", "3")
    again = core("run", "tasks.toy.presets:pbt", "--out", out, "--workers", "2", "--seed", "3")
    status = core("status", out)
    verified = core("verify", out)

    assert done.returncode == again.returncode == status.returncode == verified.returncode == 0
    assert "20 members x 40 steps, 2 workers" in done.stdout
    assert "Done (in 0:00:" in done.stdout
    assert "Done (was done before)" in again.stdout
    assert "python -m core verify" in done.stdout
    assert "\x1b" not in done.stdout
    assert "40/40" in status.stdout
    assert re.search(r"^digest [0-9a-f]{64}$", verified.stdout, re.MULTILINE)


def test_other_settings_are_refused_and_nothing_is_lost(tmp_path: Path) -> None:
    """With the names of those that differ, and an exit status that a script can see."""
    out = str(tmp_path / "run")
    core("run", "tasks.toy.presets:pbt", "--out", out, "--steps", "4")

    refused = core("run", "tasks.toy.presets:pbt", "--out", out, "--steps", "8", "--members", "3")

    assert refused.returncode == 2
    assert "steps: 4 in the run, 8 now" in refused.stderr
    assert "members: 20 in the run, 3 now" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert core("verify", out).returncode == 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("tasks.toy.presets:ptb", "--out", "x"), "did you mean 'pbt'"),
        (("tasks.toy.presets:pbt", "--out", "x", "--members", "0"), "at least 1, got 0"),
        (("tasks.toy.presets:pbt", "--out", "x", "--workers", "0"), "must be at least 1"),
        (("tasks.toy.presets:pbt", "--out", "/proc/nothing"), "cannot begin a run in"),
        (("tasks.toy.presets:pbt", "--out", "core"), "is not a run directory"),
        (
            ("tasks.toy.presets:pbt", "--out", "x", "--patience", "nan"),
            "positive number of seconds",
        ),
    ],
)
def test_bad_input_is_answered_in_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    """Before a process is started, and without a traceback."""
    refused = core("run", *words)

    assert refused.returncode == 2
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (ROOT / "x").exists()


def test_a_task_that_does_not_fit_its_space_is_told_so_by_the_run(tmp_path: Path) -> None:
    """The workers' sentence reaches the terminal."""
    done = core("run", "tests.trainers:unread_name", "--out", str(tmp_path / "run"))

    assert done.returncode == 3
    assert "the space has 'momentum'" in " ".join(done.stdout.split())
    assert "The run is not done" in done.stdout


def test_a_run_whose_every_member_fails_says_why(tmp_path: Path) -> None:
    """With the trainer's own error."""
    done = core("run", "tests.trainers:always_raises", "--out", str(tmp_path / "run"))

    assert done.returncode == 3
    assert "no rope for" in done.stdout
    assert "every one of the 5 members has failed" in " ".join(done.stdout.split())
    assert "The same command goes on from there" in done.stdout


def test_ctrl_c_leaves_a_run_that_goes_on(tmp_path: Path) -> None:
    """It says so, and the same command brings the run to its end."""
    words = ["run", "tests.trainers:slow_walk", "--out", str(tmp_path / "run"), "--workers", "2"]
    running = subprocess.Popen(
        [sys.executable, "-m", "core", *words], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    _wait_for(tmp_path / "run/members/000/record.json")

    running.send_signal(signal.SIGINT)
    said, _ = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "nothing that was published is lost" in said
    assert "python -m core run tests.trainers:slow_walk" in said
    assert core(*words).returncode == 0
    assert core("verify", str(tmp_path / "run")).returncode == 0


def _wait_for(path: Path) -> None:
    _wait_until(path.exists)


def _wait_until(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not come():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.02)


def test_two_that_run_one_directory_at_once_cooperate(tmp_path: Path) -> None:
    """By design, when the settings agree."""
    words = ["run", "tests.trainers:slow_walk", "--out", str(tmp_path / "run")]
    both = [
        subprocess.Popen([sys.executable, "-m", "core", *words], cwd=ROOT, stdout=subprocess.PIPE)
        for _ in range(2)
    ]

    assert [running.wait(timeout=60) for running in both] == [0, 0]
    for running in both:
        running.communicate()
    assert core("verify", str(tmp_path / "run")).returncode == 0


def test_workers_leave_when_the_command_is_gone(tmp_path: Path) -> None:
    """A killed `run` leaves no process behind that goes on for a month."""
    words = ["run", "tests.trainers:slow_walk", "--steps", "100000", "--out", str(tmp_path / "run")]
    running = subprocess.Popen(
        [sys.executable, "-m", "core", *words], cwd=ROOT, stdout=subprocess.DEVNULL
    )
    _wait_for(tmp_path / "run/members/000/record.json")

    running.kill()
    running.wait()

    deadline = time.monotonic() + 20
    while list((tmp_path / "run/workers").glob("*.json")):
        assert time.monotonic() < deadline, "a worker is still there"
        time.sleep(0.05)


def test_a_terminal_shows_a_live_table(tmp_path: Path) -> None:
    """Member, step, score, hypers, who copied whom; and the ETA while it runs."""
    command = [sys.executable, "-m", "core", "run", "tests.trainers:slow_walk"]
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    running = subprocess.Popen(
        [*command, "--out", str(tmp_path / "run")],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=environment,
    )
    os.close(theirs)
    said = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(ours)

    assert running.wait(timeout=60) == 0
    text = said.decode()
    for word in ("member", "step", "score", "rate", "copied", "12/12", "turns/s", "ETA", "at step"):
        assert word in text, word


def test_watch_reads_the_directory_alone(tmp_path: Path) -> None:
    """It ends when the run is done, also from a place that knows no preset."""
    out = tmp_path / "run"
    core("run", "tests.trainers:walk", "--out", str(out))

    watched = subprocess.run(
        [sys.executable, "-m", "core", "watch", str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert watched.returncode == 0
    assert "12/12" in watched.stdout


def test_watch_waits_for_a_run_and_says_when_nobody_works_on_it(tmp_path: Path) -> None:
    """It is started first; the run is killed under its eyes; then it goes on to its end."""
    words = ["run", "tests.trainers:slow_walk", "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "core"]
    said = tmp_path / "said"
    with (
        said.open("w") as out,
        subprocess.Popen([*command, "watch", words[-1]], cwd=ROOT, stdout=out) as watching,
    ):
        _wait_until(lambda: "is not there yet" in said.read_text())
        running = subprocess.Popen([*command, *words], cwd=ROOT, stdout=subprocess.DEVNULL)
        _wait_for(tmp_path / "run/members/000/record.json")
        [worker] = Path(f"/proc/{running.pid}/task/{running.pid}/children").read_text().split()
        os.kill(int(worker), signal.SIGKILL)
        running.wait(timeout=30)
        status = core("status", words[-1])
        _wait_until(lambda: "nobody works on this run" in said.read_text())
        core(*words)
        watching.wait(timeout=30)

    assert "training" not in status.stdout
    assert "ETA" not in status.stdout
    assert f"to go on: python -m core {' '.join(words)}" in status.stdout
    assert watching.returncode == 0
    assert "60/60 steps (100%)" in said.read_text()


def test_a_trainer_that_ends_its_process_is_complained_of(tmp_path: Path) -> None:
    """A status of 0 says nothing: the run is not done, and nobody asked the worker to stop."""
    done = core("run", "tests.trainers:leaves", "--out", str(tmp_path / "run"))

    assert done.returncode == 3
    assert "worker 0 ended with status 0, though the run is not done" in done.stdout
    assert "os._exit" in done.stdout
    assert re.search(r"log: .*workers/\d+-0\.log", done.stdout)


def test_a_study_and_a_folder_of_runs_are_taken_or_named(tmp_path: Path) -> None:
    """`verify` takes all of their runs, `status` lists them, the others say what there is."""
    out, names = tmp_path / "runs", ["walk", "other"]
    for name in names:
        core("run", "tests.trainers:walk", "--out", str(out / name), "--steps", "2")

    verified, listed = core("verify", str(out)), core("status", str(out))
    refused = [core(name, str(out)) for name in ("schedule", "watch", "work")]
    (out / "walk/members/002/recent/00000001").unlink()
    faulty = core("verify", str(out))

    assert verified.returncode == listed.returncode == 0
    assert (
        len(re.findall(r"/(walk|other): .* 0 problems, digest [0-9a-f]{64}", verified.stdout)) == 2
    )
    assert verified.stdout.endswith("2 runs, 0 with problems\n")
    assert re.search(r"other .* tests.trainers:walk .* 10/10 .* done", listed.stdout)
    assert all(done.returncode == 2 for done in refused)
    assert all("its runs are: " in done.stderr for done in refused)
    assert faulty.returncode == 1
    assert "    member 2 lacks the records [1]" in faulty.stdout
    assert "2 runs, 1 with problems" in faulty.stdout


def test_a_study_is_verified_as_far_as_it_has_begun(tmp_path: Path) -> None:
    """What has not begun is no success."""
    study = open_study(tmp_path / "study", "tests.trainers:small_study", [1])
    run = study.begin("baseline", 1)
    assert run is not None
    work(run, durable=False)

    verified = core("verify", str(study.root))

    assert verified.returncode == 1
    assert "1 runs, 0 with problems, 6 of the study have not begun" in verified.stdout
    assert "baseline/1: " in verified.stdout


def test_status_shows_tracebacks_in_full(tmp_path: Path) -> None:
    """Of what workers complained about, the newest one; and of members that failed."""
    out = tmp_path / "run"
    core("run", "tests.trainers:always_raises", "--out", str(out))
    trace = "Traceback (most recent call last):\n  File \"mine.py\", line 7\nKeyError: 'data_dir'"
    ends = {"worker": "w", "warning": "no"}  # later than what the run itself has said
    lines = [ends | {"time": 4e9 + i, "trace": f"{trace} {i}"} for i in (1, 2)]
    (out / "workers/w.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    status = core("status", str(out))

    assert f"{trace} 2" in status.stdout
    assert f"{trace} 1" not in status.stdout
    assert "no rope for" in status.stdout


def test_check_exits_with_what_it_found() -> None:
    """0 for a trainer that keeps the contract, 1 for one that does not."""
    assert core("check", "tests.trainers:walk").returncode == 0
    broken = core("check", "tests.trainers:keeps_its_rate")

    assert broken.returncode == 1
    assert "BROKEN rate has no effect after a load" in broken.stdout


def test_verify_exits_non_zero_where_a_decision_differs(tmp_path: Path) -> None:
    """A script can trust it."""
    out = tmp_path / "run"
    core("run", "tests.trainers:walk", "--out", str(out))
    record = out / "members/002/record.json"
    (out / "members/002/recent" / "00000003").unlink()

    verified = core("verify", str(out))

    assert record.exists()
    assert verified.returncode == 1
    assert "member 2 lacks the records [3]" in verified.stdout
