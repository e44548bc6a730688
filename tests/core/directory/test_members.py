"""The run directory: one writer, whole or not there, weights before the record, bounded."""

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from core.directory.files import Files, LeaseLost, Unreadable
from core.directory.members import COMPACT, Members
from core.directory.record import Record, Weights
from core.directory.weights import weights_name
from core.member import Member
from core.pbt import WeightsLost
from core.task import TaskError


def _population(root: Path, warnings: list[str] | None = None) -> Members:
    return Members(root, Files(durable=False), (warnings if warnings is not None else []).append)


def _record(n: int, id: int = 0, weights: Weights | None = None) -> Record:
    member = Member(id=id, n=n, step=n, score=float(n), hypers={"lr": 1.0})
    return Record(member=member, weights=weights)


class _LostAfterTheCheck:
    """A lease that is taken over right after its holder has looked at it."""

    epoch = 1

    def __init__(self, heir: Members) -> None:
        self.heir = heir

    def fence(self) -> None:
        """Let it pass, and let the heir sweep."""
        self.heir.sweep(0, before=2)


def _publish(population: Members, count: int, id: int = 0) -> None:
    for n in range(count):
        population.publish(_record(n, id))


def test_what_is_published_is_what_the_others_read(tmp_path: Path) -> None:
    """By another process's view of the same directory, which may be moved."""
    (tmp_path / "run").mkdir()
    _publish(_population(tmp_path / "run"), 3)
    os.rename(tmp_path / "run", tmp_path / "moved")

    other = _population(tmp_path / "moved")

    assert other.newest(0) == _record(2)
    assert other.newest(1) is None
    assert other.history(0) == [_record(n) for n in range(3)]


def test_a_record_number_is_taken_once(tmp_path: Path) -> None:
    """Whoever comes second, with whatever delay, has published nothing."""
    first, second = _population(tmp_path), _population(tmp_path)
    first.publish(_record(0))

    with pytest.raises(LeaseLost):
        second.publish(replace(_record(0), worker="other"))

    assert _population(tmp_path).history(0) == [_record(0)]


def test_a_writer_that_was_swept_cannot_publish_any_more(tmp_path: Path) -> None:
    """Not even if it had passed its last check and stood right before the rename."""
    zombie, heir = _population(tmp_path), _population(tmp_path)
    zombie.publish(_record(0))

    with pytest.raises(LeaseLost):
        zombie.publish(_record(1), _LostAfterTheCheck(heir))

    assert heir.head(0) == _record(0)
    heir.publish(replace(_record(1), worker="heir"))
    assert [record.worker for record in heir.history(0)] == ["", "heir"]


def test_a_swept_writer_cannot_publish_weights_either(tmp_path: Path) -> None:
    """Their temporary file is gone before it gets its name."""
    zombie = _population(tmp_path)

    with pytest.raises(LeaseLost):
        zombie.weights.save(
            0, "00000001-00000001", _writes(b"old"), _LostAfterTheCheck(_population(tmp_path))
        )

    assert os.listdir(tmp_path / "members/000/weights") == []


def test_the_history_is_compacted_and_complete(tmp_path: Path) -> None:
    """Few files, however many records, and each of them can be read by its number."""
    count = 3 * COMPACT + 5
    population = _population(tmp_path)
    _publish(population, count)

    other = _population(tmp_path)

    assert [record.member.n for record in other.history(0)] == list(range(count))
    assert len(os.listdir(tmp_path / "members/000/recent")) == COMPACT + 5
    assert other.record(0, 1) == _record(1)
    assert other.at_step(0, 40) == _record(40)
    with pytest.raises(FileNotFoundError, match="no record 500"):
        other.record(0, 500)


def test_a_record_that_its_writer_could_not_show_is_found(tmp_path: Path) -> None:
    """A worker that died between the two names of a record has published it."""
    population = _population(tmp_path)
    _publish(population, 2)
    old = (tmp_path / "members/000/record.json").read_bytes()
    population.publish(_record(2))
    (tmp_path / "members/000/record.json").unlink()
    (tmp_path / "members/000/record.json").write_bytes(old)

    heir = _population(tmp_path)

    assert heir.head(0) == _record(2)
    assert _population(tmp_path).newest(0) == _record(2)


def test_an_unreadable_record_is_warned_of_and_the_one_before_it_used(tmp_path: Path) -> None:
    """Never a wrong value, never a silent loss."""
    _publish(_population(tmp_path), 3)
    for path in (tmp_path / "members/000/record.json", tmp_path / "members/000/recent/00000002"):
        path.unlink()
        path.write_bytes(b'{"score": 99}\n')
    warnings: list[str] = []
    population = _population(tmp_path, warnings)

    assert population.newest(0) == _record(1)
    assert population.head(0) == _record(1)
    population.publish(_record(2))

    assert population.history(0) == [_record(n) for n in range(3)]
    assert any("record.json: the checksum does not match" in warning for warning in warnings)
    assert any("set aside" in warning for warning in warnings)


