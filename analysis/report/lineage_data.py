"""The lineage of a run for the page: every record, in typed arrays as small as possible."""

import base64
from typing import Any

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from analysis.data.columns import RESTART
from analysis.data.names import HYPER, told_apart
from analysis.data.runs import RunData

Packed = dict[str, str]
WORDS = ("copied", "dropped", "before", "decision")  # words that page.js shows beside the hypers
TYPES = ("u1", "u2", "u4", "f4", "f8")  # little-endian, as in the typed arrays of every browser
PRECISION = 1e-6  # share of the range of the scores that rounding may cost; a page shows less


def pack(values: NDArray[Any], kind: str) -> Packed:
    """Return an array as base64 text, with its type."""
    assert kind in TYPES
    return {"type": kind, "data": base64.b64encode(values.astype(f"<{kind}").tobytes()).decode()}


def packed_lineage(run: RunData) -> dict[str, object]:
    """Return all records of a run, with rows as in `Columns`.

    Hypers and parents are given only where they change, because most records keep them.
    """
    rows = run.columns
    names = told_apart(rows.hypers, (run.score, *WORDS), HYPER)
    copied = np.flatnonzero(rows.parent >= 0)
    cause = np.where(rows.cause == RESTART, 0, rows.cause)  # a start, for the page
    return {
        "name": run.name,
        "seed": run.seed,
        "unit": run.score,
        "weights": rows.weights,
        "first": _counts(rows.first),
        "step": _counts(rows.step),
        "score": _floats(rows.score),
        "flags": pack(cause + 4 * rows.failed + 8 * rows.waiting, "u1"),
        "copied": _counts(copied),
        "donor": _counts(rows.parent[copied]),
        "restarted": _counts(np.flatnonzero(rows.cause == RESTART)),
        "lost": _counts(np.flatnonzero(rows.origin_lost)),
        "dropped": _floats(rows.dropped[copied]),
        "hypers": [_hyper(names[n], values, rows.first) for n, values in rows.hypers.items()],
    }


def _hyper(
    name: str, values: NDArray[np.float64] | NDArray[np.str_], first: NDArray[np.int64]
) -> dict[str, object]:
    new = np.ones(len(values), dtype=np.bool_)
    new[1:] = values[1:] != values[:-1]
    new[first[:-1][np.diff(first) > 0]] = True
    at = np.flatnonzero(new)
    if values.dtype.kind != "U":
        return {"name": name, "rows": _counts(at), "values": pack(values[at], "f8")}
    options, index = np.unique(values[at], return_inverse=True)
    return {
        "name": name,
        "rows": _counts(at),
        "values": _counts(index.astype(np.int64)),
        "options": options.tolist(),
    }


def _counts(values: NDArray[np.int64]) -> Packed:
    largest = int(values.max(initial=0))
    kind = "u1" if largest < 2**8 else "u2" if largest < 2**16 else "u4"
    assert largest < 2**32
    return pack(values, kind)


def _floats(values: NDArray[np.float64]) -> Packed:
    """Return numbers in four bytes each if a page cannot show the difference, else in eight."""
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        short = finite.astype(np.float32).astype(np.float64)
    reach = float(np.ptp(finite)) if len(finite) else 0.0
    exact = bool((np.abs(short - finite) <= PRECISION * reach).all())
    return pack(values, "f4" if exact else "f8")


def colours() -> str:
    """Return the colours of cividis, 256 times red, green and blue.

    It is readable in grey and for colour-blind people.
    """
    table = (np.array(colormaps["cividis"].colors) * 255).round()  # type: ignore[attr-defined]
    return base64.b64encode(table.astype(np.uint8).tobytes()).decode()
