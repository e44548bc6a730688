"""CIFAR-10: what is fetched, what is refused, and what is read."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from core.task import TaskError
from tasks.download import data_folder
from tasks.gan.data.cifar10 import CIFAR10, Archive, DataError, check, cifar10, fetch, main
from tasks.gan.data.vision import torchvision
from tests.serving import Server, serving
from tests.tasks.gan.cifar import Files, make, md5, pack, random_files


@pytest.fixture
def files() -> Files:
    """Six files of four images."""
    return random_files()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that PBT_DATA names; without any proxy."""
    monkeypatch.setenv("PBT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "data"


@pytest.fixture
def original(tmp_path: Path, files: Files) -> tuple[bytes, Archive]:
    """The archive as bytes, and the table of its checksums."""
    table = make(tmp_path / "original", files)
    pack(tmp_path / "original", tmp_path / CIFAR10.name)
    return (tmp_path / CIFAR10.name).read_bytes(), replace(table, md5=md5(tmp_path / CIFAR10.name))


def test_images_and_classes_are_those_of_the_files(folder: Path, files: Files) -> None:
    """Colour planes first, five files in their order, and the sixth apart."""
    archive = make(folder, files)

    images, classes = cifar10("train", archive=archive)
    others, other_classes = cifar10("test", archive=archive)

    assert (images.shape, images.dtype) == ((20, 3, 32, 32), torch.uint8)
    assert (classes.shape, classes.dtype) == ((20,), torch.int64)
    assert images.is_contiguous()
    for i, (name, _) in enumerate(CIFAR10.train):
        expected, expected_classes = files[name]
        assert (images[4 * i : 4 * i + 4].numpy() == expected).all()
        assert classes[4 * i : 4 * i + 4].tolist() == expected_classes.tolist()
    assert (others.numpy() == files["test_batch"][0]).all()
    assert other_classes.tolist() == files["test_batch"][1].tolist()


def test_the_table_is_torchvisions() -> None:
    """Names, checksums and address are those that torchvision publishes."""
    theirs = torchvision().datasets.CIFAR10

    assert [list(file) for file in CIFAR10.train] == theirs.train_list
    assert [list(file) for file in CIFAR10.test] == theirs.test_list
    assert CIFAR10.meta == (theirs.meta["filename"], theirs.meta["md5"])
    assert (CIFAR10.url, CIFAR10.md5, CIFAR10.folder) == (
        theirs.url,
        theirs.tgz_md5,
        theirs.base_folder,
    )


def test_nothing_is_unpickled_before_its_checksum_is_known(folder: Path, files: Files) -> None:
    """A pickle that would write a file is named, with both checksums, and does not run."""
    archive = make(folder, files)
    evil = folder / CIFAR10.folder / "data_batch_3"
    evil.write_bytes(f"cbuiltins\nopen\n(S'{folder / 'ran'}'\nS'w'\ntR.".encode())

    with pytest.raises(DataError) as error:
        cifar10("train", archive=archive)

    assert str(evil) in str(error.value)
    assert dict(archive.train)["data_batch_3"] in str(error.value)
    assert md5(evil) in str(error.value)
    assert "python -m tasks.gan.data --download" in str(error.value)
    assert not (folder / "ran").exists()


def _nothing(folder: Path, archive: Archive) -> None:
    pass


def _empty(folder: Path, archive: Archive) -> None:
    (folder / archive.folder).mkdir(parents=True)


def _half_downloaded(folder: Path, archive: Archive) -> None:
    folder.mkdir()
    (folder / f"{archive.name}.part").write_bytes(b"x" * 12345)


def _packed(folder: Path, archive: Archive) -> None:
    folder.mkdir()
    (folder / archive.name).write_bytes(b"x")


def _incomplete(folder: Path, archive: Archive) -> None:
    make(folder, random_files())
    (folder / archive.folder / "data_batch_4").unlink()


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        (_nothing, "there is no CIFAR-10 in"),
        (_empty, "there is no CIFAR-10 in"),
        (_half_downloaded, "half downloaded, 12,345 bytes of it"),
        (_packed, "not unpacked yet"),
        (_incomplete, "lacks data_batch_4:"),
    ],
)
def test_a_folder_without_the_files_is_refused_with_what_to_do(
    folder: Path, state: Callable[[Path, Archive], None], sentence: str
) -> None:
    """As an error that stops a run: no member of it could be trained."""
    state(folder, CIFAR10)

    with pytest.raises(DataError, match=re.escape(sentence)) as error:
        cifar10("train")

    assert isinstance(error.value, ValueError)
    assert isinstance(error.value, TaskError)
    assert f"python -m tasks.gan.data --download {folder}" in str(error.value)


def test_where_there_is_nothing_the_whole_way_is_said(folder: Path) -> None:
    """Also for a machine without a network: what file, from where, put where."""
    with pytest.raises(DataError) as error:
        check(folder)

    for part in (CIFAR10.url, CIFAR10.name, str(folder), "PBT_DATA", "no network"):
        assert part in str(error.value)