def test_a_record_of_another_member_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    """A file that was copied by hand is noticed."""
    _publish(_population(tmp_path), 1, id=4)
    os.rename(tmp_path / "members/004", tmp_path / "members/000")

    with pytest.raises(Unreadable, match="record 0 of member 4, not record 0 of member 0"):
        _population(tmp_path).record(0, 0)


def _writes(data: bytes) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        path.write_bytes(data)

    return save


def _donor(population: Members) -> Weights:
    return population.weights.save(1, weights_name(5, 1), _writes(b"theta" * 1000))


def test_a_copy_is_a_link_and_outlives_the_donors_name(tmp_path: Path) -> None:
    """It costs no bytes, and the donor may prune what it likes."""
    population = _population(tmp_path)
    weights = _donor(population)

    path, copied = population.weights.pin(1, weights, 0, weights_name(7, 2))
    population.weights.prune(1, keep=[], epoch=1)

    assert copied == 0
    assert os.listdir(tmp_path / "members/001/weights") == []
    assert path.read_bytes() == b"theta" * 1000
    assert population.weights.find(0, replace(weights, name=path.name)) == path


@pytest.mark.parametrize("damage", ["gone", "flipped", "short"])
def test_weights_that_are_not_those_of_the_record_are_refused(tmp_path: Path, damage: str) -> None:
    """Before anybody loads them, and without a trace in the copier's folder."""
    population = _population(tmp_path)
    weights = _donor(population)
    path = tmp_path / "members/001/weights" / weights.name
    data = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes(data[:-1] if damage == "short" else b"T" + data[1:])

    with pytest.raises(WeightsLost, match=r"is gone|not what its record says"):
        population.weights.pin(1, weights, 0, weights_name(7, 2))

    folder = tmp_path / "members/000/weights"
    assert not folder.exists() or os.listdir(folder) == []


