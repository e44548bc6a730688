"""Population Based Training: what a user needs, by one import. What is not named here is private.

`from core import PBT, Task, Space, LogUniform, Every, Truncation, Perturb`
"""

from core.directory.described import RunError
from core.member import FRESH, Hypers, Member, Value
from core.peers import Peers
from core.rules import RuleError
from core.running import Result, run
from core.settings import PBT
from core.space import EVERYWHERE, Choice, Fixed, Integer, LogUniform, Space, Uniform
from core.strategies.exploit import Among, Truncation, TTest, binary_tournament
from core.strategies.explore import Chain, Noise, Perturb, Resample, SymmetricPerturb, keep
from core.strategies.ready import Every, SinceLastReady, never
from core.strategies.schedules import Anneal
from core.study.study import Replay, Study, grid
from core.task import Reports, Reseeds, Snapshots, Task, TaskError, Trainer

__all__ = [
    "EVERYWHERE",
    "FRESH",
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
    "Result",
    "RuleError",
    "RunError",
    "SinceLastReady",
    "Snapshots",
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
    "run",
]

# what a run directory calls the classes and functions above (core/directory/described.py)
PUBLIC = {
    name: f"{value.__module__}:{value.__qualname__}"
    for name, value in ((name, globals()[name]) for name in __all__)
    if hasattr(value, "__qualname__")
}
