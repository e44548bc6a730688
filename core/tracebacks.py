"""Tracebacks of a user's own code, without the frames of this program that lead to it."""

import os
import sysconfig
import traceback
from pathlib import Path

ENGINE = str(Path(__file__).parent) + os.sep
LONGEST = 20_000  # characters of a traceback that are kept, of its end


def of_user(error: BaseException) -> str:
    """Return the traceback of an error from the first frame that is not the engine's on.

    Of an error that no other code than the engine's has a part in, all of it.
    """
    found = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = found
    while part is not None:
        first = next((i for i, frame in enumerate(part.stack) if not _is_engine(frame)), None)
        if first is not None:
            part.stack = traceback.StackSummary.from_list(part.stack[first:])
        part = part.__cause__ or (None if part.__suppress_context__ else part.__context__)
    return "".join(found.format())[-LONGEST:]


def place(error: BaseException) -> str:
    """Return where an error was raised in the user's own code: "file.py, line 3"; "" if nowhere.

    Of the frames, the last one that is neither the engine's, nor Python's, nor of a package: that
    is the line which the user can mend.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not _is_engine(frame) and not _is_installed(frame.filename)]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else ""


def entered(error: BaseException) -> str:
    """Return which function of other code than the engine's was called and has raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return next((frame.name for frame in frames if not _is_engine(frame)), "a call")


def said(error: BaseException) -> str:
    """Return an error in one line: its kind, its words, and where the user's own code raised it."""
    words = str(error).strip().partition("\n")[0]
    text = f"{type(error).__name__}: {words}" if words else type(error).__name__
    where = place(error)
    return f"{text} ({where})" if where else text


def last_line(text: str | None) -> str:
    """Return the last line of a traceback: the error itself."""
    return (text or "").strip().rpartition("\n")[2]


def _is_engine(frame: traceback.FrameSummary) -> bool:
    return frame.filename.startswith(ENGINE)


def _is_installed(filename: str) -> bool:
    parts = Path(filename).parts
    if "site-packages" in parts or "dist-packages" in parts or filename.startswith("<"):
        return True
    return filename.startswith(sysconfig.get_path("stdlib") + os.sep)
