"""WMT'14 English-German, as the paper had it: `python -m tasks.nmt.wmt14 DIR` prepares it.

It fetches three parallel corpora (some 1.7 GB; resumed if interrupted) and the news tests, leaves
out sentences that are empty, too long or unlike their translations, learns 32,000 joint subwords,
and writes the rest as numbers. Each step that is done is not done again, unless what it was made of
has changed. What is there before is not fetched: on a machine without network, put the archives
into DIR under their names. Once all is done they are not needed any more.
"""

import argparse
import functools
import hashlib
import itertools
import json
import os
import sys
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import numpy as np
from rich.console import Console
from sacrebleu.utils import get_reference_files, get_source_file

from core import TaskError
from tasks.download import DownloadError, data_folder, download
from tasks.nmt.corpus import Corpus, Part, encoded, fingerprint
from tasks.nmt.fairseq_compat import MMapIndexedDataset, MMapIndexedDatasetBuilder
from tasks.nmt.subwords import Subwords, from_model, learn

COMMAND = "python -m tasks.nmt.wmt14"


class DataError(TaskError):
    """What is needed is not there, or is not what it was; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A parallel corpus: where it comes from, and the name of its two files without language."""

    url: str
    stem: str

    @property
    def name(self) -> str:
        """The archive's file name."""
        return self.url.rsplit("/", 1)[-1]


# those of tensor2tensor's English-German at the time of the paper
ARCHIVES = (
    Archive(
        "https://www.statmt.org/wmt13/training-parallel-europarl-v7.tgz",
        "training/europarl-v7.de-en",
    ),
    Archive("https://www.statmt.org/wmt13/training-parallel-commoncrawl.tgz", "commoncrawl.de-en"),
    Archive(
        "https://data.statmt.org/wmt17/translation-task/training-parallel-nc-v12.tgz",
        "training/news-commentary-v12.de-en",
    ),
)
TESTS = {"selecting": "wmt12", "monitored": "wmt13", "test": "wmt14/full"}
SUBWORDS = 32_000
LONGEST, RATIO = 250, 1.5  # words, and how many times more than in the translation
PIECES = 512  # of a sentence, at most, its end included: a long number has a piece for each digit
LEARNT_FROM = 2_000_000  # sentences of either language, evenly spread, that subwords are learnt of

News = Callable[[str], list[tuple[str, str]]]


def newstest(name: str) -> list[tuple[str, str]]:
    """Return a test of WMT's, such as "wmt14/full", through sacrebleu, which fetches and checks it.

    Raises:
        DataError: it is not there and cannot be fetched, or sacrebleu's copy is broken.
    """
    try:
        source = Path(get_source_file(name, "en-de"))
        [reference] = map(Path, get_reference_files(name, "en-de"))
        texts = [path.read_text("utf-8").strip("\n").split("\n") for path in (source, reference)]
        return list(zip(*texts, strict=True))
    except (OSError, ValueError, SystemExit, HTTPException) as error:
        raise DataError(
            f"sacrebleu has no {name} and cannot fetch it ({error!r}). Delete its half of a copy, "
            f"~/.sacrebleu/{name}, if there is one; on a machine with a network, type sacrebleu -t "
            f"{name} -l en-de --echo src, and copy ~/.sacrebleu here."
        ) from error


