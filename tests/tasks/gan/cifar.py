"""A small data set in CIFAR-10's own format, for tests: files, checksums, archive."""

import hashlib
import pickle
import tarfile
from pathlib import Path

import numpy as np

from tasks.gan.data.cifar10 import CIFAR10, Archive

Files = dict[str, tuple[np.ndarray, np.ndarray]]  # name -> images [N, 3, 32, 32], classes [N]


def random_files(images: int = 4) -> Files:
    """Return noise of ten classes for each file of CIFAR-10."""
    rng = np.random.default_rng(0)
    return {
        name: (
            rng.integers(256, size=(images, 3, 32, 32), dtype=np.uint8),
            rng.integers(10, size=images),
        )
        for name, _ in (*CIFAR10.train, *CIFAR10.test)
    }


def make(folder: Path, files: Files) -> Archive:
    """Write the files into `folder`, pickled as the original ones; return their table."""
    inner = folder / CIFAR10.folder
    inner.mkdir(parents=True)
    for name, (images, classes) in files.items():
        content = {"data": images.reshape(len(images), 3072), "labels": classes.tolist()}
        (inner / name).write_bytes(pickle.dumps(content))
    (inner / CIFAR10.meta[0]).write_bytes(pickle.dumps({"label_names": list("0123456789")}))

    def table(names: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((name, md5(inner / name)) for name, _ in names)

    return Archive(
        url=CIFAR10.url,
        md5="",
        folder=CIFAR10.folder,
        train=table(CIFAR10.train),
        test=table(CIFAR10.test),
        meta=table((CIFAR10.meta,))[0],
    )


def pack(folder: Path, path: Path) -> None:
    """Write the archive, with a readme as in the original, and a file that leads out of it."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder / CIFAR10.folder, CIFAR10.folder)
        (folder / "readme.html").write_text("read me")
        tar.add(folder / "readme.html", f"{CIFAR10.folder}/readme.html")
        tar.add(folder / "readme.html", "../outside")


def md5(path: Path) -> str:
    """Return the md5 of a file."""
    return hashlib.md5(path.read_bytes()).hexdigest()
