"""PBT beside random search on the paper's toy problem: `python examples/quickstart.py`."""

from dataclasses import replace

from core import PBT, Every, Fixed, Perturb, Space, Task, Truncation, Uniform, never, run
from tasks.toy.quadratic import Quadratic

coefficient = Uniform(0, 1)  # where a coefficient starts, and how far it may go
task = Task(
    trainer=Quadratic,  # a class with step, eval, save and load
    space=Space({"h0": coefficient, "h1": coefficient, "updates": Fixed(1)}),
    score="Q",
)
pbt = PBT(
    task=task,
    members=10,
    steps=16,
    ready=Every(4),  # a member decides at every fourth step
    exploit=Truncation(0.2),  # the worst fifth copies one of the best fifth
    explore=Perturb((0.8, 1.2)),  # and then multiplies each hyperparameter by one of these
)

results = {"PBT": run(pbt), "random search": run(replace(pbt, ready=never))}
for name, result in results.items():
    copies = sum(row["cause"] == "exploit" for row in result.table())
    print(f"{name}: member {result.best.id} is best with {result.best.score:.4f}; {copies} copies")

print("PBT's best member: step, score, cause of the record, hyperparameters")
for member in results["PBT"].history(results["PBT"].best.id):
    h0, h1 = (f"{float(member.hypers[name]):.2f}" for name in ("h0", "h1"))
    print(f"{member.step:5} {member.score:8.4f}  {member.cause:8} {h0} {h1}")
