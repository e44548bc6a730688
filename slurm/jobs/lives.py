"""Count how often a job restarts without any progress of the run, to limit it."""

import contextlib
import json
import os
from pathlib import Path

from slurm.jobs.ledger import Ledger

RETURNS = 3  # restarts in a row, while the run publishes no record


def idle_lives(ledger: Ledger, name: str, before: int, now: int) -> int:
    """Record the end of a job's life; return how many of its lives in a row had no progress.

    Records that other jobs publish count as progress, during a life and between two lives. Each job
    has its own file.

    Args:
        before: number of records of the run when the life began.
        now: number of records when it ended.
    """
    path = ledger.folder / "lives" / f"{name}.json"
    with contextlib.suppress(OSError):  # if this cannot be written, the run cannot be either
        if now != before:
            path.unlink(missing_ok=True)
            return 0
        known = _read(path)
        count = 1 + (known["lives"] if known.get("records") == now else 0)
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}.tmp")
        made.write_text(json.dumps({"records": now, "lives": count}) + "\n")
        os.replace(made, path)
        return count
    return 0


def _read(path: Path) -> dict[str, int]:
    try:
        said = json.loads(path.read_text())
        return {"records": int(said["records"]), "lives": int(said["lives"])}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}
