"""Population Based Training: what a user needs, by one import. What is not named here is private.

`from core import PBT, Task, Space, LogUniform, Every, Truncation, Perturb`
"""

from core.anneal import Anneal
from core.described import RunError
from core.member import Hypers, Member, Value
from core.pbt import PBT
from core.peers import Peers
from core.rules import RuleError
from core.space import EVERYWHERE, Choice, Fixed, Integer, LogUniform, Space, Uniform
from core.strategies import (
    Among,
    Chain,
    Every,
    Noise,
    Perturb,
    Resample,
    SinceLastReady,
    SymmetricPerturb,
    Truncation,
    TTest,
    binary_tournament,
    keep,
    never,
)
from core.study import Replay, Study, grid
from core.task import Reports, Reseeds, Task, TaskError, Trainer

__all__ = [
    "EVERYWHERE",
    "PBT",
    "Among",
    "Anneal",
    "Chain",
    "Choice",
    "Every",
    "Fixed",
    "Hypers",
    "Integer",
    "LogUniform",
    "Member",
    "Noise",
    "Peers",
    "Perturb",
    "Replay",
    "Reports",
    "Resample",
    "Reseeds",
    "RuleError",
    "RunError",
    "SinceLastReady",
    "Space",
    "Study",
    "SymmetricPerturb",
    "TTest",
    "Task",
    "TaskError",
    "Trainer",
    "Truncation",
    "Uniform",
    "Value",
    "binary_tournament",
    "grid",
    "keep",
    "never",
]

# what a run directory calls the classes and functions above, wherever they lie (core/described.py)
PUBLIC = {
    name: f"{value.__module__}:{value.__qualname__}"
    for name, value in ((name, globals()[name]) for name in __all__)
    if hasattr(value, "__qualname__")
}
