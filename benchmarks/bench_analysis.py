"""What it takes to read a run of many records and to write every figure and the report of it.

`python -m benchmarks.bench_analysis [DIR]`: runs of 80 x 250 and 1,000 x 200 (members x steps),
all of whose members decide after each step by truncation, which notes all records that it saw; and
the latter with decisions that saw one record each, as those of a tournament. They are written to
DIR first (3 GB; to a directory for temporary files, if none is given), which takes minutes and is
not counted. A process of its own for each.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from analysis.data.made import Output
from analysis.report.page import write_report
from benchmarks.provenance import say
from tests.analysis.synthetic import write_run

SIZES = {  # members, steps, records that a decision saw
    "80 x 250": (80, 250, 80),
    "1,000 x 200": (1000, 200, 1000),
    "1,000 x 200, one seen": (1000, 200, 1),
}


def measure(run: Path, out: Path) -> dict[str, float]:
    """Return the seconds to read a run and to write its figures and its report, and the memory."""
    began = time.perf_counter()
    write_report([run], out / "report.html", output=Output(out))
    return {
        "seconds": round(time.perf_counter() - began, 2),
        "files": len(list(out.iterdir())),
        "megabytes at the peak": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
    }


def main() -> None:
    """Write the runs that are not there yet, and measure each."""
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(Path(sys.argv[2]), Path(sys.argv[3]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        root = Path(sys.argv[1] if len(sys.argv) > 1 else folder)
        found = {}
        for name, (members, steps, seen) in SIZES.items():
            run = root / f"{members}-{steps}-{seen}"
            if not run.exists():
                print(f"writing {run}", file=sys.stderr)
                write_run(run, members=members, steps=steps, seen=seen)
            command = ["-m", "benchmarks.bench_analysis", "--one", str(run), f"{folder}/{name}"]
            done = subprocess.run(
                [sys.executable, *command], capture_output=True, text=True, check=True
            )
            found[name] = json.loads(done.stdout)
        say(
            {
                "benchmark": "reading a run, writing all of its figures and its report",
                "sizes": found,
            }
        )


if __name__ == "__main__":
    main()
