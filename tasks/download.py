"""Where data sets are kept, and how one large file is fetched: on from where it stopped."""

import hashlib
import os
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)


def cache_folder() -> Path:
    """Return where what can be made again is kept between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pbt-repro"


def data_folder() -> Path:
    """Return the folder of data sets and trained classifiers: PBT_DATA, or the cache's."""
    return Path(os.environ.get("PBT_DATA") or cache_folder())


CHUNK = 1 << 18  # bytes
PATIENCE = 30.0  # seconds without a byte


class DownloadError(ValueError):
    """The file did not come, or another one did; the message says which, and what to do."""


def download(url: str, path: Path, md5: str | None) -> None:
    """Bring a file to `path`, which is there only when it is whole and right.

    Until then its bytes are in `path`.part; a server that cannot start in the middle (no HTTP
    ranges), or whose file is another one by now, sends it from the beginning.

    Args:
        md5: of the original; None where its authors publish none.

    Raises:
        DownloadError: no network, no such file, a connection that broke, a wrong checksum.
    """
    part, version = (path.with_name(f"{path.name}{end}") for end in (".part", ".version"))
    begun = part.stat().st_size if part.is_file() else 0
    headers = {"Range": f"bytes={begun}-"} if begun else {}
    if begun and version.is_file():
        headers["If-Range"] = version.read_text()
    try:
        with urlopen(Request(url, headers=headers), timeout=PATIENCE) as answer:
            if answer.status != 206:
                _note(version, answer.headers.get("ETag") or answer.headers.get("Last-Modified"))
            _receive(answer, part, begun if answer.status == 206 else 0)
    except HTTPError as error:
        if error.code != 416:
            raise DownloadError(f"{url} answers {error.code} {error.reason}.") from error
        # nothing lies behind what is there: its checksum decides or, where there is none, its size
        if md5 is None and error.headers.get("Content-Range") != f"bytes */{begun}":
            part.unlink()
            raise DownloadError(
                f"{part} was no part of what {url} sends now. It has been deleted; type the same "
                "again to start anew."
            ) from error
    except URLError as error:
        raise DownloadError(f"{url} cannot be reached ({error.reason}).") from error
    except (TimeoutError, ConnectionError, HTTPException) as error:
        raise DownloadError(_broken(part, error)) from error
    if md5 is not None and (found := md5_of(part)) != md5:
        part.unlink()  # it would be gone on with
        raise DownloadError(
            f"what {url} sends is not the original file: its md5 should be {md5} and is {found}. "
            "It has been deleted; type the same again to start anew."
        )
    os.replace(part, path)
    version.unlink(missing_ok=True)


def _note(path: Path, version: str | None) -> None:
    """Write down which file it is that comes; a weak tag does not promise the same bytes."""
    if version is None or version.startswith("W/"):
        path.unlink(missing_ok=True)
    else:
        path.write_text(version)


def _receive(answer: HTTPResponse, part: Path, begun: int) -> None:
    """Append to what is there, or begin anew, and show how far it is."""
    length = answer.headers.get("Content-Length")
    total = begun + int(length) if length else None
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with (
        part.open("ab" if begun else "wb") as file,
        Progress(*columns, console=Console(stderr=True)) as progress,
    ):
        bar = progress.add_task(part.stem, total=total, completed=begun)
        while chunk := answer.read(CHUNK):
            file.write(chunk)
            progress.advance(bar, len(chunk))
        received = file.tell()
    if total is not None and received < total:  # http.client takes an early end for the end
        raise ConnectionError(f"{received:,} of {total:,} bytes")


def _broken(part: Path, error: Exception) -> str:
    kept = f"{part.stat().st_size:,} bytes are in {part}" if part.is_file() else "nothing came"
    return f"the connection broke ({error or type(error).__name__}); {kept}: type the same again."


def md5_of(path: Path) -> str:
    """Return the md5 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
