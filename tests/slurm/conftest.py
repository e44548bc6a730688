"""Clusters for the tests: one for the session, others with special options."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, NoSlurm

REQUIRED = "PBT_SLURM_TESTS"  # "required": without Slurm the tests fail instead of being skipped
NODES = "n1:8:2 n2:8:1 n3:4:0"
Start = Callable[..., Cluster]


@pytest.fixture(scope="session")
def start() -> Iterator[Start]:
    """Return a function that starts a cluster with options of cluster.sh."""
    with contextlib.ExitStack() as stack:

        def start_one(*options: str) -> Cluster:
            folder = Path(tempfile.mkdtemp(dir="/tmp", prefix="pbt-"))  # sockets need a short name
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            try:
                return stack.enter_context(Cluster(folder, *options))
            except NoSlurm as error:
                if os.environ.get(REQUIRED) == "required":
                    pytest.fail(str(error))
                pytest.skip(str(error))

        yield start_one


@pytest.fixture(scope="session")
def common(start: Start) -> Cluster:
    """Return the cluster that most tests share."""
    return start("--node-timeout", "4", "--nodes", NODES)


@pytest.fixture
def cluster(common: Cluster) -> Iterator[Cluster]:
    """Return the shared cluster without jobs; remove all jobs afterwards."""
    yield common
    common.clear()
