"""Rot: files that are cut, flipped, swapped or gone are never believed, and never lost silently."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core.audits.verify import verify
from core.directory.files import Files
from core.directory.members import COMPACT, Members
from core.directory.record import Record, Weights
from core.directory.run import Run, open_run
from core.directory.weights import weights_name
from core.member import Hypers, Member
from core.pbt import WeightsLost
from core.workers.worker import work

pytestmark = pytest.mark.faults
WEIGHTS = Weights(name="00000002-00000001", bytes=5, sha256="0" * 64, reseed=7)


def _population(root: Path, warnings: list[str] | None = None) -> Members:
    return Members(root, Files(durable=False), (warnings if warnings is not None else []).append)


def _record(n: int, id: int = 0) -> Record:
    hypers: Hypers = {"lr": 0.1 * n, "activation": "relu"}
    member = Member(id=id, n=n, step=n, score=n + 0.5, scores=(n + 0.5,), hypers=hypers)
    return Record(member=member, weights=WEIGHTS)


def _damaged(data: bytes) -> Iterator[bytes]:
    """Yield a file cut short at every byte, and with every single bit flipped."""
    for length in range(len(data)):
        yield data[:length]
    for position in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[position] ^= 1 << bit
            yield bytes(flipped)


def _put(data: bytes, *paths: Path) -> None:
    """Replace files, as a reader that knows the old ones must notice."""
    for path in paths:
        path.with_suffix(".new").write_bytes(data)
        os.replace(path.with_suffix(".new"), path)


def test_a_record_that_any_damage_has_befallen_is_never_believed(tmp_path: Path) -> None:
    """The one before it is used, with a warning that names the file; a copy that is whole is."""
    for n in range(3):
        _population(tmp_path).publish(_record(n))
    view, single = (tmp_path / "members/000" / name for name in ("record.json", "recent/00000002"))
    data = single.read_bytes()
    tried = 0

    for damaged in _damaged(data):
        for paths, left in (((view,), 2), ((view, single), 1), ((single,), 2)):
            _put(data, view, single)
            _put(damaged, *paths)
            warnings: list[str] = []
            population = _population(tmp_path, warnings)

            newest, past = population.newest(0), population.history(0)

            assert newest == _record(left)
            assert past in ([_record(n) for n in range(3)], [_record(0), _record(1)])
            assert all(any(str(path) in warning for warning in warnings) for path in paths)
            tried += 1
    assert tried == 3 * 9 * len(data)


def test_a_line_of_the_history_that_any_damage_has_befallen_is_left_out(tmp_path: Path) -> None:
    """And no other line with it, the torn last one included; each time with a warning."""
    for n in range(COMPACT):
        _population(tmp_path).publish(_record(n))
    path = tmp_path / "members/000/history/00000000.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)[:6]
    whole = [_record(n) for n in range(6)]
    shutil.rmtree(tmp_path / "members/000/recent")

    for victim in (2, 5):
        for damaged in _damaged(lines[victim]):
            _put(b"".join([*lines[:victim], damaged, *lines[victim + 1 :]]), path)
            warnings: list[str] = []

            found = _population(tmp_path, warnings).history(0)

            lost = [record for record in whole if record not in found]
            assert [record for record in whole if record in found] == found
            assert whole[victim] in lost
            # a cut line, or a broken end of line, takes the next one with it
            assert lost == whole[victim : victim + len(lost)]
            assert len(lost) <= 2
            assert (not damaged and not warnings) or str(path) in warnings[0]


@pytest.mark.parametrize("damage", ["flipped", "short", "long", "of another step", "gone"])
def test_weights_are_believed_only_if_every_byte_is_theirs(tmp_path: Path, damage: str) -> None:
    """Whichever bit it is, wherever it ends, and even if they are the donor's own of before."""
    population = _population(tmp_path)
    old = population.weights.save(1, weights_name(4, 1), _writes(b"4" * 600))
    new = population.weights.save(1, weights_name(5, 1), _writes(b"5" * 600))
    path = population.folder(1) / "weights" / new.name
    data = path.read_bytes()
    others: dict[str, list[bytes | None]] = {
        "flipped": [bytes([b ^ 1 << i if j == k else b for j, b in enumerate(data)])
                    for k in range(0, 600, 7) for i in range(8)],
        "short": [data[:k] for k in range(600)],
        "long": [data + b"x"],
        "of another step": [(path.parent / old.name).read_bytes()],
        "gone": [None],
    }  # fmt: skip

    for other in others[damage]:
        path.unlink(missing_ok=True)
        if other is not None:
            path.write_bytes(other)
        with pytest.raises(WeightsLost, match=new.name):
            population.weights.pin(1, new, 0, weights_name(9, 1))

    assert os.listdir(tmp_path / "members/000/weights") == []


def _writes(data: bytes) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        path.write_bytes(data)

    return save


def _half_done(root: Path, mode: str) -> tuple[Run, Members, list[Member]]:
    run = open_run(root, "tests.trainers:walk", {"mode": mode, "steps": 30})
    work(run, durable=False, turns=60)
    population = Members(root)
    members = [record.member for id in range(5) if (record := population.newest(id)) is not None]
    return run, population, sorted(members, key=lambda member: -member.fitness)


def _warnings(run: Run) -> str:
    return "".join(path.read_text() for path in (run.root / "workers").glob("*.jsonl"))


def test_a_donor_whose_weights_have_rotted_is_passed_over(tmp_path: Path) -> None:
    """Another one is copied, it is logged why, and the run goes on to its end."""
    run, population, ranked = _half_done(tmp_path / "run", "asynchronous")
    best = ranked[0]
    for path in (population.folder(best.id) / "weights").iterdir():
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    assert work(run, durable=False)

    verdict = verify(run)
    children = [
        record.member
        for id in range(5)
        for record in population.history(id)
        if record.member.parent == (best.id, best.n)
    ]
    assert verdict.problems == []
    assert children == []
    assert "not what its record says" in _warnings(run)


def test_a_member_whose_newest_record_has_rotted_is_trained_from_the_one_before(
    tmp_path: Path,
) -> None:
    """The rotten one is set aside, not overwritten; in lockstep the run is the undisturbed one."""
    run, population, ranked = _half_done(tmp_path / "run", "lockstep")
    me = ranked[-1]
    folder = population.folder(me.id)
    single = folder / "recent" / f"{me.n:08d}"
    _put(single.read_bytes()[:-9], single, folder / "record.json")

    assert work(run, durable=False)

    undisturbed = open_run(tmp_path / "other", "tests.trainers:walk", {"steps": 30})
    work(undisturbed, durable=False)
    assert verify(run).problems == []
    assert verify(run).digest == verify(undisturbed).digest
    assert "is set aside, and its step is trained again" in _warnings(run)
    assert single.with_name(f"{single.name}.unreadable").exists()
