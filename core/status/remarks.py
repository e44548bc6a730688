"""What a person should mind about a run, in sentences: turns that hang, workers that are gone."""

from collections.abc import Iterable

from core.status.places import go_on
from core.status.presence import Presence
from core.status.progress import Row, View, duration

SENTENCES = 3  # of one kind that are shown
ODD = {
    "stalled": "worker {w.worker} is alive ({w.where}), but its heartbeat stopped {age} ago: its "
    "trainer may keep Python from running anything else, or the disk does not answer",
    "suspended": "worker {w.worker} is suspended ({w.where}): `kill -CONT {w.pid}` lets it go on",
    "silent": "worker {w.worker} ({w.where}) is on another machine, and its heartbeat is {age} "
    "old, as far as clocks agree: if it is dead, the next worker takes its members over",
}


def alarms(view: View, rows: list[Row]) -> list[str]:
    """Return a sentence for each turn that takes far too long, and each worker that is odd."""
    slow = [row for row in rows if view.is_slow(row)]
    holders = {row.holder.worker: row.holder for row in rows if row.holder is not None}
    odd = [worker for worker in holders.values() if worker.state in ODD]
    return [
        *(_slowness(view, row) for row in slow[:SENTENCES]),
        *_others(len(slow), "turns take too long"),
        *(
            ODD[worker.state].format(w=worker, age=duration(worker.age))
            for worker in odd[:SENTENCES]
        ),
        *_others(len(odd), "workers are like that"),
    ]


def _others(count: int, what: str) -> list[str]:
    return [f"{count - SENTENCES} more {what}"] if count > SENTENCES else []


def _slowness(view: View, row: Row) -> str:
    worker, seconds, longest = row.holder, row.turn_seconds or 0.0, view.longest_turn()
    assert worker is not None, "somebody takes the turn"
    than = "and no turn has ended before"
    if longest:
        than = f"{seconds / longest:.0f} times as long as the longest one before"
    see = "" if worker.pid is None else f"`py-spy dump --pid {worker.pid}` shows where; "
    return (
        f"member {row.record.member.id} has been in one turn for {duration(seconds)}, {than}: its "
        f"trainer may hang ({worker.where}). {see}`--turn-limit SECONDS` ends such a worker"
    )


def standing(view: View, rows: list[Row]) -> list[str]:
    """Return why a run stands still, and the line that goes on with it; nothing if it does not."""
    if view.is_attended() or view.is_done(rows):
        return []
    if view.is_lost(rows):
        return [
            "every member has failed, and the run cannot go on: mend the task, and begin anew with "
            "another --out"
        ]
    return [f"{nobody(view.workers.values(), 'run')}; to go on: {go_on(view.root, view.info)}"]


def nobody(workers: Iterable[Presence], what: str) -> str:
    """Return that nobody works, as far as can be known."""
    ages = [worker.age for worker in workers if worker.state == "silent"]
    if not ages:
        return f"nobody works on this {what}"
    age = duration(min(ages))
    return f"nobody seems to work on this {what}: the newest heartbeat is {age} old"


def is_search(view: View, rows: list[Row]) -> bool:
    """Whether nobody has copied anybody though the rules allow it, in a run that is half done."""
    done = sum(row.record.member.step for row in rows)
    return (
        not (view.settings.is_baseline or view.settings.is_replay)
        and 2 * done >= view.members * view.steps
        and not any(row.record.member.last_copy for row in rows)
    )


def no_copies(view: View, rows: list[Row]) -> str:
    """Return what a run is in which nobody has copied anybody, and by which of its rules."""
    ready = sum(row.record.member.last_ready > 0 for row in rows)
    why = "nobody was ever ready"
    if ready:
        why = f"{ready} of {view.members} were ready, and `exploit` let each go on as it was"
    return f"nobody has copied anybody: so far this is a random search ({why})"