def test_the_archive_is_fetched_checked_and_unpacked(
    folder: Path, original: tuple[bytes, Archive], capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the expected files come out of it; a second time there is nothing to do."""
    content, archive = original
    with serving(server := Server(content), CIFAR10.name) as url:
        archive = replace(archive, url=url)

        first = main(["--download", str(folder)], archive)
        again = main(["--download", str(folder)], archive)

    assert (first, again) == (0, 0)
    assert server.requests == [None]
    assert len(cifar10("train", archive=archive)[0]) == 20
    assert sorted(path.name for path in folder.iterdir()) == [CIFAR10.folder, CIFAR10.name]
    assert not (folder / CIFAR10.folder / "readme.html").exists()
    assert not (folder.parent / "outside").exists()
    assert "7 files" in capsys.readouterr().out


def test_a_broken_download_goes_on_where_it_stopped(
    folder: Path, original: tuple[bytes, Archive], capsys: pytest.CaptureFixture[str]
) -> None:
    """What came is kept, and only the rest is asked for."""
    content, archive = original
    with serving(server := Server(content, stop_after=1000), CIFAR10.name) as url:
        archive = replace(archive, url=url)
        broken = main(["--download", str(folder)], archive)
        said = capsys.readouterr().err
        server.stop_after = None

        went_on = main(["--download", str(folder)], archive)

    assert (broken, went_on) == (1, 0)
    assert "1,000 bytes are in" in said
    assert "type the same again" in said
    assert server.requests == [None, "bytes=1000-"]


def test_a_server_without_ranges_starts_anew(folder: Path, original: tuple[bytes, Archive]) -> None:
    """Its answer is the whole file, and must not be appended to the half."""
    content, archive = original
    folder.mkdir()
    (folder / f"{CIFAR10.name}.part").write_bytes(content[:1000])

    with serving(server := Server(content, ranges=False), CIFAR10.name) as url:
        fetch(folder, replace(archive, url=url))

    assert server.requests == ["bytes=1000-"]
    check(folder, archive)


def test_a_download_that_was_killed_before_its_last_step_is_taken(
    folder: Path, original: tuple[bytes, Archive]
) -> None:
    """All bytes are there under the name of a part: the server has no more."""
    content, archive = original
    folder.mkdir()
    (folder / f"{CIFAR10.name}.part").write_bytes(content)

    with serving(Server(content), CIFAR10.name) as url:
        fetch(folder, replace(archive, url=url))

    check(folder, archive)


def test_a_download_of_wrong_checksum_is_deleted_and_said(
    folder: Path, original: tuple[bytes, Archive]
) -> None:
    """And the next try begins anew, rather than to go on with it."""
    content, archive = original
    with serving(server := Server(content[:-1] + b"x"), CIFAR10.name) as url:
        archive = replace(archive, url=url)
        with pytest.raises(DataError, match=archive.md5):
            fetch(folder, archive)
        server.content = content

        fetch(folder, archive)

    assert server.requests == [None, None]
    check(folder, archive)


def test_without_a_network_one_sentence_says_what_to_bring(
    folder: Path, original: tuple[bytes, Archive], capsys: pytest.CaptureFixture[str]
) -> None:
    """And what a person has brought is unpacked without one, unless it is another file."""
    content, archive = original
    with serving(Server(content), CIFAR10.name) as url:
        archive = replace(archive, url=url)  # nobody listens there from now on

    nothing = main(["--download", str(folder)], archive)
    said = capsys.readouterr().err
    (folder / CIFAR10.name).write_bytes(content[:1000])
    wrong = main(["--download", str(folder)], archive)
    said_of_wrong = capsys.readouterr().err
    (folder / CIFAR10.name).write_bytes(content)
    right = main(["--download", str(folder)], archive)

    assert (nothing, wrong, right) == (1, 1, 0)
    for part in ("cannot be reached", url, f"put it into {folder}", CIFAR10.name):
        assert part in said
    assert f"should be {archive.md5}" in said_of_wrong


def test_the_check_says_what_is_there(
    folder: Path, files: Files, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line that lets runs find another folder than theirs."""
    archive = make(folder.parent / "elsewhere", files)

    found = main([str(folder.parent / "elsewhere")], archive)
    out = capsys.readouterr().out
    missing = main([], archive)

    assert (found, missing) == (0, 1)
    assert f"export PBT_DATA={folder.parent / 'elsewhere'}" in out
    assert str(folder) in capsys.readouterr().err


def test_the_default_folder_is_the_users_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unless PBT_DATA names one."""
    monkeypatch.delenv("PBT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")

    assert data_folder() == Path("/somewhere/pbt-repro")


def test_a_missing_or_misfit_torchvision_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Other failures than the known one are not mended by guessing."""
    torchvision.cache_clear()
    monkeypatch.setitem(sys.modules, "torchvision", None)

    with pytest.raises(TaskError, match=r"pip install -c constraints\.txt"):
        torchvision()

    monkeypatch.undo()
    torchvision.cache_clear()
    assert torchvision().datasets
