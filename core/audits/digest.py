"""What makes two runs the same: a digest of all that does not depend on time, host or worker."""

import hashlib
from collections.abc import Iterable, Sequence

from core.directory.record import Record, identity


def digest(histories: Iterable[Sequence[Record]]) -> str:
    """Return the SHA-256 of the histories of all members, in the order of their ids."""
    found = hashlib.sha256()
    for history in histories:
        for record in history:
            found.update(identity(record) + b"\n")
    return found.hexdigest()
