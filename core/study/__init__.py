"""Studies: several runs that are compared, in one directory."""

from core.study.study import Replay, Study, grid

__all__ = ["Replay", "Study", "grid"]
