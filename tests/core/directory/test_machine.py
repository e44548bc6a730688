"""What a result depends on besides its seed is written down; unlike workers are told of."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.heartbeat import Heartbeat
from core.directory.machine import DECIDE, check_devices, kernels, unlike
from core.directory.run import open_run, read_info
from core.status.progress import View
from core.workers.worker import work
from tests.core.terminal.test_command_line import core

ROOT = Path(__file__).parents[3]
WALK = "tests.trainers:walk"
# fmt: off
TOY = {  # the toy's digests on any processor: of lockstep runs with seed 1
    "figure_2_pbt": "00306c90267fc3369d34aefa55ddbfdba5972636b609e52c6de25548d6d73a28",
    "figure_2_explore_only": "85b90741de8e06273303f1023e41037bd0f2f955b3d14879ddfd69bd4a05b5e5",
    "figure_2_exploit_only": "7b91f14960e4d424d149038772cebaaa5fe6777862010b75283d854a92b8899d",
    "figure_2_grid": "53594dcb8055a77a76cd04d72066e6286c4197f6a84f394c06d319705f50d943",
    "toy_study[t-test-perturb-20]":
        "5eb519df48e32172b5a253fe4e6f6fac036b85fc4a47a1f92c068481e3f17e3e",
}
# fmt: on
OTHER_KERNELS = {  # as of older processors: of OpenBLAS, of numpy, of the C library
    "OPENBLAS_CORETYPE": "Prescott",
    "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX2 FMA3",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    "OMP_NUM_THREADS": "2",
}


def test_a_run_and_its_workers_say_on_what_they_work(tmp_path: Path) -> None:
    """Processor, kernels and threads, in run.json and in each worker's file."""
    run = open_run(tmp_path / "run", WALK)
    work(run, durable=False)

    [log] = (run.root / "workers").glob("*.jsonl")

    assert set(DECIDE) - {"torch"} <= set(read_info(run.root)["kernels"])  # type: ignore[call-overload]
    assert json.loads(log.read_text())["kernels"] == kernels()


def test_torch_is_named_where_a_task_has_loaded_it() -> None:
    """With its version, its kernels and its threads; core itself never loads it."""
    pytest.importorskip("torch")
    code = "from core.directory.machine import kernels; print('torch' in kernels())"

    for before, found in (("", "False"), ("import torch; ", "True")):
        done = subprocess.run(
            [sys.executable, "-c", before + code], cwd=ROOT, capture_output=True, text=True
        )
        assert done.stdout.strip() == found, done.stderr


def _foreign(root: Path, **other: str) -> None:
    """Leave the file of a worker of another kind, as one on another machine has."""
    (root / "workers").mkdir(exist_ok=True)
    entry = {"time": 1.0, "worker": "elsewhere-1-aa", "kernels": kernels() | other}
    (root / "workers/elsewhere-1-aa.jsonl").write_text(json.dumps(entry) + "\n")


def test_unlike_workers_of_a_lockstep_run_are_warned_of(tmp_path: Path) -> None:
    """Its history would be a function of the seed on neither kind; `status` shows it."""
    run = open_run(tmp_path / "run", WALK)
    _foreign(run.root, blas="openblas 0.3.31 Haswell")

    work(run, durable=False)

    [warning] = View(run.root, run.info).warnings()
    assert "another kind of machine" in warning
    assert "blas: openblas 0.3.31 Haswell there" in warning


def test_like_workers_and_asynchronous_runs_are_not_warned_of(tmp_path: Path) -> None:
    """The same kernels on another host; one more library loaded; a mode with no such promise."""
    alike = open_run(tmp_path / "alike", WALK)
    _foreign(alike.root, processor="a faster one of the same kind")
    more = open_run(tmp_path / "more", WALK)
    _foreign(more.root, blas="openblas 0.0.1 Haswell, " + kernels()["blas"])
    free = open_run(tmp_path / "free", WALK, {"mode": "asynchronous"})
    _foreign(free.root, instructions="sse4_2")

    for run in (alike, more, free):
        work(run, durable=False)
        assert View(run.root, run.info).warnings() == []


def test_a_worker_of_before_says_nothing_and_is_not_blamed(tmp_path: Path) -> None:
    """Its file has no kernels; one that is no file of ours is passed over."""
    with Heartbeat(tmp_path) as me:
        (tmp_path / "workers/old-1-aa.jsonl").write_text('{"warning": "a warning"}\n')
        (tmp_path / "workers/bad-1-aa.jsonl").write_text("[1, 2")

        assert unlike(tmp_path, me.name, kernels()) == []


@pytest.mark.parametrize("other", [{}, OTHER_KERNELS])
def test_the_toy_is_the_same_on_any_processor(tmp_path: Path, other: dict[str, str]) -> None:
    """Decisions are made of whole numbers and single operations; so is the toy's training."""
    code = (
        "import sys, pathlib\n"
        "from core.directory.run import open_run\nfrom core.workers.worker import work\n"
        "from core.audits.verify import verify\n"
        "for name in sys.argv[2:]:\n"
        "    where = pathlib.Path(sys.argv[1]) / name\n"
        "    run = open_run(where, f'tasks.toy.presets:{name}', {'seed': 1})\n"
        "    work(run, durable=False)\n"
        "    print(verify(run).digest)\n"
    )
    environment = {**os.environ, **other, "PYTHONPATH": str(ROOT)}

    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), *TOY],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout.split() == list(TOY.values()), done.stderr


def test_devices_are_dealt_out_of_one_word_or_of_several(tmp_path: Path) -> None:
    """`cuda:0,cuda:1` is two devices; one that is not there is refused before anything is made."""
    out = tmp_path / "run"

    done = core("run", WALK, "--out", str(out), "--devices", "one,two", "--workers", "2")

    assert done.returncode == 0, done.stderr
    assert "2 workers on one, two" in done.stdout
    pytest.importorskip("torch")
    words = ("run", "tasks.gan.presets:digits", "--out", str(tmp_path / "gpu"))
    refused = core(*words, "--devices", "cuda:0,cuda:77")
    assert refused.returncode == 2
    assert "there is no device 'cuda:" in refused.stderr
    assert not (tmp_path / "gpu").exists()


def test_a_device_of_another_kind_is_left_to_the_task() -> None:
    """Only torch's CUDA devices are known here."""
    check_devices(["cpu", "mps", "tpu:0"])


def test_verify_needs_no_kernels(tmp_path: Path) -> None:
    """Whatever recomputes a decision comes to the same one."""
    run = open_run(tmp_path / "run", WALK)
    work(run, durable=False)

    done = subprocess.run(
        [sys.executable, "-m", "core", "verify", str(run.root)],
        cwd=ROOT,
        env=dict(os.environ) | OTHER_KERNELS,
        capture_output=True,
        text=True,
        check=False,
    )

    assert verify(run).digest in done.stdout, done.stderr
    assert " 0 problems" in done.stdout
