"""Whether the translation task can be tested here."""

import os

import pytest

REQUIRED = "PBT_NMT_TESTS"


def needs_fairseq() -> None:
    """Leave out the module of tests that calls this, with the reason, where fairseq is missing.

    Not where the environment variable PBT_NMT_TESTS is "required", as it is for .ci/run.
    """
    if os.environ.get(REQUIRED) == "required":
        return
    try:
        import tasks.nmt.fairseq_compat  # noqa: F401
    except ImportError as error:
        pytest.skip(str(error), allow_module_level=True)