def test_where_links_are_refused_copies_are_made_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system without hard links costs disk space, not correctness."""

    def refuse(source: object, goal: object, **_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    warnings: list[str] = []
    population = _population(tmp_path, warnings)
    weights = _donor(population)
    monkeypatch.setattr(os, "link", refuse)

    path, copied = population.weights.pin(1, weights, 0, weights_name(7, 2))
    population.weights.pin(1, weights, 0, weights_name(8, 2))
    population.publish(_record(0))
    with pytest.raises(LeaseLost):
        population.publish(_record(0))

    assert copied == weights.bytes
    assert path.read_bytes() == b"theta" * 1000
    assert len(warnings) == 1
    assert "without hard links" in warnings[0]
    assert population.newest(0) == _record(0)


def test_a_former_holder_cannot_prune_what_a_later_one_wrote(tmp_path: Path) -> None:
    """A name tells under which lease it was written."""
    population = _population(tmp_path)
    population.weights.save(0, weights_name(4, 1), _writes(b"a"))
    population.weights.save(0, weights_name(5, 3), _writes(b"b"))

    population.weights.prune(0, keep=[], epoch=2)

    assert os.listdir(tmp_path / "members/000/weights") == [weights_name(5, 3)]


def test_a_trainer_that_saves_elsewhere_is_told(tmp_path: Path) -> None:
    """`save(path)` has to write at its path: numpy, for one, adds an ending of its own."""
    with pytest.raises(TaskError, match="left no file at its path"):
        _population(tmp_path).weights.save(0, "x", lambda path: None)


def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path) -> None:
    """Whoever wrote the record."""
    evil = Weights(name="../../../etc/passwd", bytes=1, sha256="")

    with pytest.raises(WeightsLost, match="not the name of a weights file"):
        _population(tmp_path).weights.find(0, evil)


def test_a_record_of_a_gigabyte_is_not_read_into_memory(tmp_path: Path) -> None:
    """It is none of ours."""
    _publish(_population(tmp_path), 1)
    path = tmp_path / "members/000/record.json"
    path.unlink()
    with path.open("wb") as file:
        file.truncate(2**30)

    warnings: list[str] = []

    assert _population(tmp_path, warnings).newest(0) == _record(0)
    assert "1073741824 bytes, of 16777216 at most" in warnings[0]


def test_a_history_that_was_cut_swallows_no_later_record(tmp_path: Path) -> None:
    """The line that was cut is said to be; its record, which is still a file, is added again."""
    _publish(_population(tmp_path), COMPACT)
    path = tmp_path / "members/000/history/00000000.jsonl"
    path.write_bytes(path.read_bytes()[:-7])
    warnings: list[str] = []
    population = _population(tmp_path, warnings)
    for n in range(COMPACT, 2 * COMPACT):
        population.publish(_record(n))

    numbers = [record.member.n for record in population.history(0)]

    assert numbers == list(range(2 * COMPACT))
    assert any(f"line {COMPACT}: " in warning for warning in warnings)


def test_a_missing_view_does_not_start_a_member_anew(tmp_path: Path) -> None:
    """record.json is only a view: the history knows better, right after a compaction too."""
    _publish(_population(tmp_path), COMPACT)
    (tmp_path / "members/000/record.json").unlink()

    assert _population(tmp_path).head(0) == _record(COMPACT - 1)


def test_a_lost_view_is_made_again_by_whoever_takes_the_member(tmp_path: Path) -> None:
    """Or those who wait for the member would wait for ever."""
    _publish(_population(tmp_path), 3)
    view = tmp_path / "members/000/record.json"
    for damage in (b"", b"rot"):
        view.unlink()
        if damage:
            view.write_bytes(damage)

        assert _population(tmp_path).newest(0) == _record(2)
        assert _population(tmp_path).head(0) == _record(2)

        assert _population(tmp_path).newest(0) == _record(2)
        assert view.read_bytes() == (tmp_path / "members/000/recent/00000002").read_bytes()


def test_a_rotten_record_is_written_anew_from_its_other_copy(tmp_path: Path) -> None:
    """It is not trained again: others may have decided after a look at it."""
    _publish(_population(tmp_path), 3)
    single = tmp_path / "members/000/recent/00000002"
    single.write_bytes(single.read_bytes()[:50])
    warnings: list[str] = []

    assert _population(tmp_path, warnings).head(0) == _record(2)

    assert "written anew from its other copy" in warnings[-1]
    assert _population(tmp_path).record(0, 2) == _record(2)
    assert single.read_bytes() == (tmp_path / "members/000/record.json").read_bytes()


def test_a_listing_with_a_hole_loses_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A network file system may leave out a name once; the history asks for each by number."""
    listed = Members._recent
    monkeypatch.setattr(
        Members, "_recent", lambda self, id: [n for n in listed(self, id) if n != 10]
    )
    _publish(_population(tmp_path), COMPACT)
    monkeypatch.undo()
    population = _population(tmp_path)
    for n in range(COMPACT, 3 * COMPACT):
        population.publish(_record(n))

    assert population.history(0) == [_record(n) for n in range(3 * COMPACT)]


def test_without_hard_links_a_swept_writer_overwrites_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has taken the number, and lost its temporary file before it could fill it."""

    def refuse(source: object, goal: object, **_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    zombie, heir = _population(tmp_path), _population(tmp_path)
    close = os.close

    def swept(descriptor: int) -> None:
        close(descriptor)
        path = tmp_path / "members/000/recent/00000000"
        if path.exists() and path.stat().st_size == 0:
            monkeypatch.setattr(os, "close", close)
            heir.sweep(0, before=2)
            heir.publish(replace(_record(0), worker="heir"))

    monkeypatch.setattr(os, "close", swept)

    with pytest.raises(LeaseLost):
        zombie.publish(replace(_record(0), worker="zombie"))

    assert [record.worker for record in heir.history(0)] == ["heir"]


def test_a_trainer_that_hides_a_full_disk_is_seen_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch.save says RuntimeError; it is the disk's failure all the same."""

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def save(path: Path) -> None:
        monkeypatch.setattr(Files, "write", full)
        raise RuntimeError("unexpected pos 64 vs 0")

    with pytest.raises(OSError, match="No space left"):
        _population(tmp_path).weights.save(0, "00000001-00000001", save)


@pytest.mark.parametrize("shown", ["nothing", "an old one"])
def test_an_old_view_of_the_history_does_not_replace_it(tmp_path: Path, shown: str) -> None:
    """A network file system may say that it is not there, or show it as it was."""
    _publish(_population(tmp_path), 3 * COMPACT - 1)
    path = tmp_path / "members/000/history/00000000.jsonl"
    whole = path.read_bytes()
    path.unlink()
    if shown == "an old one":
        path.write_bytes(whole[: whole.index(b"\n") + 1])
    warnings: list[str] = []

    _population(tmp_path, warnings).publish(_record(3 * COMPACT - 1))
    path.write_bytes(whole)

    assert "lacks record" in warnings[-1]
    assert _population(tmp_path).history(0) == [_record(n) for n in range(3 * COMPACT)]
