"""The toy of the paper's figure 2: two weights, two hyperparameters, no data."""
