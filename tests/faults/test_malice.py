"""A run directory that an enemy has written: no code runs, nothing is written outside of it."""

import hashlib
import json
import os
import pickle
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.files import Files, Unreadable
from core.directory.members import Members
from core.directory.record import Weights, decode, encode
from core.directory.run import Run, RunError, open_run
from core.directory.sealed import OtherFormat, seal, unseal
from core.workers.blame import AllFailed
from core.workers.worker import work
from tests.run_files import rewrite

pytestmark = pytest.mark.faults
COMMANDS = ("work", "status", "verify")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run in the middle, about to go on."""
    run = open_run(tmp_path / "run", "tests.trainers:walk", {"mode": "asynchronous"})
    work(run, durable=False, turns=23)
    return run


def _type(command: str, run: Run, most: int = 10**9) -> subprocess.CompletedProcess[str]:
    """Type a command, with so many bytes of memory at most; it must end in good time."""
    return subprocess.run(
        [sys.executable, "-m", "core", command, str(run.root)],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (most, most)),
    )


def _tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in sorted(folder.rglob("*"))
    }


class _Bomb:
    """What a pickle runs when it is read."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.marker),)


def _plant_weights(run: Run, data: bytes) -> None:
    """Let all newest records name weights of the enemy's, with right checksums."""
    for id in range(run.pbt.members):
        population = Members(run.root, Files(durable=False))
        record = population.head(id)
        assert record is not None
        folder = population.folder(id)
        (folder / "weights" / "00000999-00000001").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        weights = Weights(name="00000999-00000001", bytes=len(data), sha256=digest)
        for path in (folder / "record.json", folder / "recent" / f"{record.member.n:08d}"):
            path.unlink(missing_ok=True)
            path.write_bytes(encode(replace(record, weights=weights)))


def test_a_pickle_in_place_of_weights_is_not_run(run: Run, tmp_path: Path) -> None:
    """Its member fails like any whose weights cannot be loaded."""
    _plant_weights(run, pickle.dumps(_Bomb(tmp_path / "marker")))

    with pytest.raises(AllFailed):
        work(run, durable=False)

    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("kind", ["pickle", "torch"])
def test_no_trainer_of_ours_runs_a_pickle(tmp_path: Path, kind: str) -> None:
    """The toy's and the GAN's, whatever form it has."""
    import torch

    from tasks.gan.presets import digits
    from tasks.toy.presets import pbt

    bomb = tmp_path / "bomb"
    if kind == "pickle":
        bomb.write_bytes(pickle.dumps(_Bomb(tmp_path / "marker")))
    else:
        torch.save(_Bomb(tmp_path / "marker"), bomb)

    for preset in (pbt, digits):
        trainer = preset().task.trainer(1, "cpu")
        with pytest.raises(Exception, match=r"."):
            trainer.load(bomb)

    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    "preset", ["os:abort", "posix:abort", "pip._internal:main", "core.directory.run:_"]
)
def test_a_run_json_cannot_name_what_is_no_preset(run: Run, preset: str) -> None:
    """`os:abort` is a function without arguments, too."""
    rewrite(run.root, {"preset": preset})

    for command in ("work", "verify"):
        done = _type(command, run)

        assert done.returncode == 2
        assert "holds no presets" in done.stderr


@pytest.mark.parametrize(
    "place",
    ["members", "members/001", "members/001/weights", "members/001/recent", "members/001/history",
     "members/001/lease", "workers"],
)  # fmt: skip
def test_nothing_is_written_through_a_link_that_leads_out(
    run: Run, tmp_path: Path, place: str
) -> None:
    """Nor removed; the sentence names the link."""
    path, outside = run.root / place, tmp_path / "outside"
    shutil.copytree(path, outside)
    for name in ("00000000-00000000", "00000001-dead.tmp", "thesis.tex", "99999999"):
        (outside / name).write_bytes(b"mine")
    shutil.rmtree(path)
    path.symlink_to(outside)
    before = _tree(outside)

    done = _type("work", run)

    assert done.returncode == 2
    assert f"{path} is a symbolic link" in done.stderr
    assert _tree(outside) == before


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
@pytest.mark.parametrize(
    "place", ["record.json", "recent/{n:08d}", "history/00000000.jsonl", "weights/{weights}"]
)
def test_what_is_no_regular_file_is_not_read(
    run: Run, tmp_path: Path, place: str, kind: str
) -> None:
    """A link out of the directory, a pipe on which one would wait for ever, a folder."""
    population = Members(run.root)
    newest = population.newest(1)
    assert newest is not None
    assert newest.weights is not None
    name = place.format(n=newest.member.n, weights=newest.weights.name)
    path = population.folder(1) / name
    path.unlink(missing_ok=True)
    (tmp_path / "secret").write_bytes(encode(replace(newest, worker="enemy")))
    if kind == "link":
        path.symlink_to(tmp_path / "secret")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()

    found = [_type(command, run) for command in COMMANDS]

    assert all("Traceback" not in done.stderr for done in found)
    assert (tmp_path / "secret").read_bytes() == encode(replace(newest, worker="enemy"))
    assert all(record.worker != "enemy" for record in Members(run.root).history(1))


@pytest.mark.parametrize(
    "place",
    ["run.json", "members/001/record.json", "members/001/recent/{n:08d}",
     "members/001/history/00000000.jsonl", "workers/x.json", "workers/x.jsonl"],
)  # fmt: skip
def test_memory_stays_bounded_whatever_the_size_of_a_file(run: Run, place: str) -> None:
    """A gigabyte, where 300 MB are all that may be had; a short one still gives the run's end."""
    newest = Members(run.root).newest(1)
    assert newest is not None
    path = run.root / place.format(n=newest.member.n)
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(2**30)

    for command in COMMANDS:
        done = _type(command, run, most=300 * 2**20)

        assert "MemoryError" not in done.stderr
        assert "Traceback" not in done.stderr
        if place == "run.json":
            assert done.returncode == 2
            assert str(path) in done.stderr
        elif command == "work":
            assert done.returncode == 0, done.stderr


