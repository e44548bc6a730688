"""The section of a report about what went wrong."""

from collections.abc import Sequence

from analysis.report.evidence import Evidence
from analysis.report.markup import Html, details, join, tag

WARNINGS = 20  # sentences shown at once


def troubles(runs: Sequence[Evidence]) -> Html:
    """Return silent members, unreadable records, warnings and failures, run by run."""
    parts: list[str] = []
    for run in runs:
        found: list[str] = []
        if silent := run.data.silent:
            found.append(tag("p", f"{members_said(silent)} never published a record."))
        if run.data.problems:
            found.append(tag("h4", "Records that cannot be read, and are left out"))
            found.append(_sentences(run.data.problems))
        if lost := int(run.columns.origin_lost.sum()):
            copies = count(lost, "copy", "copies")
            found.append(tag("p", f"What {copies} took is not there: ancestries end there."))
        if run.warned:
            found.append(tag("h4", "Warnings of its workers"))
            found.append(
                _sentences(
                    [
                        f"{one.sentence} ({one.worker}{f', {one.times} times' * (one.times > 1)})"
                        for one in run.warned
                    ]
                )
            )
        if run.failures:
            found.append(tag("h4", f"{len(run.failures):,} turns in which a trainer raised"))
            found += [
                details(
                    f"member {one.member} at step {one.step}: {_last_line(one.error)}",
                    tag("pre", one.error),
                )
                for one in run.failures[:WARNINGS]
            ]
            if rest := run.failures[WARNINGS:]:
                lines = [f"member {f.member} at step {f.step}: {_last_line(f.error)}" for f in rest]
                found.append(details(f"{len(rest):,} more", _items(lines)))
        if found:
            parts += [tag("h3", run.name), *found]
    return join(parts) if parts else tag("p", "None.")


def _sentences(sentences: Sequence[str]) -> Html:
    more = sentences[WARNINGS:]
    rest = details(f"{len(more):,} more", _items(more)) if more else ""
    return join([_items(sentences[:WARNINGS]), rest])


def _items(sentences: Sequence[str]) -> Html:
    return tag("ul", *(tag("li", sentence) for sentence in sentences))


def count(n: int, one: str, many: str = "") -> str:
    """Return a number with its noun, such as "2 runs"."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def _last_line(error: str) -> str:
    return error.strip().rpartition("\n")[2]


def members_said(ids: Sequence[int]) -> str:
    """Return the ids of some members as a phrase."""
    shown = ", ".join(map(str, ids[:10])) + (", …" if len(ids) > 10 else "")
    return f"member {shown}" if len(ids) == 1 else f"{len(ids)} members ({shown})"
