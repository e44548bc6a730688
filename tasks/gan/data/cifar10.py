"""CIFAR-10: 50,000 colour images of 32x32 pixels to learn from and 10,000 others, ten classes.

`python -m tasks.gan.data --download DIR` fetches it, `python -m tasks.gan.data DIR` checks what is
there. The folder of the environment variable PBT_DATA is used, or `pbt-repro` in the user's cache.
"""

import argparse
import os
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from core import TaskError
from tasks.download import DownloadError, data_folder, download, md5_of
from tasks.gan.data.vision import torchvision

COMMAND = "python -m tasks.gan.data --download"


class DataError(TaskError):
    """A file is not there, or is not what it should be; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """Where the data set comes from, what is in it, and the md5 of all of it.

    The md5 are those that its authors and torchvision publish. They matter: the files are pickles,
    which can run code when they are read, so none is opened before its checksum is known.
    """

    url: str
    md5: str
    folder: str  # of the files, in the archive and on disk
    train: tuple[tuple[str, str], ...]  # (name, md5)
    test: tuple[tuple[str, str], ...]
    meta: tuple[str, str]

    @property
    def name(self) -> str:
        """The archive's file name."""
        return self.url.rsplit("/", 1)[-1]

    @property
    def files(self) -> tuple[tuple[str, str], ...]:
        """All files of it that are used."""
        return (*self.train, *self.test, self.meta)


CIFAR10 = Archive(
    url="https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
    md5="c58f30108f718f92721af3b95e74349a",
    folder="cifar-10-batches-py",
    train=(
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    ),
    test=(("test_batch", "40351d587109b95175f43aff81a1287e"),),
    meta=("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
)


def cifar10(
    part: Literal["train", "test"], folder: Path | None = None, archive: Archive = CIFAR10
) -> tuple[Tensor, Tensor]:
    """Return images, uint8 [N, 3, 32, 32], and their classes, int64 [N]; N is 50,000 or 10,000.

    Raises:
        DataError: a file is missing, or is not the original; nothing has been read then.
    """
    folder = folder or data_folder()
    check(folder, archive)
    original = torchvision().datasets.CIFAR10
    # torchvision compares the checksums once more, with those that its class names
    checked: Any = type(
        original.__name__,
        (original,),
        {
            "base_folder": archive.folder,
            "train_list": [list(file) for file in archive.train],
            "test_list": [list(file) for file in archive.test],
            "meta": {"filename": archive.meta[0], "key": "label_names", "md5": archive.meta[1]},
        },
    )
    images = checked(str(folder), train=part == "train")
    pixels = torch.from_numpy(images.data).permute(0, 3, 1, 2).contiguous()  # [N, 3, 32, 32]
    return pixels, torch.tensor(images.targets)


def check(folder: Path, archive: Archive = CIFAR10) -> None:
    """Hold every file to its checksum, and open none.

    Raises:
        DataError: which file, what was expected and found, and what to do.
    """
    names = [name for name, _ in archive.files]
    missing = [name for name in names if not (folder / archive.folder / name).is_file()]
    if len(missing) == len(names):
        raise DataError(_nothing_there(folder, archive))
    if missing:
        raise DataError(
            f"{folder / archive.folder} lacks {', '.join(missing)}: type {COMMAND} {folder}"
        )
    for name, md5 in archive.files:
        _hold(folder / archive.folder / name, md5, f"To replace it, type {COMMAND} {folder}")


def _hold(path: Path, md5: str, remedy: str) -> None:
    if (found := md5_of(path)) != md5:
        raise DataError(
            f"{path} is not the original file: its md5 should be {md5} and is {found}. It has not "
            f"been opened. {remedy}"
        )


def _nothing_there(folder: Path, archive: Archive) -> str:
    """Say how far a folder without any of the files has come, and the next thing to do."""
    part = folder / f"{archive.name}.part"
    if (folder / archive.name).is_file():
        return f"{folder / archive.name} is not unpacked yet: type {COMMAND} {folder}"
    if part.is_file():
        size = f"{part.stat().st_size:,} bytes of it"
        return f"CIFAR-10 is half downloaded, {size} to {part}: type {COMMAND} {folder} to go on."
    return (
        f"there is no CIFAR-10 in {folder}, which should hold {archive.folder}: set PBT_DATA to "
        f"the folder that does, or type {COMMAND} {folder}. {_by_hand(folder, archive)}"
    )


def _by_hand(folder: Path, archive: Archive) -> str:
    return (
        f"Where there is no network: fetch {archive.url} elsewhere, put it into {folder} under its "
        f"name, {archive.name}, and type {COMMAND} {folder}, which then unpacks it."
    )


def fetch(folder: Path, archive: Archive = CIFAR10) -> None:
    """Download the data set unless its archive is there, and unpack it.

    Raises:
        DataError: it cannot be had, or it is not the original; the message says what to do.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / archive.name
    if path.is_file():
        _hold(path, archive.md5, "Delete it, and type the same again.")
    else:
        try:
            download(archive.url, path, archive.md5)
        except DownloadError as error:
            raise DataError(f"{error} {_by_hand(folder, archive)}") from error
    _unpack(path, folder, archive)


def _unpack(path: Path, folder: Path, archive: Archive) -> None:
    """Take the expected files out of the archive, and nothing else that may be in it."""
    expected = {f"{archive.folder}/{name}" for name, _ in archive.files}
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".unpacking-") as scratch,
        tarfile.open(path, "r:gz") as tar,
    ):
        for member in tar:
            if member.name in expected and member.isreg():
                tar.extract(member, scratch, filter="data")
        check(Path(scratch), archive)
        (folder / archive.folder).mkdir(exist_ok=True)
        for name, _ in archive.files:
            os.replace(Path(scratch) / archive.folder / name, folder / archive.folder / name)


def scaled(images: Tensor) -> Tensor:
    """Return bytes as floats in [-1, 1]; floats as they are."""
    return images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images


def main(arguments: Sequence[str] | None = None, archive: Archive = CIFAR10) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tasks.gan.data", description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=data_folder(), help="default: %(default)s"
    )
    parser.add_argument("--download", action="store_true", help="fetch what is missing")
    options = parser.parse_args(arguments)
    try:
        if options.download and not _is_whole(options.folder, archive):
            fetch(options.folder, archive)
        check(options.folder, archive)
    except (DataError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: type the same again to go on", file=sys.stderr)
        return 130
    print(f"CIFAR-10 is in {options.folder}: {len(archive.files)} files, each with its checksum.")
    if options.folder.resolve() != data_folder().resolve():
        print(f"For runs to find it: export PBT_DATA={options.folder.resolve()}")
    return 0


def _is_whole(folder: Path, archive: Archive) -> bool:
    try:
        check(folder, archive)
    except DataError:
        return False
    return True
