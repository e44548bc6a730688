"""How often a job has come back though nobody had got anything done: its lives are bounded."""

import contextlib
import json
import os
from pathlib import Path

from slurm.jobs.ledger import Ledger

RETURNS = 3  # times in a row that a job comes back while no record is published in the whole run


def idle_lives(ledger: Ledger, name: str, before: int, now: int) -> int:
    """Note the end of a job's life; return how many of its lives in a row brought nothing.

    What others publish counts, in its life and between its lives. Each job has a file of its own.

    Args:
        before: the run's records when the life began. now: when it ended.
    """
    path = ledger.folder / "lives" / f"{name}.json"
    with contextlib.suppress(OSError):  # it cannot be written down: then the run cannot either
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
