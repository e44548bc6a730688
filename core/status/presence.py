"""Who works on a run, as seen from outside: by heartbeats, processes, and the looker's own clock.

A worker on this machine is gone when its process is. Of one elsewhere nothing is certain but that
its heartbeat has not changed for so long while one looked; the time of its file is a hint, since
clocks differ. A worker that ends well takes its heartbeat away; one that is killed leaves it.
"""

import json
import math
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from core.directory.files import read_news
from core.directory.heartbeat import LARGEST_BEAT, sight_of

PATIENCE = 60.0  # seconds without a heartbeat, where it does not say what its worker was told
State = Literal["working", "stalled", "suspended", "silent", "gone"]
SURE, HINT = 1, 2  # patiences without a heartbeat: by the own clock; by the time of the file


@dataclass(frozen=True, slots=True)
class Presence:
    """A worker at one moment.

    state: "stalled" if its process is alive here and its heartbeat has stopped, "suspended" if its
        process is stopped here, "silent" if it is elsewhere and its heartbeat is old.
    age: seconds since its heartbeat changed, as far as known.
    job: the batch job of which it is a part; "" if in none.
    where: its host, with its process id.
    pid: its process, if that is to be seen from here.
    turn: the member that it trained at its last heartbeat, and for how many seconds already.
    beat: when its heartbeat was written, by the clock of the file system.
    """

    worker: str
    state: State
    age: float
    job: str
    where: str
    pid: int | None
    turn: tuple[int, float] | None
    beat: float

    @property
    def works(self) -> bool:
        """Whether its members are in work, as far as can be told."""
        return self.state in ("working", "stalled")


class _Seen(NamedTuple):
    content: bytes
    since: float  # by our own clock


@dataclass(slots=True)
class Lookout:
    """Watches the heartbeats of a run."""

    root: Path
    _seen: dict[str, _Seen] = field(default_factory=dict)

    def look(self, names: Iterable[str] = ()) -> dict[str, Presence]:
        """Return the workers that have a heartbeat, by name.

        Args:
            names: of workers that are known: a network file system may not list them yet.
        """
        folder, found = self.root / "workers", {}
        for path in {*folder.glob("*.json"), *(folder / f"{name}.json" for name in names)}:
            try:
                content, (_, written, _) = read_news(path, LARGEST_BEAT, None)
                said = json.loads(content or b"")
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(said, dict):
                found[path.stem] = self._presence(path.stem, content or b"", said, written / 1e9)
        return found

    def _presence(
        self, worker: str, content: bytes, said: Mapping[str, object], written: float
    ) -> Presence:
        now = time.monotonic()
        if worker not in self._seen or self._seen[worker].content != content:
            self._seen[worker] = _Seen(content, now)
        watched, hinted = now - self._seen[worker].since, time.time() - written
        patience = _number(said.get("patience")) or PATIENCE
        late = watched > SURE * patience or hinted > HINT * patience
        sight = sight_of(said)
        states: dict[str, State] = {
            "dead": "gone",
            "stopped": "suspended",
            "running": "stalled" if late else "working",
            "unseen": "silent" if late else "working",
        }
        member, seconds = said.get("member"), _number(said.get("turn_seconds"))
        return Presence(
            worker=worker,
            state=states[sight],
            age=max(watched, hinted),
            job=str(said.get("job") or ""),
            where=f"{said.get('host')}, process {said.get('pid')}",
            pid=None if sight == "unseen" else int(str(said["pid"])),
            turn=(member, seconds) if isinstance(member, int) and seconds is not None else None,
            beat=written,
        )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < math.inf else None