def prepare(
    folder: Path,
    archives: Sequence[Archive] = ARCHIVES,
    subwords: int = SUBWORDS,
    news: News = newstest,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Make all that `wmt14` reads, in `folder`; go on where an earlier call stopped.

    Raises:
        DataError: an archive or a test cannot be had, or cannot be read.
    """
    for test in TESTS.values():
        news(test)  # first, as they are small and may be missing
    recipe: dict[str, object] = {
        "archives": [archive.name for archive in archives],
        "subwords": subwords,
        "longest": [LONGEST, RATIO, PIECES],
    }
    if (made := _whole(folder, recipe)) is not None and _is_of(folder, archives, made):
        return
    folder.mkdir(parents=True, exist_ok=True)
    for archive in archives:
        _fetch(folder, archive)
    recipe["sha256"] = [_sha256(folder / archive.name) for archive in archives]
    if _read(folder / "subwords.json") != recipe:
        say(f"learning {subwords} subwords: some minutes")
        every = max(1, sum(1 for _ in _all(folder, archives, say)) // LEARNT_FROM)
        some = itertools.islice(_all(folder, archives), 0, None, every)
        learnt = learn((side for pair in some for side in pair), subwords)
        _write(folder / "subwords", learnt.model)
        _write(folder / "subwords.json", json.dumps(recipe).encode())
    say("writing sentences as numbers")
    learnt = from_model((folder / "subwords").read_bytes())
    left_out = _binarise(folder, learnt, _all(folder, archives))
    say(f"{left_out:,} pairs of more than {PIECES} subwords were left out")
    made = recipe | {"model": fingerprint(learnt), "bytes": _sizes(folder)}
    _write(folder / STAMP, json.dumps(made).encode())


def _whole(folder: Path, recipe: Mapping[str, object]) -> dict[str, object] | None:
    """Return what is written of a finished preparation by this recipe; None if there is none."""
    made = _read(folder / STAMP)
    sound: dict[str, object] = {"bytes": _sizes(folder), **recipe}
    return made if all(made.get(key) == value for key, value in sound.items()) else None


def _is_of(folder: Path, archives: Sequence[Archive], made: Mapping[str, object]) -> bool:
    """Return whether those archives that are still there are the ones that it was made of."""
    there = [archive for archive in archives if (folder / archive.name).is_file()]
    known = set(made["sha256"]) if isinstance(made.get("sha256"), list) else set()  # type: ignore[call-overload]
    return all(_sha256(folder / archive.name) in known for archive in there)


def _read(path: Path) -> dict[str, object]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file that a trainer reads; of a missing one -1."""
    maps = [f"train.{side}.{kind}" for side in ("en", "de") for kind in ("bin", "idx")]
    paths = {name: folder / name for name in ("subwords", *maps)}
    return {name: path.stat().st_size if path.is_file() else -1 for name, path in paths.items()}


def _fetch(folder: Path, archive: Archive) -> None:
    """Download an archive unless it is there. (Its publishers give no checksum.)"""
    if (folder / archive.name).is_file():
        return
    try:
        download(archive.url, folder / archive.name, md5=None)
    except DownloadError as error:
        raise DataError(
            f"{error} Where there is no network: fetch {archive.url} elsewhere, put it into "
            f"{folder} under its name, {archive.name}, and type {COMMAND} {folder}."
        ) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _all(
    folder: Path, archives: Sequence[Archive], say: Callable[[str], None] = lambda line: None
) -> Iterator[tuple[str, str]]:
    """Return the clean pairs of all archives."""
    for archive in archives:
        kept = seen = 0
        for en, de in _pairs(folder, archive):
            seen += 1
            if is_clean(en, de):
                kept += 1
                yield en, de
        say(f"{archive.name}: {kept:,} of {seen:,} pairs")


def _pairs(folder: Path, archive: Archive) -> Iterator[tuple[str, str]]:
    """Return what an archive holds, line beside line.

    Raises:
        DataError: it lacks one of its two files, or they differ in length.
    """
    path = folder / archive.name
    try:
        with tarfile.open(path) as one, tarfile.open(path) as other:
            sides = [
                tar.extractfile(f"{archive.stem}.{language}")
                for tar, language in ((one, "en"), (other, "de"))
            ]
            if any(side is None for side in sides):
                raise KeyError(f"{archive.stem} is no file")
            # lines end with a newline and nothing else: str.splitlines would find others
            lines = ((line.decode("utf-8", "replace") for line in side) for side in sides if side)
            for en, de in zip(*lines, strict=True):
                yield " ".join(en.split()), " ".join(de.split())
    except (KeyError, tarfile.TarError, EOFError, OSError, ValueError) as error:
        raise DataError(
            f"{path} cannot be read as {archive.stem}.en and .de ({error}): delete it and type "
            f"{COMMAND} {folder}"
        ) from error


def is_clean(en: str, de: str) -> bool:
    """Return whether two sentences may be each other's translation, by their lengths alone."""
    lengths = sorted((len(en.split()), len(de.split())))
    return lengths[0] > 0 and lengths[1] <= min(LONGEST, RATIO * lengths[0])


def _binarise(folder: Path, subwords: Subwords, pairs: Iterator[tuple[str, str]]) -> int:
    """Write pairs as fairseq's memory maps; return how many were too long in subwords."""
    sides, left_out = ("en", "de"), 0
    builders = [
        MMapIndexedDatasetBuilder(str(folder / f"train.{side}.bin.part"), np.int32)
        for side in sides
    ]
    for pair in pairs:
        numbers = [subwords.encode(text) for text in pair]
        if max(map(len, numbers)) > PIECES:
            left_out += 1
            continue
        for builder, one in zip(builders, numbers, strict=True):
            builder.add_item(one)
    for builder, side in zip(builders, sides, strict=True):
        builder.finalize(str(folder / f"train.{side}.idx.part"))
        for kind in ("bin", "idx"):
            os.replace(folder / f"train.{side}.{kind}.part", folder / f"train.{side}.{kind}")
    return left_out


def wmt14(folder: Path | None = None, news: News = newstest) -> Corpus:
    """Return the corpus that `prepare` has made, of `folder` or of wmt14 in the data folder.

    Raises:
        DataError: it is not there, or not whole.
    """
    return _wmt14(folder or data_folder() / "wmt14", news)


@functools.cache  # all members of a population learn from one
def _wmt14(folder: Path, news: News) -> Corpus:
    if not (folder / "subwords").is_file():
        raise DataError(
            f"there is no prepared WMT'14 in {folder}: type {COMMAND} {folder}, which fetches "
            "some 1.7 GB, or set PBT_DATA to the folder that holds wmt14"
        )
    if (made := _whole(folder, {})) is None:
        raise DataError(
            f"{folder} is half prepared, or a file of it is not what it was: type {COMMAND} "
            f"{folder} to go on"
        )
    subwords = from_model((folder / "subwords").read_bytes())
    en, de = (MMapIndexedDataset(str(folder / f"train.{side}")) for side in ("en", "de"))
    train = Part(en, de, np.stack((en.sizes, de.sizes), axis=1), ())
    held_out = {name: encoded(subwords, news(test)) for name, test in TESTS.items()}
    of = hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()[:16]
    return Corpus(subwords=subwords, train=train, fingerprint=of, **held_out)


STAMP = "prepared.json"


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    os.replace(part, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    default = data_folder() / "wmt14"
    parser.add_argument(
        "folder", nargs="?", type=Path, default=default, help="default: %(default)s"
    )
    folder = parser.parse_args(arguments).folder
    console = Console(stderr=True)
    try:
        prepare(folder, say=console.print)
        corpus = wmt14(folder)
    except (DataError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted: type the same again to go on", file=sys.stderr)
        return 130
    print(
        f"{folder}: {len(corpus.train):,} pairs to learn, {len(corpus.selecting):,} to select, "
        f"{len(corpus.monitored):,} to watch, {len(corpus.test):,} to test; "
        f"{len(corpus.subwords.dictionary):,} subwords"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
