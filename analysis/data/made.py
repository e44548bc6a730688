"""What the files of an output folder were made from, so that no result replaces another.

`made-from.json` says which command made each file, and from which runs. A file may be made anew
from the same runs, or from these and more: a run goes on, a study grows. A file of other runs, or
of unknown ones, stays as it is unless `--overwrite` is given.
"""

import argparse
import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from analysis.data.names import some
from analysis.data.runs import RunData

RECORD = "made-from.json"
CAPTIONS = "captions.md"
CAPTION = re.compile(r"\*\*.*?\*\* \(([\w.,+=%-]+)\)\. ", re.DOTALL)  # the figure's name in it
AGAINST = "against"  # between the two sides of a comparison


@dataclass(frozen=True, slots=True)
class Source:
    """What a file is made from.

    by: the command, with the options that make it another result.
    sides: for each side, the directories as they were given, by the run's identity.
    """

    by: str
    sides: Sequence[Mapping[str, str]]

    def replaces(self, other: "Source") -> bool:
        """Whether it is the same result made anew: it has all runs of the other."""
        pairs = zip(other.sides, self.sides, strict=False)
        same = self.by == other.by and len(self.sides) == len(other.sides)
        return same and all(set(before) <= set(now) for before, now in pairs)

    def as_json(self) -> str:
        """Return what `read_source` reads."""
        return json.dumps({"by": self.by, "from": list(map(dict, self.sides))}, ensure_ascii=False)

    def __str__(self) -> str:
        sides = [some(list(side.values())) or "no run" for side in self.sides]
        return f"by `{self.by}` from {f' {AGAINST} '.join(sides)}"


def source(by: str, *sides: Sequence[RunData]) -> Source:
    """Return what a command reads: some runs, or the two sides of a comparison."""
    return Source(by, [{run.id: str(run.path) for run in runs} for runs in sides])


@dataclass(slots=True)
class Output:
    """A folder for results.

    folder: where it is.
    overwrite: whether files of other runs may be replaced.
    """

    folder: Path
    overwrite: bool = False
    _known: dict[str, Source] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        check_folder(self.folder)
        self._known = _read(self.folder / RECORD)

    def plan(self, files: Mapping[str, Source]) -> None:
        """Note all files that will be written, before the first is written.

        Raises:
            ValueError: a file of other runs has one of these names; nothing is written then.
        """
        for name, made in files.items():
            path = self.folder / name
            if not self.overwrite and path.exists():
                refuse(path, self._known.get(name), made, f"--out {self.folder}-2")
        make_folder(self.folder)
        self._known |= files
        known = sorted(self._known.items())
        lines = [
            f"{json.dumps(name, ensure_ascii=False)}: {made.as_json()}" for name, made in known
        ]
        replace(self.folder / RECORD, "{\n" + ",\n".join(lines) + "\n}\n")

    def write(self, name: str, text: str) -> Path:
        """Write a file that was planned; return where."""
        assert name in self._known, name
        path = self.folder / name
        replace(path, text)
        return path

    def add_captions(self, captions: Mapping[str, str]) -> None:
        """Add paragraphs to captions.md, by the name of the figure; all others stay there."""
        path = self.folder / CAPTIONS
        there: dict[str, str] = {}
        with contextlib.suppress(FileNotFoundError):
            for paragraph in re.split(r"\n\s*\n", path.read_text(encoding="utf-8").strip()):
                known = CAPTION.match(paragraph)
                there[known[1] if known else paragraph] = paragraph
        replace(path, "\n\n".join({**there, **captions}.values()) + "\n")


def refuse(path: Path, before: Source | None, now: Source, elsewhere: str) -> None:
    """Refuse to replace a file, unless it is the same result, made anew.

    Args:
        elsewhere: an option that names another place, for the message.

    Raises:
        ValueError: the file is of other runs, or of unknown ones.
    """
    if before is not None and now.replaces(before):
        return
    said = f"was made {before}" if before else "is there, and nothing says from which runs"
    raise ValueError(
        f"{path} {said}; now it would be made {now}. It stays as it is: give another place, such "
        f"as {elsewhere}, or --overwrite to replace it"
    )


def add_overwrite(parser: argparse.ArgumentParser) -> None:
    """Add the option that lets a command replace results of other runs."""
    parser.add_argument(
        "--overwrite", action="store_true", help="replace files that were made from other runs"
    )


def check_folder(folder: Path) -> None:
    """Refuse a folder that cannot be made, before anything is read.

    Raises:
        ValueError: a file is in the way, or the folder is not writable.
    """
    there = next(p for p in (folder, *folder.absolute().parents) if p.exists() or p.is_symlink())
    if not there.is_dir():
        raise ValueError(f"the folder {folder} cannot be made: {there} is a file; give another")
    if not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"nothing can be written to {there}; give a folder where you may write")


def make_folder(folder: Path) -> None:
    """Make a folder for results, and those above it.

    Raises:
        ValueError: it cannot be made; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"the folder {folder} cannot be made: {error.strerror}; give another"
        ) from error


def replace(path: Path, text: str) -> None:
    """Write a file whole or not at all, through any link that stands there."""
    path = path.resolve()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def _read(path: Path) -> dict[str, Source]:
    """Return what the files of a folder were made from; nothing if the record is unreadable."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): read_source(value) for name, value in body.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}


def read_source(value: Mapping[str, object]) -> Source:
    """Return the source that `Source.as_json` wrote."""
    sides = cast(Sequence[Mapping[str, str]], value["from"])
    return Source(str(value["by"]), [{str(k): str(v) for k, v in s.items()} for s in sides])
