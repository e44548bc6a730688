"""A large file whose publishers give no checksum: whole or not there, and of one version."""

from pathlib import Path

import pytest

from tasks.download import DownloadError, download
from tests.serving import Server, serving

CONTENT, OTHER = bytes(range(256)) * 20, bytes(range(255, -1, -1)) * 20


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file is wanted; without any proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return tmp_path / "file"


def _interrupted(server: Server, path: Path) -> None:
    server.stop_after = 1000
    with serving(server, "file") as url, pytest.raises(DownloadError, match="1,000 bytes are in"):
        download(url, path, None)
    server.stop_after = None


def test_the_rest_of_the_same_file_is_asked_for(path: Path) -> None:
    """And nothing but the file is left."""
    server = Server(CONTENT, tag='"one"')
    _interrupted(server, path)

    with serving(server, "file") as url:
        download(url, path, None)

    assert path.read_bytes() == CONTENT
    assert server.requests == [None, "bytes=1000-"]
    assert list(path.parent.iterdir()) == [path]


def test_a_file_that_was_replaced_is_fetched_anew(path: Path) -> None:
    """No half of one is joined with half of another."""
    _interrupted(Server(CONTENT, tag='"one"'), path)

    with serving(Server(OTHER, tag='"two"'), "file") as url:
        download(url, path, None)

    assert path.read_bytes() == OTHER


def test_all_of_it_under_the_name_of_a_part_is_taken(path: Path) -> None:
    """As when it was killed before its last step; by its size, as there is no checksum."""
    path.with_name("file.part").write_bytes(CONTENT)

    with serving(Server(CONTENT), "file") as url:
        download(url, path, None)

    assert path.read_bytes() == CONTENT


def test_more_than_there_is_is_no_part_of_it(path: Path) -> None:
    """It is deleted, and said."""
    path.with_name("file.part").write_bytes(CONTENT + b"more")

    with serving(Server(CONTENT), "file") as url, pytest.raises(DownloadError, match="was no part"):
        download(url, path, None)

    assert list(path.parent.iterdir()) == []