def _edit(text: str, old: str, new: str) -> bytes:
    body = text.replace(old, new, 1)
    assert body != text
    line = body.encode()
    return seal_text(line[: line.rindex(b',"checksum"')] + b"}")


def seal_text(text: bytes) -> bytes:
    """Seal JSON that `seal` would refuse to write."""
    checksum = hashlib.sha256(text).hexdigest()[:16].encode()
    return text[:-1] + b',"checksum":"' + checksum + b'"}\n'


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"score":', '"score":NaN,"x":'),
        ('"score":', '"score":Infinity,"x":'),
        ('"score":', '"score":1e400,"x":'),
        ('"score":', '"score":' + "9" * 400 + ',"x":'),
        ('"score":', '"score":"high","x":'),
        ('"rate":', '"rate":-1e999,"x":'),
        ('"rate":', '"rate":null,"x":'),
        ('"rate":', '"rate":[1],"x":'),
        ('"step":', '"step":' + "9" * 5000 + ',"x":'),
        ('"step":', '"step":-1,"x":'),
        ('"step":', '"step":1.5,"x":'),
        ('"step":', '"step":true,"x":'),
        ('"report":', '"report":' + "[" * 100_000 + "]" * 100_000 + ',"x":'),
        ('"parent":', '"parent":[1,2,3],"x":'),
        ('"seen":', '"seen":[[1]],"x":'),
        ('"cause":', '"cause":"magic","x":'),
        ('"seconds":', '"seconds":{"step":1e999},"x":'),
        ('"member":', '"member":[],"x":'),
    ],
)
def test_json_that_is_no_record_is_none(run: Run, old: str, new: str) -> None:
    """Sealed as well as ours: NaN, 1e400, wrong types, depths; the file is named."""
    newest = Members(run.root).newest(1)
    assert newest is not None
    text = encode(newest).decode()
    line = _edit(text, old, new)
    path = Members(run.root).folder(1) / "record.json"
    path.unlink()
    path.write_bytes(line)
    warnings: list[str] = []

    with pytest.raises(Unreadable):
        decode(line)
    found = Members(run.root, warn=warnings.append).newest(1)

    assert found == newest  # its other copy
    assert str(path) in warnings[0]


def test_a_member_with_hypers_of_another_space_is_not_compared_with(run: Run) -> None:
    """Whoever copied it would step with a name that the trainer does not know."""
    for id in (1, 2, 3, 4):
        folder = Members(run.root).folder(id)
        newest = Members(run.root).newest(id)
        assert newest is not None
        member = replace(newest.member, hypers={"evil": 1.0}, score=1e9, scores=(1e9,))
        (folder / "record.json").unlink()
        (folder / "record.json").write_bytes(encode(replace(newest, member=member)))

    work(run, durable=False, turns=3)

    records = [r for id in range(5) for r in Members(run.root).history(id)]
    assert all("evil" not in record.member.hypers for record in records)


def test_what_a_newer_version_has_written_is_left_as_it_is(run: Run) -> None:
    """To go on would be to set its work aside; the sentence names the file and both versions."""
    population = Members(run.root)
    newest = population.newest(1)
    assert newest is not None
    body = unseal(encode(newest))
    single = population.folder(1) / "recent" / f"{newest.member.n:08d}"
    for path in (single, population.folder(1) / "record.json"):
        path.unlink()
        path.write_bytes(seal(body | {"format": 4, "score_of_the_future": 1}))
    before = _tree(run.root / "members/001")

    done = _type("work", run)

    assert done.returncode == 2
    assert "the format is '4', this program reads 2 and 3" in done.stderr
    assert "members/001" in done.stderr
    after = _tree(run.root / "members/001")
    assert {name: after[name] for name in before if "lease" not in name} == {
        name: data for name, data in before.items() if "lease" not in name
    }
    with pytest.raises(OtherFormat, match=r"record\.json"):
        Members(run.root).newest(1)


@pytest.mark.parametrize("overrides", [{"task": "x"}, {"members": 10**12}, {"seed": "1"}, []])
def test_settings_that_are_none_of_ours_are_refused(run: Run, overrides: object) -> None:
    """Before anything is done with them."""
    rewrite(run.root, {"overrides": overrides})

    with pytest.raises((RunError, ValueError)):
        open_run(run.root)


@pytest.mark.parametrize("name", ["../../../../outside", "/outside", "..", "a/b", ""])
def test_a_name_that_leads_out_is_no_name_of_weights(run: Run, tmp_path: Path, name: str) -> None:
    """Neither when they are loaded nor when they are copied."""
    (tmp_path / "outside").write_bytes(b"mine")
    population = Members(run.root, Files(durable=False))
    newest = population.head(1)
    assert newest is not None
    assert newest.weights is not None
    evil = replace(newest, weights=replace(newest.weights, name=name))
    for path in ("record.json", f"recent/{newest.member.n:08d}"):
        (population.folder(1) / path).unlink()
        (population.folder(1) / path).write_bytes(encode(evil))

    assert work(run, durable=False)

    warnings = "".join(path.read_text() for path in (run.root / "workers").glob("*.jsonl"))
    assert json.dumps(repr(name))[1:-1] in warnings
    assert (tmp_path / "outside").read_bytes() == b"mine"
