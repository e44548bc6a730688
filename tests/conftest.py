"""One thread a process: several of them on two cores would wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
