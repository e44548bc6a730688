"""The toy of the paper's figure 2: two weights, two hyperparameters, no data."""

PUBLIC = {  # what a run directory calls what lies here or there (core/directory/described.py)
    "Quadratic": "tasks.toy.quadratic:Quadratic",
}
